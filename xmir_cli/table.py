"""A table that fits its width: no number is cut, and texts are shortened in the middle.

Where a row is too wide even so, the columns become rows, as many records side by side as fit.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

GAP = "  "  # between columns
_LENGTHS = (12, 18, 24, 36, 48, 72)  # to which texts are shortened, as long as they stay distinct
_DIGITS = 32  # that a number has at most
_SIDE = 24  # to which texts are shortened at most for records to stand side by side
_EMOJI = "\ufe0f"  # makes of the character before it a picture, which is a cell wider
_PARTS = re.compile(r"(?<=[_.])")  # where a name may go on in the next line

Row = Sequence[str]


@dataclass(frozen=True)
class Column:
    """The place of a column: its header's lines, its width in cells, and whether it is numbers."""

    header: tuple[str, ...]
    width: int
    numeric: bool

    def place(self, text: str) -> str:
        """A text in exactly this width, numbers at the right."""
        short = shorten(text, self.width)
        space = " " * (self.width - count_cells(short))
        return f"{space}{short}" if self.numeric else f"{short}{space}"


def lay_out(names: Row, rows: Sequence[Row], width: int | None) -> list[Column] | None:
    """The places of the columns in `width` cells, None for any; None where they do not fit."""
    columns = [[row[index] for row in rows] for index in range(len(names))]
    numeric = [all(is_number(cell) for cell in cells if cell) for cells in columns]
    widest = [max(map(count_cells, cells), default=0) for cells in columns]
    wanted = [max(count_cells(name), size) for name, size in zip(names, widest, strict=True)]
    room = sum(wanted) if width is None else width - len(GAP) * (len(names) - 1)
    if sum(wanted) > room:
        least = [
            max(size if number else _shortest(cells, size), _longest_part(name))
            for name, cells, size, number in zip(names, columns, widest, numeric, strict=True)
        ]
        if sum(least) > room:
            return None
        wanted = _share(least, wanted, room)
    return [
        Column(tuple(_fold(name, size)), size, number)
        for name, size, number in zip(names, wanted, numeric, strict=True)
    ]


def head(columns: Sequence[Column]) -> list[str]:
    """The lines of the header; a name's last stands right above the cells."""
    height = max(len(column.header) for column in columns)
    padded = [("",) * (height - len(column.header)) + column.header for column in columns]
    return [line(columns, parts) for parts in zip(*padded, strict=True)]


def line(columns: Sequence[Column], cells: Row) -> str:
    """One row."""
    return GAP.join(column.place(cell) for column, cell in zip(columns, cells, strict=True))


def stack(names: Row, rows: Sequence[Row], width: int) -> Iterator[list[str]]:
    """Blocks with a line for each name: in each as many rows, side by side, as fit.

    Where not even one number fits beside its name, each cell stands below its name.
    """
    title = max(map(count_cells, names))
    numbers = [count_cells(cell) for row in rows for cell in row if is_number(cell)]
    room = width - title - len(GAP)
    if room >= max(numbers, default=1):
        yield from _stack_beside(names, rows, title, room)
        return
    for row in rows:
        yield [part for pair in zip(names, row, strict=True) for part in below(*pair, width)]


def _stack_beside(names: Row, rows: Sequence[Row], title: int, room: int) -> Iterator[list[str]]:
    """The same with names in `title` cells, and beside them cells in `room`."""
    texts = [[row[index] for row in rows] for index in range(len(names))]
    limits = [_shortest(each, max(map(count_cells, each))) for each in texts]
    lengths = [room if len(rows) == 1 else min(room, max(limit, _SIDE)) for limit in limits]
    left = [[shorten(*each) for each in zip(row, lengths, strict=True)] for row in rows]
    while left:
        sizes = [max(map(count_cells, row)) for row in left]
        count = 1
        while count < len(left) and sum(sizes[: count + 1]) + len(GAP) * count <= room:
            count += 1
        block, left = left[:count], left[count:]
        places = [Column((), title, numeric=False)]
        places += [Column((), size, numeric=True) for size in sizes[:count]]
        yield [line(places, cells) for cells in zip(names, *block, strict=True)]


def below(name: str, value: str, width: int) -> list[str]:
    """A value under its name, in as many lines of at most `width` cells as they take."""
    return [*_wrap(name, width), *(GAP + part for part in _wrap(value, width - len(GAP)))]


def shorten(text: str, width: int) -> str:
    """A text in at most `width` cells, without its middle where it is longer; a number whole."""
    if count_cells(text) <= width or is_number(text):
        return text
    before, after = (width - 1) // 3, width - 1 - (width - 1) // 3  # an id's end tells more
    return f"{_cut(text, before)}…{_cut(text[::-1], after)[::-1]}" if width > 1 else "…"


def count_cells(text: str) -> int:
    """How many cells a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def is_number(cell: str) -> bool:
    """Whether the text is one number, and no id that has digits only."""
    if len(cell) > _DIGITS:
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cells(character: str) -> int:
    if character != _EMOJI and unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _cut(text: str, width: int) -> str:
    """The longest beginning that takes at most `width` cells."""
    for end, character in enumerate(text):
        width -= _cells(character)
        if width < 0:
            return text[:end]
    return text


def _wrap(text: str, width: int) -> Iterator[str]:
    """A text in pieces of at most `width` cells; a number whole."""
    while count_cells(text) > max(width, 2) and not is_number(text):
        piece = _cut(text, max(width, 2))
        yield piece
        text = text[len(piece) :]
    yield text


def _shortest(cells: Iterable[str], widest: int) -> int:
    """The smallest width in which texts that differ still look different."""
    texts = set(cells)
    for length in _LENGTHS:
        if length >= widest:
            break
        if len({shorten(text, length) for text in texts}) == len(texts):
            return length
    return widest


def _longest_part(name: str) -> int:
    return max(map(count_cells, _PARTS.split(name)))


def _fold(name: str, width: int) -> list[str]:
    """A name in lines of at most `width` cells."""
    lines = [""]
    for part in _PARTS.split(name):
        if lines[-1] and count_cells(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return lines


def _share(least: Sequence[int], wanted: Sequence[int], room: int) -> list[int]:
    """Widths from least to wanted that fill the room, the narrowest widened first."""
    found = list(least)
    for level in range(room + 1):
        wider = [min(want, max(level, low)) for low, want in zip(least, wanted, strict=True)]
        if sum(wider) > room:
            break
        found = wider
    return found
