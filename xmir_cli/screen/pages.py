"""Whole pages on a terminal, as wide as it is."""

from collections.abc import Iterable, Iterator
from math import ceil

from PIL import Image

from xmir_cli.console import note
from xmir_cli.screen.pictures import CellBox, Screen, Way, open_screen


def shown(wanted: bool, pages: Iterable[Image.Image]) -> Iterator[Image.Image]:
    """The pages, each of which a terminal shows, if `wanted`, once its taker is done with it."""
    screen = open_screen() if wanted else None
    refusal = "" if screen is None else screen.refusal
    if refusal:
        note(refusal)
    for page in pages:
        yield page
        if screen is not None and not refusal:
            print_page(screen, page)


def print_page(screen: Screen, page: Image.Image) -> None:
    """Print a page, but not larger than it is."""
    room, (width, height) = screen.room, screen.cell
    columns = room.columns
    if screen.way is not Way.BLOCKS:
        columns = min(columns, ceil(page.width / width))
    rows = max(1, round(columns * width * page.height / page.width / height))
    screen.print_picture(page.convert("RGBA"), CellBox(columns, rows))
