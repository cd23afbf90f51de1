"""Records on stdout: JSONL for pipes, a table or a list for eyes."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import TracebackType
from typing import Self

from xmir_cli.cells import cell_of, encodable, harmless
from xmir_cli.console import escape, note
from xmir_cli.listing import list_lines
from xmir_cli.table import Column, head, lay_out, line, shorten, stack
from xmir_cli.terminal import FALLBACK, bold, find_width, is_terminal, print_text, safe, speak_utf8
from xmir_cli.wire.records import Record

_encode = json.JSONEncoder(allow_nan=False).encode
_GROWING = "0" * 7  # how wide the cells of a growing table may become


@dataclass(frozen=True)
class Shown:
    """What the forms other than JSONL show of a command's records."""

    columns: Sequence[str] = ()  # of a table, TSV or CSV; dots reach into objects; (): the row's
    path_key: str = "path"  # whose value the form `paths` prints, where a record has one
    rows: Callable[[Record], Iterable[Record]] | None = None  # a record as several table rows
    group: str = ""  # the column whose value stands once above the rows of a table that have it
    grows: bool = False  # table rows are printed as they come, not aligned at the end
    schema: str = ""  # of the records shown; others are noted on stderr by their path
    eyes: str = "table"  # the form on a terminal
    below: str = ""  # the column whose value stands once below a table, and last in TSV and CSV
    pictures: bool = False  # whether a terminal may show those that the records name


class Printer:
    """Writes records to stdout as they are known: JSONL in a pipe, a table on a terminal.

    A table is drawn at the end, the others line by line.
    """

    def __init__(
        self,
        form: str | None,
        shown: Shown,
        null: bool = False,
        width: Callable[[], int | None] | None = None,
    ) -> None:
        """With `null` the form `paths` ends each with a NUL byte; `width` gives a table's cells."""
        self.width = width or find_width
        self.end = "\0" if null and form == "paths" else "\n"
        self.form = form or (shown.eyes if is_terminal() else "jsonl")
        self.shown = shown
        self.columns = list(shown.columns)
        if self.form in {"tsv", "csv"} and shown.below:
            self.columns.append(shown.below)
        self.below: dict[str, None] = {}  # its values, each once
        self.rows: list[list[str]] = []
        self.places: list[Column] | None = None  # of a growing table
        self.begun = self.headed = self.watched = False

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
        if kind is not None:
            self.below.clear()  # what is named there may not be
        self.draw_now()

    def write(self, record: Record) -> None:
        """Print one record."""
        if self.form == "jsonl":
            # the one control character that JSON leaves as it is
            self._line(_encode(record).replace("\x7f", "\\u007f"))
        elif self.form == "paths":
            if self.shown.path_key in record:
                self._line(safe(str(record[self.shown.path_key])))
        elif self.form == "list":
            self._line("\n".join([*list_lines(record, self.width()), ""]))
        elif self.shown.schema and record.get("schema") != self.shown.schema:
            note(f"wrote {record.get('path', '')}")
        else:
            for row in [record] if self.shown.rows is None else self.shown.rows(record):
                self._row(row)

    def draw_now(self) -> None:
        """Draw the rows so far as a table of their own, where they are held for one."""
        if self.form == "table" and self.rows:
            self._draw()
            for value in self.below:
                self._line(f"{self.shown.below}: {safe(value)}")
            self.rows = []
            self.below.clear()

    def _row(self, record: Record) -> None:
        self.columns = self.columns or list(record)
        self._head()
        cells = [cell_of(record, column) for column in self.columns]
        if self.form != "table":
            self._line(self._separated(cells))
        elif not self.shown.grows:
            self.rows.append(cells)
            self.below |= dict.fromkeys(filter(None, [cell_of(record, self.shown.below)]))
        elif self.places:
            self._line(line(self.places, cells))
        else:
            self._stack(self.columns, [cells], self.width())

    def _head(self) -> None:
        """The names of the columns, once."""
        if self.headed:
            return
        self.headed = True
        if self.form in {"tsv", "csv"}:
            self._line(self._separated(self.columns))
        elif self.shown.grows:
            widest = [[_GROWING] * len(self.columns)]
            self.places = lay_out(self.columns, widest, self.width())
            for text in head(self.places) if self.places else ():
                self._line(bold(text))

    def _line(self, text: str) -> None:
        if not self.begun:
            speak_utf8()
            self.begun, self.watched = True, is_terminal()
        print_text(f"{encodable(text)}{self.end}", self.watched)

    def _separated(self, cells: Sequence[str]) -> str:
        cells = [safe(cell) for cell in cells]
        if self.form == "tsv":
            return "\t".join(" ".join(re.split(r"[\t\r\n]", cell)) for cell in cells)
        buffer = io.StringIO()
        # cells with a character of the line's end are quoted
        csv.writer(buffer, lineterminator="\r\n").writerow([harmless(cell) for cell in cells])
        return buffer.getvalue().removesuffix("\r\n")

    def _draw(self) -> None:
        """The table, the rows of one query under its name."""
        rows = [[escape(cell) for cell in row] for row in self.rows]
        width, names = self.width(), self._headers()
        groups: list[tuple[str, list[list[str]]]] = [("", rows)]
        if self.shown.group in self.columns:
            found = _group(rows, self.columns.index(self.shown.group))
            if len(found) < len(rows):
                groups = found
                names.pop(self.columns.index(self.shown.group))
        columns = lay_out(names, [row for _, part in groups for row in part], width)
        for text in head(columns) if columns else ():
            self._line(bold(text))
        for title, part in groups:
            if title:
                named = f"{self.shown.group} {title}"
                self._line(named if width is None else shorten(named, width))
            if columns:
                for row in part:
                    self._line(line(columns, row))
            else:
                self._stack(names, part, width)

    def _stack(
        self, names: Sequence[str], rows: Sequence[Sequence[str]], width: int | None
    ) -> None:
        """Rows as blocks with a line a column."""
        for block in stack(names, rows, width or FALLBACK):
            self._line("\n".join([*block, ""]))

    def _headers(self) -> list[str]:
        """The names of the columns; of one of an image's table its own, unless two are alike."""
        ends = Counter(map(_own_name, self.columns))
        parts = ((column, _own_name(column)) for column in self.columns)
        return [end if ends[end] == 1 else column for column, end in parts]


def _group(rows: Sequence[Sequence[str]], place: int) -> list[tuple[str, list[list[str]]]]:
    """Consecutive rows of one value in a column, without the column, under the value."""
    return [
        (value, [[*row[:place], *row[place + 1 :]] for row in part])
        for value, part in groupby(rows, key=lambda row: row[place])
    ]


def _own_name(column: str) -> str:
    """What a column is called where no other is called the same: id of meta.id."""
    return column.removeprefix("meta.")
