"""What made the records of a page: models, settings, indexes, hashes, versions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from xmir_cli.console import escape
from xmir_cli.errors import DataError
from xmir_cli.pages.entries import PageEntry
from xmir_cli.pages.report.names import ShortNames
from xmir_cli.pages.report.tables import values_of
from xmir_cli.store.maps import read_beside
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import Schema, Shows, keys_of

_MOST = 6  # different values of a key that are listed for all records together
_MAKERS = {"xmir": "xmir that made the maps", "code": "its code", "precision": "arithmetic"}


@dataclass(frozen=True)
class Maker:
    """One thing that records were made with, and how many of them."""

    name: str
    text: str
    count: int


def origins(records: Sequence[tuple[type[Schema], Record]], names: ShortNames) -> list[Maker]:
    """What all records were made with; of more than a few values of a key only how many."""
    counts: dict[str, dict[str, int]] = {}
    for schema, record in records:
        for name, text in made_of(schema, record, names).items():
            of_key = counts.setdefault(name, {})
            of_key[text] = of_key.get(text, 0) + 1
    return list(_listed(counts))


def makers(entries: Sequence[PageEntry]) -> list[Maker]:
    """The versions of xmir, its code and its arithmetic that the maps' own .json files tell."""
    counts: dict[str, dict[str, int]] = {}
    for entry in entries:
        for name, called in _MAKERS.items():
            if text := _told(entry).get(name):
                of_key = counts.setdefault(called, {})
                of_key[escape(str(text))] = of_key.get(escape(str(text)), 0) + 1
    return list(_listed(counts))


def made_of(schema: type[Schema], record: Record, names: ShortNames) -> dict[str, str]:
    """What one record was made with, a text a key."""
    found = {}
    for name, value in values_of(schema, record, Shows.MADE).items():
        path = keys_of(schema)[name].kind.is_path and isinstance(value, str)
        found[name] = names.of(value) if path and isinstance(value, str) else _flat(value)
    return found


def _told(entry: PageEntry) -> Mapping[str, object]:
    """What the .json beside a map says that it is made of."""
    if entry.saliency is None:
        return {}
    try:
        made = read_beside(Path(entry.saliency)).get("made_of")
    except (DataError, OSError):
        return {}
    return made if isinstance(made, Mapping) else {}


def _listed(counts: Mapping[str, Mapping[str, int]]) -> Iterator[Maker]:
    for name, of_key in counts.items():
        if len(of_key) > _MOST:
            told = f"{len(of_key)} different ones, each told with its record"
            yield Maker(name, told, sum(of_key.values()))
        else:
            for text, count in of_key.items():
                yield Maker(name, text, count)


def _flat(value: object) -> str:
    """Plain data in one line, folders left out: `architecture=densenet121, head=256`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(key))}={_inner(each)}" for key, each in value.items())
    return _inner(value)


def _inner(value: object) -> str:
    if isinstance(value, Mapping):
        return f"({_flat(value)})"
    if isinstance(value, str):
        return escape(PurePath(value).name if value.startswith("/") else value)
    return escape(json.dumps(value))
