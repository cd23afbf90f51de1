"""Rows of a montage on sheets: one picture, numbered pictures, or the pages of a PDF."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from math import ceil
from pathlib import Path

from PIL import Image

from xmir_cli.render.montage import PageLayout, stack
from xmir_cli.render.pdf import PdfPages, paper, point
from xmir_cli.store.atomic import atomic_file, refuse_existing

_HIGHEST = 16_000  # pixels of the rows of a picture
_LARGEST = 1 << 26  # pixels of it in all, for it is held in memory; one row is always on it
_POINTS = 7  # of letters on paper at least, which are read without a glass
_UPRIGHT = 5  # pictures side by side on upright paper; more lie on landscape


@dataclass(frozen=True)
class Paging:
    """What all sheets share."""

    layout: PageLayout
    header: Image.Image
    footer: Image.Image
    rows: int | None  # of a sheet; as many as paper holds when None

    @property
    def landscape(self) -> bool:
        """Whether paper lies on its long side."""
        return _lies(self.layout)

    @property
    def room(self) -> float:
        """Pixels that rows may be high together."""
        if self.rows is not None:
            return min(_HIGHEST, _LARGEST / self.layout.width)
        high = paper(self.landscape, self.layout.width)[1]
        return high - self.header.height - self.footer.height

    def fill(self, rows: Iterable[Sequence[Image.Image]]) -> Iterator[Image.Image]:
        """Sheets of rows, which are lines each; a row higher than a sheet goes on on the next."""
        held: list[Image.Image] = []
        count = 0
        for lines in rows:
            if held and (count == self.rows or not self._fit([*held, *lines])):
                yield self._put(held)
                held, count = [], 0
            for line in lines:
                if held and not self._fit([*held, line]):
                    yield self._put(held)
                    held, count = [], 0
                held.append(line)
            count += 1
        if held:
            yield self._put(held)

    def _fit(self, lines: Sequence[Image.Image]) -> bool:
        return sum(line.height for line in lines) <= self.room

    def _put(self, rows: Sequence[Image.Image]) -> Image.Image:
        return stack([self.header, *rows, self.footer], self.layout.width)


def for_paper(layout: PageLayout) -> PageLayout:
    """The same with letters that can be read on paper, where they would be too small."""
    letters = ceil(_POINTS * point(_lies(layout), layout.width))
    if letters <= layout.text:
        return layout
    return for_paper(replace(layout, letters=letters))  # which may be wider for it


def _lies(layout: PageLayout) -> bool:
    return layout.tiles > _UPRIGHT


def nth(output: Path, number: int) -> Path:
    """The file of a picture where there are several: OUT-001.png and so on."""
    return output.with_stem(f"{output.stem}-{number:03}")


def find_others(output: Path, written: Sequence[Path]) -> list[Path]:
    """The pictures of an earlier run that lie beside those of this one, by name."""
    number = re.compile(rf"{re.escape(output.stem)}(-\d{{3,}})?{re.escape(output.suffix)}")
    beside = output.parent.iterdir()
    found = (output.parent / path.name for path in beside if number.fullmatch(path.name))
    return sorted(path for path in found if path not in written)


def write_pdf(output: Path, sheets: Iterable[Image.Image], landscape: bool) -> int:
    """How many pages were written."""
    with atomic_file(output) as file:
        pages = PdfPages(file, landscape)
        for sheet in sheets:
            pages.add(sheet)
        return pages.close()


def write_pictures(output: Path, sheets: Iterable[Image.Image], force: bool) -> list[Path]:
    """The files that were written, numbered where there are several; each whole or not at all.

    Raises ExistsError for one that is there already, unless `force`.
    """
    sheets = iter(sheets)
    begun = list(islice(sheets, 2))
    written = []
    for number, sheet in enumerate(chain(begun, sheets), start=1):
        written.append(nth(output, number) if len(begun) > 1 else output)
        refuse_existing(written[-1], force)
        with atomic_file(written[-1]) as file:
            sheet.save(file, format="PNG")
    return written
