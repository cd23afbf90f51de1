"""The record of a group as the rows of a table."""

from collections.abc import Iterator, Mapping

from xmir_cli.wire.records import Record

COLUMNS = ("method", "cluster", "n", "images", "label", "share", "rest_share", "p_holm")
_LABELS = 4  # of a group that a table shows, the least likely first


def rows(record: Mapping[str, object]) -> Iterator[Record]:
    """One for each of the group's most telling labels."""
    labels = record["labels"]
    assert isinstance(labels, Mapping)
    own = {name: record.get(name) for name in ("method", "cluster", "n", "images")}
    if record.get("variant"):
        own["method"] = f"{record['method']}, {record['variant']}"
    if not labels:
        yield own
    for label, told in list(labels.items())[:_LABELS]:
        yield {**own, "label": label, **told, "n": record["n"]}
