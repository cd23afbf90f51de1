"""The record of an evaluation as the rows of a table."""

from collections.abc import Iterator, Mapping

from xmir_cli.wire.records import Record

_OTHERS, _ALL = "excluding_same_", "including_same_"  # before the name of a group such as patient


def rows(record: Mapping[str, object]) -> Iterator[Record]:
    """The record as rows: micro, macro, each label, then the same for the other numbers in it.

    `neighbours` says of which numbers a row is, where there are both: with or without those of
    the query's own group.
    """
    for neighbours, part in _parts(record).items():
        assert isinstance(part, Mapping)
        names = list(part["macro"])
        which = {"neighbours": neighbours} if neighbours else {}
        means = {name: part[name] for name in names}
        yield {"over": "micro", **which, "queries": part["queries"], **means}
        yield {"over": "macro", **which, "queries": None, **part["macro"]}
        for label, found in part["labels"].items():
            yield {"over": label, **which, **found}


def _parts(record: Mapping[str, object]) -> Mapping[str, object]:
    """The numbers in the record by the neighbours that they count."""
    for key, value in record.items():
        if key.startswith(_OTHERS):
            group = key.removeprefix(_OTHERS)
            others = f"other {group}s"
            both = record.get(f"{_ALL}{group}")
            return {"all": record, others: value} if both is None else {others: record, "all": both}
    return {"": record}
