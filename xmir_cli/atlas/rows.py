"""The record of an atlas as the rows of a table."""

from collections.abc import Iterator, Mapping

from xmir_cli.wire.records import Record

COLUMNS = ("class", "images", "outliers", "duplicates", "similarity", "nearest")


def rows(record: Mapping[str, object]) -> Iterator[Record]:
    """All images, then each class with the image nearest to its centroid."""
    names = ("images", "outliers", "duplicates")
    yield {"class": "(all)", **{name: record[name] for name in names}}
    classes = record["classes"]
    assert isinstance(classes, Mapping)
    for label, each in classes.items():
        yield {
            "class": label,
            **{name: each[name] for name in names},
            "similarity": each["similarity"],
            "nearest": each["nearest"],
        }
