"""The counts of an audit as rows of a table: each beside what it is measured by."""

from collections.abc import Iterator, Mapping

from xmir_cli.wire.records import Record

COLUMNS = ("what", "found", "of", "measured by", "is")
_ROWS = (  # what, of what, by what, and the key of its number
    ("duplicates", "images", "similarity above", "similarity_limit"),
    ("duplicate_groups", "", "", ""),
    ("near_copies", "duplicates", "", ""),
    ("leaks", "images", "", ""),
    ("leaked_patients", "patients", "", ""),
    ("suspect_labels", "images", "expected by chance", "suspect_labels_expected"),
    ("label_conflicts", "images", "", ""),
    ("outliers", "images", "distance above", "fence"),
    ("hubs", "images", "skewness", "skewness"),
    ("unreached", "images", "", ""),
    ("left_out", "images", "", ""),
    ("unreadable", "images", "", ""),
)


def rows(record: Mapping[str, object]) -> Iterator[Record]:
    """A row for each count that there is."""
    for what, of, measure, key in _ROWS:
        if record.get(what) is not None:
            told: Record = {"what": what.replace("_", " "), "found": record[what]}
            told |= {"of": record.get(of)} if of else {}
            yield told | ({"measured by": measure, "is": record.get(key)} if measure else {})


def image_rows(record: Mapping[str, object]) -> Iterator[Record]:
    """The row of one image, its findings as words."""
    findings = record.get("findings")
    yield {**record, "findings": ", ".join(findings) if isinstance(findings, list) else findings}
