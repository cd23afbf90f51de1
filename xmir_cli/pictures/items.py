"""The images a command is given: files, globs, folders, manifests, lists and records on stdin.

Behind each may stand which pictures of the files are meant: `#frame=2`, `#frame=1-40`, `#frame=*`.
"""

import glob
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xmir_cli import console
from xmir_cli.errors import DataError, ItemError, SettingError
from xmir_cli.pictures.folders import FolderSearch
from xmir_cli.pictures.frames import expand_frames
from xmir_cli.pictures.identity import file_of
from xmir_cli.pictures.listed import cells_of, split_line
from xmir_cli.pictures.selection import say_alike_labels, select_items
from xmir_cli.pictures.spelling import find_spelled, may_differ
from xmir_cli.store.cells import Cell, plain_text
from xmir_cli.store.jsonl import open_lines, read_names, read_records
from xmir_cli.store.kinds import find_kind, next_step
from xmir_cli.store.manifest import ManifestRow, is_manifest, parse_names, read_table
from xmir_cli.store.where import parse_where
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.artifact import ArtifactRecord

_NO_COLUMNS: Mapping[str, Cell | None] = {}  # one for all that have none


@dataclass(frozen=True, slots=True)  # there may be millions
class Item:
    """One image that was asked for; nobody has opened it yet."""

    id: str  # the manifest's id, else the path as given
    path: str  # absolute, `#frame=N` behind it where one picture of several is meant
    columns: Mapping[str, Cell | None]  # label, patient, split and the manifest's other columns

    @property
    def file(self) -> str:
        """The file that holds the image."""
        return file_of(self.path)

    def text(self, column: str) -> str | None:
        """A column as text, None where nothing is there."""
        value = self.columns.get(column)
        return None if value is None else plain_text(value)


def list_items(
    arguments: Sequence[str],
    null_separated: bool,
    where: Sequence[str] | None,
    columns: Sequence[str] | None = None,
    leave_out: Callable[[list[Item]], list[Item]] = list,
) -> list[Item]:
    """Every image that the arguments name, in their order; folders and globs sorted.

    A manifest's relative paths start at its folder; `columns` says which of its columns xmir knows
    by another name. What `leave_out` makes of all of them is chosen from. Files are not opened but
    for `#frame=*`, to count their pictures; ids are not compared.
    Raises SettingError for a condition or a name that fits no column, DataError when nothing is
    left.
    """
    wanted, lister = parse_where(where), _Lister(parse_names(columns))
    items: list[Item] = []
    for argument in arguments:
        found = lister.stdin(null_separated) if argument == "-" else lister.expand(argument)
        items.extend(each for item in found for each in _with_frames(item))
    lister.tell()
    if not items:
        raise DataError(_nothing(arguments), hint_for_images(arguments))
    chosen = select_items(leave_out(items), wanted)
    say_alike_labels(item.text("label") for item in chosen)
    return chosen


def hint_for_images(arguments: Sequence[str]) -> str:
    """What to do with an argument that holds no images but something of xmir's; or nothing."""
    if len(arguments) != 1 or not os.path.lexists(arguments[0]):
        return ""
    return next_step("images", find_kind(Path(arguments[0])), arguments[0])


def _extensions() -> tuple[str, ...]:
    from xmir_cli.images.formats import extensions  # noqa: PLC0415 # Pillow; ids need no image

    return extensions()


def _nothing(arguments: Sequence[str]) -> str:
    if "-" in arguments:
        return "no records on standard input"
    if all(is_manifest(argument) for argument in arguments):
        return f"{', '.join(arguments)}: no rows there, only a header"
    return f"{', '.join(arguments)}: no images there ({' '.join(_extensions())})"


def _with_fragment(item: Item, fragment: str) -> Item:
    """The item with a fragment behind it; a row that names its own pictures keeps them."""
    if _split_fragment(item.path)[1] and not os.path.lexists(item.path):
        return item
    return replace(item, id=item.id + fragment, path=item.path + fragment)


def _split_fragment(argument: str) -> tuple[str, str]:
    """What stands before `#frame=`, and the rest."""
    place, mark, frames = argument.rpartition("#frame=")
    return (place, mark + frames) if place and frames else (argument, "")


def _with_frames(item: Item) -> Iterator[Item]:
    """The item, or one for each picture that its name asks for."""
    try:
        names = expand_frames(item.path)
    except ItemError as error:
        raise DataError(f"{item.id}: {error.detail}") from None
    if names == [item.path]:
        yield item
        return
    path = file_of(names[0])
    name = item.id.removesuffix(item.path.removeprefix(path))
    for each in names:
        yield replace(item, id=name + each.removeprefix(path), path=each)


def _item(path: str) -> Item:
    place = os.path.abspath(path)  # noqa: PTH100 # Path.resolve would follow links
    return Item(path, path if place == path else place, _NO_COLUMNS)


class _Lister:
    """Items of arguments, and what is to be said of them all."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names  # xmir's name of a column: that of the tables
        self._unknown = set(names.values())  # those that no table had yet
        self._known: dict[str, None] = {}  # keys of records
        self._folders = FolderSearch()
        self._respelled: list[tuple[str, str]] = []  # as written, as the file is called

    def tell(self) -> None:
        """Say what was left out or read otherwise than written; raise for unknown columns."""
        self._folders.tell()
        if self._unknown:
            there = ", ".join(self._known) or "no table"
            name = min(self._unknown)
            raise SettingError("columns", f"no column {name!r}; there is {there}")
        if self._respelled:
            written, called = self._respelled[0]
            more = len(self._respelled) - 1
            others = f", and {more} more are written otherwise than their files are called"
            console.note(f"{written} is the file {called}{others if more else ''}")

    def expand(self, argument: str) -> Iterator[Item]:
        """The items of one argument."""
        if os.path.lexists(argument):
            yield from self._expand_literal(argument)
            return
        place, fragment = _split_fragment(argument)
        if fragment:
            if _split_fragment(place)[1] and not os.path.lexists(place):
                raise DataError(f"{argument}: expected one #frame=, found several")
            yield from (_with_fragment(item, fragment) for item in self.expand(place))
            return
        if may_differ(argument) and (found := find_spelled(os.path.abspath(argument))) is not None:  # noqa: PTH100 # Path.resolve would follow links
            self._respelled.append((argument, found))
            yield from self._expand_literal(found)
            return
        if is_manifest(argument) and not glob.has_magic(argument):
            raise DataError(f"{argument}: no such file or directory")
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 # Path.glob needs a root
        # a pattern without a match stays, and is skipped as a missing file
        for match in matches or [argument]:
            if not matches or not argument.endswith("*") or self._is_found(match, argument):
                yield from self._expand_literal(match)

    def stdin(self, null_separated: bool) -> Iterator[Item]:
        """The items that a list or records on standard input name."""
        if null_separated:
            yield from map(_item, read_names())
            return
        for number, record in read_records(open_lines("-")):
            if isinstance(record, ItemError):
                raise DataError(f"standard input: line {number}: {record.reason}")
            yield from self._from_record(record, number)

    def _expand_literal(self, path: str) -> Iterator[Item]:
        if os.path.isdir(path):  # noqa: PTH112 # Path.is_dir raises for a name that is too long
            yield from map(_item, self._folders.find(path))
        elif is_manifest(path):
            folder = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 # no symlinks followed
            rows = read_table(Path(path), self._names)
            self._unknown.clear()
            for row in rows:
                yield self._item_of_row(row, folder)
        else:
            yield _item(path)

    def _is_found(self, match: str, pattern: str) -> bool:
        """Whether a pattern that names no ending means the match: as in a folder, only images."""
        if os.path.isdir(match):  # noqa: PTH112 # Path.is_dir raises for a name that is too long
            return "**" not in pattern  # which finds what is in there on its own
        return is_manifest(match) or self._folders.keeps(match)

    def _from_record(self, record: Record, number: int) -> Iterator[Item]:
        """A list's line gives one image; the receipt of an embeddings file all of its rows."""
        self._known |= dict.fromkeys(record)
        self._unknown -= record.keys()
        renamed = {new: record[old] for new, old in self._names.items() if old in record}
        record = {**record, **renamed}
        path = record.get("path")
        if not isinstance(path, str) or not path:
            raise DataError(f"standard input: line {number}: path: expected a string")
        if record.get("schema") == ArtifactRecord.NAME:
            yield from self._expand_literal(path)
        elif len(record) > 1:
            yield self._item_of_row(cells_of(record), str(Path.cwd()))
        else:
            for name in split_line(path, number):
                yield self._item_of_row({"path": name}, str(Path.cwd()))

    def _item_of_row(self, row: ManifestRow, folder: str) -> Item:
        path = str(row["path"] or "")
        columns = {name: value for name, value in row.items() if name not in {"path", "id"}}
        asked = os.path.join(folder, path)  # noqa: PTH118 # a Path takes as long as all the rest
        place = os.path.normpath(asked)
        if may_differ(path):
            file, fragment = _split_fragment(asked)
            if not os.path.lexists(place) and (found := find_spelled(file)) not in {None, file}:
                place = f"{found}{fragment}"
                self._respelled.append((path, str(found)))
                path = path.strip()
        return Item(str(row.get("id") or path), place, columns)
