"""What an audit looks for, and the numbers that gates know."""

TESTS = ("duplicates", "leaks", "labels", "outliers", "hubs")
UNREACHED = "unreached"
ALL_TESTS = (*TESTS, UNREACHED)
NUMBERS = {  # of a summary, by the test that counts it
    "duplicates": ("duplicates", "duplicate_groups", "near_copies"),
    "leaks": ("leaks", "leaked_patients"),
    "labels": ("suspect_labels", "label_conflicts", "calibration_error"),
    "outliers": ("outliers",),
    "hubs": ("hubs", "unreached", "skewness"),
    UNREACHED: ("hubs", "unreached", "skewness"),
}
FINDINGS = {  # the word for one, by the test that finds it
    "duplicates": "duplicate",
    "leaks": "leak",
    "labels": "label",
    "outliers": "outlier",
    "hubs": "hub",
    UNREACHED: "unreached",
}
