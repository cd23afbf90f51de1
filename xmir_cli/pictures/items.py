"""The images a command is given: files, globs, folders, manifests, lists and records on stdin.

Behind each may stand which pictures of the files are meant: `#frame=2`, `#frame=1-40`, `#frame=*`.
"""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xmir_cli.errors import DataError, ItemError, SettingError
from xmir_cli.pictures.frames import expand_frames
from xmir_cli.pictures.identity import file_of
from xmir_cli.store.jsonl import open_lines, read_names, read_records
from xmir_cli.store.manifest import ManifestRow, is_manifest, read_table
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.artifact import ArtifactRecord


@dataclass(frozen=True)
class Item:
    """One image that was asked for; nobody has opened it yet."""

    id: str  # the manifest's id, else the path as given
    path: str  # absolute, `#frame=N` behind it where one picture of several is meant
    columns: Mapping[str, str | None]  # label, patient, split and the manifest's other columns

    @property
    def file(self) -> str:
        """The file that holds the image."""
        return file_of(self.path)


def list_items(
    arguments: Sequence[str], null_separated: bool, where: Sequence[str] | None
) -> list[Item]:
    """Every image that the arguments name, in their order; folders and globs sorted.

    A manifest's relative paths start at its folder. Files are not opened but for `#frame=*`, to
    count their pictures; ids are not compared.
    Raises SettingError for a condition that fits no column, DataError when nothing is left.
    """
    wanted = parse_where(where)
    items: list[Item] = []
    for argument in arguments:
        found = _from_stdin(null_separated) if argument == "-" else _expand(argument)
        items.extend(each for item in found for each in _with_frames(item))
    if not items:
        raise DataError(_nothing(arguments))
    return _select(items, wanted)


def parse_where(where: Sequence[str] | None) -> list[tuple[str, str]]:
    """`["label=normal"]` as `[("label", "normal")]`; raises SettingError when there is no `=`."""
    pairs = [condition.partition("=") for condition in where or []]
    for column, equals, value in pairs:
        if not column or not equals:
            raise SettingError("where", f"expected COLUMN=VALUE, found {column}{equals}{value}")
    return [(column, value) for column, _, value in pairs]


def _select(items: list[Item], wanted: list[tuple[str, str]]) -> list[Item]:
    known = dict.fromkeys(name for item in items for name in ("id", *item.columns))
    for column, _ in wanted:
        if column not in known:
            raise SettingError("where", f"no column {column!r}; there are {', '.join(known)}")
    left = [
        item
        for item in items
        if all(
            ({"id": item.id, **item.columns}.get(column) or "") == value for column, value in wanted
        )
    ]
    if not left:
        conditions = " and ".join(f"{column}={value}" for column, value in wanted)
        raise DataError(f"none of {len(items)} images has {conditions}")
    return left


def _extensions() -> tuple[str, ...]:
    from xmir_cli.images.formats import extensions  # noqa: PLC0415 # Pillow; ids need no image

    return extensions()


def _nothing(arguments: Sequence[str]) -> str:
    if "-" in arguments:
        return "no records on standard input"
    return f"{', '.join(arguments)}: no images there ({' '.join(_extensions())})"


def _expand(argument: str) -> Iterator[Item]:
    if os.path.lexists(argument):
        yield from _expand_literal(argument)
        return
    place, fragment = _split_fragment(argument)
    if fragment:
        if _split_fragment(place)[1] and not os.path.lexists(place):
            raise DataError(f"{argument}: expected one #frame=, found several")
        yield from (_with_fragment(item, fragment) for item in _expand(place))
        return
    if is_manifest(argument) and not glob.has_magic(argument):
        raise DataError(f"{argument}: no such file or directory")
    matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 # Path.glob needs a root
    # a pattern without a match stays, and is skipped as a missing file
    for match in matches or [argument]:
        yield from _expand_literal(match)


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


def _expand_literal(path: str) -> Iterator[Item]:
    if os.path.isdir(path):  # noqa: PTH112 # Path.is_dir raises for a name that is too long
        for file in sorted(_walk(path, set()), key=lambda file: Path(file).parts):
            yield _item(file)
    elif is_manifest(path):
        folder = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 # no symlinks followed
        for row in read_table(Path(path)):
            yield _item_of_row(row, folder)
    else:
        yield _item(path)


def _item(path: str) -> Item:
    return Item(path, os.path.abspath(path), {})  # noqa: PTH100 # Path.resolve would follow links


def _item_of_row(row: ManifestRow, folder: str) -> Item:
    path = row["path"] or ""
    columns = {name: value for name, value in row.items() if name not in {"path", "id"}}
    return Item(row.get("id") or path, os.path.normpath(Path(folder) / path), columns)


def _walk(folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Images below a folder, links followed but no folder entered twice, hidden names left out."""
    status = Path(folder).stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError:
        yield folder  # becomes a skip that names it
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            yield from _walk(entry.path, seen)
        elif entry.name.lower().endswith(_extensions()):
            yield entry.path


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _from_stdin(null_separated: bool) -> Iterator[Item]:
    stream = open_lines("-")
    if null_separated:
        yield from map(_item, read_names())
        return
    for number, record in read_records(stream):
        if isinstance(record, ItemError):
            raise DataError(f"standard input: line {number}: {record.reason}")
        yield from _from_record(record, number)


def _from_record(record: Record, number: int) -> Iterator[Item]:
    """A list's line gives one image; the receipt of an embeddings file all of its rows."""
    path = record.get("path")
    if not isinstance(path, str) or not path:
        raise DataError(f"standard input: line {number}: path: expected a string")
    if record.get("schema") == ArtifactRecord.NAME:
        yield from _expand_literal(path)
    else:
        row = {name: _cell(value) for name, value in record.items() if _is_scalar(value)}
        row.pop("schema", None)
        yield _item_of_row(row, str(Path.cwd()))


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _cell(value: object) -> str | None:
    if value is None or value == "":
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
