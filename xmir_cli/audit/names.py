"""What an audit looks for, and the numbers that gates know."""

TESTS = ("duplicates", "leaks", "labels", "outliers", "hubs")
UNREACHED = "unreached"
ALL_TESTS = (*TESTS, UNREACHED)
COPY_TESTS = {"duplicates", "leaks", "labels"}  # that know of copies, and look at images for it
_LOOKS = ("looked_at", "unreadable")
NUMBERS = {  # of a summary, by the test that counts it; under no name those of all
    "": ("images", "skipped", "patients", "left_out"),
    "duplicates": ("duplicates", "duplicate_groups", "near_copies", "similarity_limit", *_LOOKS),
    "leaks": ("leaks", "leaked_patients", *_LOOKS),
    "labels": (
        *("suspect_labels", "suspect_labels_expected", "label_conflicts", "calibration_error"),
        *_LOOKS,
    ),
    "outliers": ("outliers", "fence"),
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
