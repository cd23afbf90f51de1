"""Records on stdout: JSONL for pipes, a table or a list for eyes."""

import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from xmir_cli.console import note, show
from xmir_cli.errors import DataError
from xmir_cli.wire.records import Record


@dataclass(frozen=True)
class Shown:
    """What the forms other than JSONL show of a command's records."""

    columns: Sequence[str] = ()  # of a table, TSV or CSV; dots reach into objects; (): the row's
    path_key: str = "path"  # whose value the form `paths` prints, where a record has one
    rows: Callable[[Record], Iterable[Record]] | None = None  # a record as several table rows
    grows: bool = False  # table rows are printed as they come, not aligned at the end
    schema: str = ""  # of the records shown; others are noted on stderr by their path
    eyes: str = "table"  # the form on a terminal


class Printer:
    """Writes records to stdout as they are known: JSONL in a pipe, a table on a terminal.

    A table is drawn at the end, the others line by line.
    """

    def __init__(self, form: str | None, shown: Shown) -> None:
        self.form = form or (shown.eyes if _is_terminal() else "jsonl")
        self.shown = shown
        self.columns = list(shown.columns)
        self.rows: list[list[str]] = []
        self.begun = self.headed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.form in {"tsv", "csv"} and kind is None and self.columns:
            self._head()
        if self.form == "table" and self.rows:
            self._draw()

    def write(self, record: Record) -> None:
        """Print one record."""
        if self.form == "jsonl":
            self._line(json.dumps(record, allow_nan=False))
        elif self.form == "paths":
            if self.shown.path_key in record:
                self._line(str(record[self.shown.path_key]))
        elif self.form == "list":
            self._line("\n".join([*_listed(record), ""]))
        elif self.shown.schema and record.get("schema") != self.shown.schema:
            note(f"wrote {record.get('path', '')}")
        else:
            for row in [record] if self.shown.rows is None else self.shown.rows(record):
                self._row(row)

    def _row(self, record: Record) -> None:
        self.columns = self.columns or list(record)
        self._head()
        cells = [_cell(record, column) for column in self.columns]
        if self.form != "table":
            self._line(self._separated(cells))
        elif self.shown.grows:
            self._line(_aligned(cells, self.columns))
        else:
            self.rows.append(cells)

    def _head(self) -> None:
        """The names of the columns, once."""
        if self.headed:
            return
        self.headed = True
        if self.form in {"tsv", "csv"}:
            self._line(self._separated(self.columns))
        elif self.shown.grows:
            self._line(_aligned(self.columns, self.columns))

    def _begin(self) -> None:
        self.begun = True
        if sys.stdout is None:
            raise DataError("standard output is closed")
        # file names that are no UTF-8 go out as they are, whatever the locale
        sys.stdout.reconfigure(  # type: ignore[union-attr] # a TextIOWrapper at run time
            encoding="utf-8", errors="surrogateescape"
        )

    def _line(self, text: str) -> None:
        if not self.begun:
            self._begin()
        try:
            sys.stdout.write(f"{_encodable(text)}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise DataError(f"standard output: {(error.strerror or 'closed').lower()}") from None

    def _separated(self, cells: Sequence[str]) -> str:
        if self.form == "tsv":
            return "\t".join(" ".join(re.split(r"[\t\r\n]", cell)) for cell in cells)
        buffer = io.StringIO()
        # cells with a character of the line's end are quoted
        csv.writer(buffer, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
        return buffer.getvalue().removesuffix("\r\n")

    def _draw(self) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, header_style="bold", pad_edge=False)
        ends = Counter(_last_part(column) for column in self.columns)
        for index, column in enumerate(self.columns):
            numeric = all(_is_number(row[index]) for row in self.rows if row[index])
            end = _last_part(column)
            header = end if ends[end] == 1 else column
            table.add_column(header, justify="right" if numeric else "left")
        for row in self.rows:
            table.add_row(*(Text(show(cell)) for cell in row))
        Console(markup=False, highlight=False).print(table)


def _last_part(column: str) -> str:
    """What a column of an object is called where no other is called the same."""
    return column.rpartition(".")[2]


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _aligned(cells: Sequence[str], names: Sequence[str]) -> str:
    """Cells under their column's name, right-aligned."""
    pairs = zip(cells, names, strict=True)
    return "  ".join(text.rjust(max(7, len(name))) for text, name in pairs)


def _listed(record: Record) -> list[str]:
    """A line a key, the values aligned; `schema` is left out."""
    rows = [row for row in _flat(record, "") if row[0] != "schema"]
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}".rstrip() for name, value in rows]


def _flat(record: Record, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        key = show(f"{prefix}{name}")
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        elif isinstance(value, list | tuple):
            yield key, show(", ".join(str(part) for part in value))
        else:
            yield key, "" if value is None else show(str(value))


def _cell(record: Mapping[str, object], column: str) -> str:
    value: object = record
    for part in column.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value)


def _encodable(text: str) -> str:
    """Text without the half characters that JSON can name and no encoding has."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _harmless(cell: str) -> str:
    """A CSV cell that no spreadsheet takes for a formula; plain numbers stay numbers."""
    return f"'{cell}" if cell[:1] in set("=+-@\t\r") and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
