"""Records on stdout: JSONL for pipes, a table for eyes."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from xmir_cli.console import show
from xmir_cli.errors import DataError


def columns_of(records: Iterable[Mapping[str, object]]) -> list[str]:
    """The keys of the records in order of first appearance."""
    return list(dict.fromkeys(key for record in records for key in record))


class Printer:
    """Writes records to stdout as they are known: JSONL in a pipe, a table on a terminal.

    `columns` names what a table, TSV or CSV shows (dots reach into objects); `path_key` names the
    value that the format `paths` prints. A table is drawn at the end, the others line by line.
    """

    def __init__(self, form: str, columns: Sequence[str], path_key: str) -> None:
        self.columns, self.path_key = list(columns), path_key
        if sys.stdout is None:
            raise DataError("standard output is closed")
        self.form = form or ("table" if sys.stdout.isatty() else "jsonl")
        # file names that are no UTF-8 go out as they are, whatever the locale
        sys.stdout.reconfigure(  # type: ignore[union-attr] # a TextIOWrapper at run time
            encoding="utf-8", errors="surrogateescape"
        )
        self.rows: list[list[str]] = []

    def __enter__(self) -> Self:
        if self.form in {"tsv", "csv"}:
            self._line(self._separated(self.columns))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.form == "table" and self.rows:
            self._draw()

    def write(self, record: Mapping[str, object]) -> None:
        """Print one record."""
        if self.form == "jsonl":
            self._line(json.dumps(record, allow_nan=False))
        elif self.form == "paths":
            self._line(str(record.get(self.path_key, "")))
        elif self.form == "table":
            self.rows.append([_cell(record, column) for column in self.columns])
        else:
            self._line(self._separated([_cell(record, column) for column in self.columns]))

    def _line(self, text: str) -> None:
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

        table = Table(box=None, header_style="bold", pad_edge=False)
        for index, column in enumerate(self.columns):
            numeric = all(_is_number(row[index]) for row in self.rows if row[index])
            table.add_column(column.split(".")[-1], justify="right" if numeric else "left")
        from rich.text import Text

        for row in self.rows:
            table.add_row(*(Text(show(cell)) for cell in row))
        Console(markup=False, highlight=False).print(table)


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
