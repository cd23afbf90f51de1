"""Indexed images that somebody chose: records, ids or paths on standard input, a line each.

The rows of a query's TSV are also such, for people read them more easily than records.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xmir_cli.errors import DataError, ItemError, SettingError
from xmir_cli.gallery.protocol import Gallery, ItemKey, identity_in
from xmir_cli.retrieval.queries import Question, ask_items
from xmir_cli.store.jsonl import open_lines, read_names, read_records
from xmir_cli.store.names import escape_typed
from xmir_cli.wire.checks import check_identity
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import NO_ANSWER

STDIN = "-"  # stands for them among names
# a row of TSV: rank, numbers (of which a share may be none), id, label, match and query
_ROW = re.compile(r"\d+(?:\t(?:-?\d+\.\d{4})?)+\t([^\t]+)\t[^\t]*\t(?:yes|no|)(?:\t[^\t]*)+")


@dataclass(frozen=True)
class Choice:
    """One line; of a record the retrieved image, else the image of the record."""

    line: int
    id: str  # empty where it has none
    path: str  # empty where it has none
    identity: str  # of the image as recorded; empty where that is not known

    @property
    def image(self) -> tuple[str, str]:
        """What lines share that choose the same."""
        return ("", self.identity) if self.identity else (self.id, self.path)


def read_choices(null_separated: bool, source: str = STDIN) -> list[Choice]:
    """Every image that was chosen, once, in order. Raises DataError for none, and a bad line."""
    called = "standard input" if source == STDIN else source
    lines: list[tuple[int, Record | ItemError]]
    if null_separated:
        lines = [(number, {"path": name}) for number, name in enumerate(read_names(), start=1)]
    else:
        with open_lines(source) as stream:
            lines = list(read_records(stream))
    choices = [
        _choice(called, number, line)
        for number, line in lines
        if isinstance(line, ItemError) or line.get("answer") != NO_ANSWER
    ]
    if not choices:
        found = f"no query of {called} has an answer" if lines else f"{called} is empty"
        raise DataError(
            f"nothing was chosen: {found}",
            "Choose at least one line; it may be a record, an id of the index, or a path.",
        )
    return list({each.image: each for each in reversed(choices)}.values())[::-1]


def find_keys(gallery: Gallery, choices: Sequence[Choice]) -> list[ItemKey | None]:
    """The item of each choice: of its id if that is the image, else the image; None for neither."""
    named = gallery.by_id([escape_typed(each.id) for each in choices])
    images = gallery.by_identity([each.identity for each in choices])
    paths = gallery.by_path(["" if each.identity else escape_typed(each.path) for each in choices])
    known = [key for key in named if key is not None]
    identities = dict(zip(known, map(identity_in, gallery.columns_of(known)), strict=True))
    found: list[ItemKey | None] = []
    for each, key, same, there in zip(choices, named, images, paths, strict=True):
        fits = key is not None and each.identity in ("", identities[key])
        found.append(key if fits else next(iter([*same, *there]), None))
    return found


def find_chosen(gallery: Gallery, choices: Sequence[Choice]) -> list[ItemKey]:
    """The items of the choices; raises SettingError for one that the index does not have."""
    found = []
    for each, key in zip(choices, find_keys(gallery, choices), strict=True):
        if key is None:
            raise SettingError("ids", f"no such item in {gallery.name}", value=_told(each))
        found.append(key)
    return found


def ask_choices(
    gallery: Gallery, choices: Sequence[Choice], ask: Callable[[str], Question], setting: str
) -> list[Question]:
    """The items of the choices, or else, through `ask`, the images at their paths.

    Raises SettingError for a choice that is neither.
    """
    found = []
    for each, key in zip(choices, find_keys(gallery, choices), strict=True):
        try:
            if key is not None:
                found.extend(next(ask_items(gallery, [key])))
                continue
            if not each.path:
                raise SettingError(setting, f"no such item in {gallery.name}", value=_told(each))
            found.append(ask(each.path))
            check_identity(each.identity or None, found[-1].identity or "", each.path)
        except ItemError as error:
            reason = f"neither an item of the index nor a usable image ({error})"
            raise SettingError(setting, reason, value=_told(each)) from None
    return found


def _told(choice: Choice) -> str:
    return f"{choice.id or choice.path} (line {choice.line})"


def _choice(called: str, line: int, record: Record | ItemError) -> Choice:
    if isinstance(record, ItemError):
        raise DataError(f"{called}: line {line}: {record.reason}")
    if record.keys() == {"path"}:  # a line as it is
        name = str(record["path"])
        row = _ROW.fullmatch(name)
        return Choice(line, name, name, "") if row is None else Choice(line, row[1], "", "")
    meta = record.get("meta")
    names = meta if isinstance(meta, Mapping) and "retrieved" in record else record
    found = Choice(
        line,
        _text(names.get("id")),
        _text(record.get("retrieved", record.get("path"))),
        _text(record.get("retrieved_identity")),
    )
    if not (found.id or found.path):
        raise DataError(f"{called}: line {line}: expected a retrieved image, a path or an id")
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
