"""A terminal that shows pictures: how it does, by its own answers, and on how many cells."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from fcntl import ioctl
from functools import cached_property
from struct import unpack
from termios import TIOCGWINSZ

from PIL import Image

from xmir_cli.console import in_words, note
from xmir_cli.screen.asking import Answers, ask
from xmir_cli.screen.blocks import draw_blocks
from xmir_cli.screen.iterm2 import draw_iterm2
from xmir_cli.screen.kitty import MOST_ROWS, draw_in_tmux, draw_kitty
from xmir_cli.screen.sixel import draw_sixel
from xmir_cli.shared_terminal import is_dumb
from xmir_cli.signals import ending_waits
from xmir_cli.terminal import FALLBACK, find_width, is_terminal, print_text, speak_utf8

_USUAL = (10.0, 20.0)  # pixels of a cell where nobody tells
_COLORS = 256
_LINES = 24  # of a terminal that does not tell


class Way(StrEnum):
    """How pictures get onto a terminal."""

    KITTY = "kitty"
    TMUX = "kitty in tmux"
    ITERM2 = "iterm2"
    SIXEL = "sixel"
    BLOCKS = "half blocks"


@dataclass(frozen=True)
class CellBox:
    """Some cells of a terminal, side by side and below each other."""

    columns: int
    rows: int


def open_screen() -> "Screen | None":
    """Standard output where it is a terminal; else None, and that is said."""
    if not is_terminal():
        note(in_words("`show`: standard output is no terminal, so no pictures are shown"))
        return None
    screen = Screen()
    if sys.stdin is not None and sys.stdin.isatty():
        # at once, before anybody types ahead; in a pipe others may have the terminal's keys
        screen.refusal  # noqa: B018 # asks
    return screen


class Screen:
    """Standard output, which is a terminal."""

    def __init__(self) -> None:
        speak_utf8()

    @cached_property
    def answers(self) -> Answers:
        """What the terminal says of itself."""
        if _named("linux"):  # the console of Linux may print what it does not know
            return Answers()
        return ask(_is_wrapped(), self._size())

    @cached_property
    def way(self) -> Way:
        """How it shows pictures best."""
        answers = self.answers
        if answers.kitty:
            return Way.TMUX if answers.name.startswith("tmux ") else Way.KITTY
        if answers.iterm2:
            return Way.ITERM2
        return Way.SIXEL if answers.sixel else Way.BLOCKS

    @property
    def refusal(self) -> str:
        """Why it shows no pictures; nothing where it does."""
        if is_dumb():
            return "this terminal shows no pictures"
        if self.way is Way.BLOCKS and os.environ.get("NO_COLOR"):
            return "this terminal shows pictures as coloured text, which $NO_COLOR forbids"
        return ""

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell in pixels, of which at least the ratio is the terminal's."""
        return self.answers.cell or _cell_of_system() or _USUAL

    @property
    def grain(self) -> tuple[float, float]:
        """How many pixels wide and high a cell is drawn."""
        return (1, 2) if self.way is Way.BLOCKS else self.cell

    @property
    def room(self) -> CellBox:
        """What a picture may take up to be seen as a whole."""
        size = self._size()
        columns = find_width() or size.columns
        if self.way is Way.SIXEL and self.answers.largest:
            columns = min(columns, max(1, int(self.answers.largest[0] // self.cell[0])))
        return CellBox(columns, max(1, size.lines - 1))

    def print_picture(self, picture: Image.Image, place: CellBox) -> None:
        """Print a picture [RGBA] on so many cells, whatever its own size, and go on below it.

        What is higher than the terminal comes in parts.
        """
        width, height = self.grain
        size = (round(place.columns * width), round(place.rows * height))
        whole = picture.resize(size, Image.Resampling.LANCZOS) if picture.size != size else picture
        most = self.room.rows
        if self.way is Way.TMUX:
            most = min(most, MOST_ROWS)
        if self.way is Way.SIXEL and self.answers.largest:
            most = min(most, max(1, int(self.answers.largest[1] // height)))
        for top in range(0, place.rows, most):
            rows = min(most, place.rows - top)
            box = (0, round(top * height), size[0], round((top + rows) * height))
            drawn = self._drawn(whole.crop(box), CellBox(place.columns, rows))
            with ending_waits():  # a picture that breaks off would leave the terminal waiting
                print_text(drawn, watched=True)

    def print_lines(self, lines: Sequence[str]) -> None:
        """Print lines of text."""
        for line in lines:
            print_text(f"{line}\n", watched=True)

    def _drawn(self, picture: Image.Image, place: CellBox) -> str:
        """What puts a picture on the lines below, and the cursor below them."""
        if self.way is Way.BLOCKS:
            return draw_blocks(picture, self._is_exact)
        if self.way is Way.TMUX:
            return draw_in_tmux(picture, place.columns, place.rows)
        if self.way is Way.KITTY:
            drawn = draw_kitty(picture, place.columns, place.rows)
        elif self.way is Way.ITERM2:
            drawn = draw_iterm2(picture, place.columns, place.rows)
        else:
            drawn = draw_sixel(picture, min(_COLORS, max(2, self.answers.colors or _COLORS)))
        # room first: nothing scrolls while it is drawn, wherever a terminal leaves its cursor
        room = "\n" * place.rows
        return f"{room}\x1b[{place.rows}A\x1b7{drawn}\x1b8\x1b[{place.rows}B\r"

    @property
    def _is_exact(self) -> bool:
        """Whether it knows 24 bits of colour: it says so, or it is new enough to say its name."""
        said = os.environ.get("COLORTERM", "").lower() in {"truecolor", "24bit"}
        return said or bool(self.answers.name) or os.environ.get("TERM", "").endswith("-direct")

    def _size(self) -> os.terminal_size:
        with suppress(OSError, ValueError):
            size = os.get_terminal_size(sys.stdout.fileno())
            if size.columns and size.lines:
                return size
        return os.terminal_size((find_width() or FALLBACK, _LINES))


def _cell_of_system() -> tuple[float, float] | None:
    with suppress(OSError, ValueError):
        rows, columns, width, height = unpack(
            "HHHH", ioctl(sys.stdout.fileno(), TIOCGWINSZ, b"\0" * 8)
        )
        if rows and columns and width and height:
            return width / columns, height / rows
    return None


def _is_wrapped() -> bool:
    """Whether the terminal is kept by tmux or screen, whose questions would go astray."""
    return bool(os.environ.get("TMUX") or os.environ.get("STY")) or _named("screen", "tmux")


def _named(*names: str) -> bool:
    return os.environ.get("TERM", "").startswith(names)
