"""Tables in CSV and TSV as people and spreadsheets write them, read strictly.

UTF-8 with or without a mark, UTF-16 and UTF-32 with one; any line ends; `sep=;` in the first line;
another separator where the header says so. What cannot be read for sure is an error with its line.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

from xmir_cli import console
from xmir_cli.errors import DataError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
_OTHERS = (";", "\t", "|", ",")  # that are taken when the header only fits with them
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # starts as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATOR = re.compile(r'"?sep=(\\t|.)"?[;,\s]*', re.IGNORECASE)
_NAMES = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}


class TextRow(NamedTuple):
    """The cells of one row, and the line in which it starts."""

    line: int
    cells: Sequence[str]
    delimiter: str = ","

    def swallowed(self, column: int, path: int) -> list[str]:
        """Paths of other rows that a cell of several lines holds, if it is rows and nothing else.

        Such a cell is the end of one row, whole rows, and the beginning of another.
        """
        lines = [line.split(self.delimiter) for line in self.cells[column].splitlines()]
        width = len(self.cells)
        widths = [width - column, *[width] * (len(lines) - 2), column + 1]
        if path == column or len(lines) < 2 or list(map(len, lines)) != widths:
            return []
        own = [[""] * column + lines[0]]  # whose path the cell holds when that stands behind it
        others = [*own, *lines[1:-1]] if path > column else lines[1:]
        return [line[path].strip() for line in others]


def open_text(file: BinaryIO) -> io.TextIOWrapper:
    """A file's text, in the encoding that its mark names, else UTF-8; line ends as they are."""
    start = file.read(4)
    file.seek(0)
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8-sig")
    errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
    return io.TextIOWrapper(file, encoding, errors, newline="")


def read_rows(path: Path, text: TextIO, wanted: str) -> Iterator[TextRow]:
    """The header, then the rows, each with as many cells as the header; without empty rows.

    `wanted` is a column that the header has to have. Raises DataError naming the line.
    """
    lines = _Lines(path, text)
    first = next((line for line in lines if line.strip()), "")
    delimiter = DELIMITERS[path.suffix.lower()]
    if told := _SEPARATOR.fullmatch(first):
        delimiter = "\t" if told[1] == r"\t" else told[1]
        first = next((line for line in lines if line.strip()), "")
    else:
        delimiter = _find_delimiter(path, first, delimiter, wanted)
    before = lines.number - bool(first)
    spaced = f"{delimiter} " in first  # `path, label`
    reader = csv.reader(
        chain([first], lines), delimiter=delimiter, strict=True, skipinitialspace=spaced
    )
    width = 0
    while True:
        start = before + reader.line_num + 1
        lines.begin(first if start == before + 1 else "")
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}: {_explain(error, lines, start, delimiter)}") from None
        if len(cells) != width or not cells or not cells[0].strip():
            filled = max((place for place, cell in enumerate(cells, 1) if cell.strip()), default=0)
            if not filled:
                continue
            width = width or filled  # columns behind the last name are empty ones of a spreadsheet
            if filled > width or len(cells) < width:
                found = max(filled, len(cells))
                raise DataError(f"{path}: line {start}: expected {width} values, found {found}")
        yield TextRow(start, cells[:width], delimiter)


class _Lines:
    """The lines of a file as text, whatever ends them; those of the row at hand are kept."""

    def __init__(self, path: Path, text: TextIO) -> None:
        self._path, self._text = path, text
        self.number = 0
        self.row: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        try:
            line = next(self._text)
        except UnicodeDecodeError as error:
            name = error.encoding.upper()
            raise DataError(f"{self._path}: line {self.number + 1}: not {name}") from None
        self.number += 1
        if "\0" in line:
            raise DataError(
                f"{self._path}: line {self.number}: a NUL byte (UTF-16 without its mark?)",
                "Save the table as UTF-8.",
            )
        self.row.append(line)
        return line

    def begin(self, line: str) -> None:
        """A new row begins, with a line that was read before if there is one."""
        self.row = [line] if line else []


def _find_delimiter(path: Path, header: str, usual: str, wanted: str) -> str:
    """The delimiter under which the header has the wanted column, in any capitals."""
    for delimiter in dict.fromkeys([usual, *_OTHERS]):
        names = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
        if wanted.casefold() in (name.strip().casefold() for name in names):
            if delimiter != usual:
                console.note(f"{path}: read with {_NAMES[delimiter]} between the values")
            return delimiter
    return usual


def _explain(error: csv.Error, lines: _Lines, start: int, delimiter: str) -> str:
    """What is wrong with a row, and in which line."""
    said = str(error)
    opened = start + _last_opened(lines.row, delimiter)
    if "unexpected end" in said:
        return f"line {opened}: a quote is opened and never closed"
    if "expected after" in said:
        return (
            f"line {opened}: text follows a closing quote: a quote is never closed, or one inside "
            "of a value is not doubled"
        )
    if "field limit" in said:
        limit = csv.field_size_limit()
        return f"line {opened}: a value of more than {limit} characters: is a quote never closed?"
    return f"line {start}: not a table ({said})"


def _last_opened(lines: Sequence[str], delimiter: str) -> int:
    """In which of a row's lines its last quote opens."""
    opened, inside = 0, False
    for number, line in enumerate(lines):
        before = delimiter
        for character in line:
            if inside and character == '"':
                inside = False
            elif character == '"' and before in (delimiter, '"'):
                opened, inside = number, True
            before = before if character == " " and before == delimiter else character
    return opened
