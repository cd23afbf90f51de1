"""Records as the rows of a page, and the columns that the maps of a hit stand in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xmir_cli.console import escape
from xmir_cli.pages.entries import MapKind, PageEntry

MapColumn = tuple[MapKind, int]  # the number tells apart what a hit has twice, such as two points


@dataclass(frozen=True)
class Hit:
    """The records of one retrieved image of one query."""

    entries: Sequence[PageEntry]

    @property
    def cells(self) -> dict[MapColumn, PageEntry]:
        """The records that have maps, by column."""
        found: dict[MapColumn, PageEntry] = {}
        for entry in self.entries:
            same = [each for (kind, _), each in found.items() if kind == entry.kind]
            if entry.is_part and any(each.saliency == entry.saliency for each in same):
                continue  # its map has a place already
            if entry.saliency is not None:
                kind, number = entry.kind, 1
                while (kind, number) in found:
                    number += 1
                found[kind, number] = entry
        return found


@dataclass(frozen=True)
class QueryRow:
    """The records of one query, hit by hit, or of one cluster, exemplar by exemplar."""

    hits: Sequence[Hit]

    @property
    def entries(self) -> list[PageEntry]:
        """All of them."""
        return [entry for hit in self.hits for entry in hit.entries]


def rows_of(entries: Iterable[PageEntry]) -> list[QueryRow]:
    """The queries in order of appearance, each with its hits, wherever their records stand."""
    found: dict[tuple[object, ...], dict[tuple[object, ...], list[PageEntry]]] = {}
    for entry in entries:
        found.setdefault(entry.row, {}).setdefault(entry.group, []).append(entry)
    return [QueryRow([Hit(each) for each in hits.values()]) for hits in found.values()]


def columns_of(rows: Iterable[QueryRow]) -> list[MapColumn]:
    """The columns in order of appearance."""
    return list(dict.fromkeys(column for row in rows for hit in row.hits for column in hit.cells))


def name_columns(columns: Sequence[MapColumn]) -> dict[MapColumn, str]:
    """What each is called: its method, and what tells it apart from others of the method."""
    return {column: _name(column, columns) for column in columns}


def _name(column: MapColumn, columns: Sequence[MapColumn]) -> str:
    kind, number = column
    others = [other.set for other, _ in columns if other.method == kind.method]
    own = kind.set
    told = [escape(kind.method) or "map"]
    told += [
        _setting(name, own.get(name))
        for name in sorted({name for each in others for name in each})
        if any(each.get(name) != own.get(name) for each in others)
    ]
    told += [kind.side] if kind.side else []
    told += ["contrast"] if kind.contrasted else []
    name = ", ".join(told)
    name += " for a point" if kind.pointed else ""
    name += " on the query" if kind.of_query else ""
    return name if number == 1 else f"{name} ({number})"


def _setting(name: str, value: str | None) -> str:
    """A setting in words; `value` is JSON, None where it has none."""
    if name == "center":  # its value is a hash
        return "not centered" if value in {None, "null", '""'} else "centered"
    if name == "concept":  # what the concept is called, and a hash
        called = escape(str(value or "").strip('"').rpartition(":")[0])
        return f"of {called}" if called else "of the query"
    said = {"true": "on", "false": "off", "null": "none", '""': "none", None: "none"}
    return (
        f"{escape(name).replace('_', '-')} {said.get(value) or escape(str(value).strip(chr(34)))}"
    )
