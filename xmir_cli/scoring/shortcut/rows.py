"""The records of a shortcut as rows of a table: what was found, beside what it is compared with."""

from collections.abc import Iterator

from xmir_cli.wire.records import Record

COLUMNS = ("test", "part", "number", "found", "beside", "of", "effect", "p_holm", "verdict")
QUERY_COLUMNS = (  # of the records of images
    *("query", "query_label", "test", "map_whole", "map", "p_at_1_whole", "p_at_1", "changed"),
    *("share", "share_exchanged", "match"),
)
_HEAD = ("test", "part", "effect", "p_holm", "verdict")
_NUMBERS = {  # of a test: what is compared with what
    "object": ("map", "map_chance", "permuted labels"),
    "suspect": ("map_drop", "map_drop_elsewhere_max", "worst elsewhere"),
    "saliency": ("share", "share_exchanged", "another's there"),
}


def rows(record: Record) -> Iterator[Record]:
    """A row for the verdict; further ones for first hits and for each label."""
    test = str(record["test"])
    number, beside, of = _NUMBERS[test]
    head = {name: record.get(name) for name in (*_HEAD, "plot")}
    yield {**head, "number": number, "found": record[number], "beside": record[beside], "of": of}
    if test == "object":
        yield _more("p_at_1", record["p_at_1"], record["p_at_1_chance"], of)
    if test == "suspect":
        yield _more("changed", record["changed"], record["changed_elsewhere"], "mean elsewhere")
    if test == "saliency":
        yield _more("share", record["share"], record["area"], "its area")
    labels = record.get("by_label")
    for label, found in labels.items() if isinstance(labels, dict) else ():
        for side in ("right", "wrong"):
            if found[f"n_{side}"]:
                name = f"{label}, {side} ({found[f'n_{side}']})"
                yield _more(name, found[f"share_{side}"], found[f"share_exchanged_{side}"], of)


def _more(number: str, found: object, beside: object, of: str) -> Record:
    return {"number": number, "found": found, "beside": beside, "of": of}
