"""Manifests: tables of images in CSV, TSV or Parquet, under xmir's names; nothing is None."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from xmir_cli import console
from xmir_cli.errors import DataError, SettingError
from xmir_cli.store.cells import KEYS, Cell, clean, guess_numbers, to_text
from xmir_cli.store.parquet_table import read_columns
from xmir_cli.store.regular import open_regular
from xmir_cli.store.text_table import DELIMITERS, TextRow, open_text, read_rows

ManifestRow = dict[str, Cell | None]
Names = Mapping[str, str]  # xmir's name of a column: that of the table

_Column = Sequence[Cell | None]

_LIMIT = 256 << 20  # bytes of a text manifest
_NO_UTF8 = re.compile("[\udc80-\udcff]")


def is_manifest(name: str) -> bool:
    """Whether a file is to be read as a table of images, by its extension."""
    return Path(name).suffix.lower() in {*DELIMITERS, ".parquet"}


def parse_names(given: Sequence[str] | None) -> dict[str, str]:
    """`["path=filename"]` as `{"path": "filename"}`; raises SettingError for anything else."""
    names: dict[str, str] = {}
    for text in given or ():
        name, equals, column = (part.strip() for part in text.partition("="))
        if not (name and equals and column):
            raise SettingError("columns", "expected NAME=COLUMN", value=text)
        if name in names:
            raise SettingError("columns", f"{name} is said twice", value=text)
        names[name] = column
    return names


def read_table(path: Path, names: Names | None = None) -> list[ManifestRow]:
    """The rows of a manifest; each has a `path`. Columns come under the names they have in `names`.

    The columns of `KEYS` hold texts. Others keep the types of a Parquet file; those of a text file
    become numbers where `guess_numbers` finds them.
    Raises DataError, naming the line, for a file that is no table with a `path` column, and
    SettingError for a column of `names` that is not there.
    """
    names = names or {}
    read = _read_parquet if path.suffix.lower() == ".parquet" else _read_text
    columns = read(path, names)
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _read_parquet(path: Path, names: Names) -> dict[str, _Column]:
    """The columns of a Parquet file under their new names."""
    found = read_columns(path, names.get("label", "label"))
    chosen = _choose(path, list(found), names)
    table = {name: found[column] for name, column in chosen.items()}
    missing = next((row for row, place in enumerate(table["path"]) if place is None), None)
    if missing is not None:
        raise DataError(f"{path}: row {missing}: path: expected a file, found nothing")
    columns: dict[str, _Column] = {
        name: [to_text(value) if name in KEYS else _clean(value) for value in values]
        for name, values in table.items()
    }
    return {**columns, "path": [str(place) for place in table["path"]]}


def _clean(value: object) -> Cell | None:
    return clean(value) if isinstance(value, str) else cast("Cell | None", value)


def _read_text(path: Path, names: Names) -> dict[str, _Column]:
    """The columns of a text file under their new names; paths as they stand there."""
    with ExitStack() as stack:
        file = stack.enter_context(open_regular(path))
        if file.seek(0, 2) > _LIMIT:
            raise DataError(f"{path}: larger than {_LIMIT >> 20} MB", "Store it as Parquet.")
        file.seek(0)
        rows = read_rows(path, stack.enter_context(open_text(file)), names.get("path", "path"))
        header = [name.strip() for name in next(rows, TextRow(1, [])).cells]
        chosen = _choose(path, [name for name in header if name], names)
        table: dict[str, list[str | None]] = {name: [] for name in chosen}
        places = {name: header.index(column) for name, column in chosen.items()}
        said = _Said(path)
        for row in rows:
            for name, place in places.items():
                cell = row.cells[place]
                if not cell.isascii() or "\n" in cell or "\r" in cell:
                    said.look_at(row, name, place, places["path"])
                table[name].append(cell if name == "path" else clean(cell))
            if not row.cells[places["path"]].strip():
                raise DataError(f"{path}: line {row.line}: path: expected a file, found nothing")
    _say_unnamed(path, header)
    return {name: texts if name in KEYS else guess_numbers(texts) for name, texts in table.items()}


class _Said:
    """What is odd in a text table, each said once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: set[str] = set()

    def look_at(self, row: TextRow, name: str, column: int, path: int) -> None:
        """Look at one cell of a row, of which another is its path."""
        cell, place = row.cells[column], row.cells[path]
        if name != "path" and _NO_UTF8.search(cell):
            self._once(
                row, name, "not UTF-8 (Latin-1? Windows-1252?): other bytes stay as they are"
            )
        _, *further = cell.splitlines() or [""]
        ending = Path(place).suffix
        swallowed = bool(ending) and any(ending in line for line in further)
        rows = row.swallowed(column, path) if further else []
        if (swallowed and name in KEYS) or any(self._is_image(each, place) for each in rows):
            raise DataError(
                f"{self._path}: line {row.line}: {name} goes over {len(further) + 1} lines, one of "
                "which names another image: a quote is never closed"
            )
        if swallowed or (further and name in KEYS):
            self._once(row, name, f"goes over {len(further) + 1} lines: is a quote missing?")

    def _is_image(self, name: str, place: str) -> bool:
        """Whether a cell names an image as the one at `place` is: of its kind, or there."""
        one, other = Path(name), Path(place)
        folders = {str(one.parent), str(other.parent)}
        alike = one.suffix == other.suffix != "" or (len(folders) == 1 and folders != {"."})
        return bool(name) and (alike or os.path.lexists(self._path.parent / name))

    def _once(self, row: TextRow, name: str, message: str) -> None:
        if message[:4] not in self._said:
            self._said.add(message[:4])
            console.warning(f"{self._path}: line {row.line}: {name}: {message}")


def _say_unnamed(path: Path, header: Sequence[str]) -> None:
    count = sum(not name for name in header)
    if count:
        what = "a column without a name is" if count == 1 else f"{count} columns without a name are"
        console.note(f"{path}: {what} left out")


def _choose(path: Path, there: Sequence[str], names: Names) -> dict[str, str]:
    """What each column is called: its new name, and the table's."""
    twice = next((name for name in there if there.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are named {twice!r}")
    for name, column in names.items():
        if column not in there:
            listed = ", ".join(there)
            raise SettingError(
                "columns", f"no column {column!r} in {path}; there are {listed}", value=name
            )
    names = {**_in_capitals(path, there, names), **names}
    kept = {name: name for name in there if name not in names and name not in names.values()}
    hidden = [name for name in there if name in names and name not in names.values()]
    if hidden:
        console.note(f"{path}: its own {', '.join(hidden)} is left out")
    if "path" not in names and "path" not in kept:
        found = ", ".join(there[:10]) or "nothing"
        raise DataError(
            f"{path}: expected a column 'path', found {found}",
            "Name it with `columns` path=COLUMN." if there else "",
        )
    chosen = kept | names
    return {
        name: chosen[name] for name in sorted(chosen, key=lambda name: there.index(chosen[name]))
    }


def _in_capitals(path: Path, there: Sequence[str], names: Names) -> dict[str, str]:
    """The columns `Path`, `LABEL` and the like, where nothing else is the path or the label."""
    found = {}
    for name in KEYS:
        like = [column for column in there if column.casefold() == name]
        if name in names or name in there or not like or like[0] in names.values():
            continue
        if len(like) > 1:
            raise DataError(f"{path}: which is the column {name!r}: {' or '.join(like)}?")
        found[name] = like[0]
        console.note(f"{path}: the column {like[0]} is taken as {name}")
    return found
