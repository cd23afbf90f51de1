"""Rows of a montage on sheets: one picture, numbered pictures, or the pages of a PDF."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from PIL import Image

from xmir_cli.render.montage import PageLayout, stack
from xmir_cli.render.pdf import PdfPages, paper
from xmir_cli.store.atomic import atomic_file

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
        return self.layout.tiles > _UPRIGHT

    @property
    def room(self) -> float:
        """Pixels that rows may be high together."""
        if self.rows is not None:
            return float("inf")
        high = paper(self.landscape, self.layout.width)[1]
        return high - self.header.height - self.footer.height

    def fill(self, rows: Iterable[Image.Image]) -> Iterator[Image.Image]:
        """Sheets of rows; one that is higher than a sheet has one of its own."""
        held: list[Image.Image] = []
        for row in rows:
            height = sum(each.height for each in held) + row.height
            if held and (len(held) == self.rows or height > self.room):
                yield self._put(held)
                held = []
            held.append(row)
        if held:
            yield self._put(held)

    def _put(self, rows: Sequence[Image.Image]) -> Image.Image:
        return stack([self.header, *rows, self.footer], self.layout.width)


def nth(output: Path, number: int) -> Path:
    """The file of a picture where there are several: OUT-001.png and so on."""
    return output.with_stem(f"{output.stem}-{number:03}")


def write_pdf(output: Path, sheets: Iterable[Image.Image], landscape: bool) -> int:
    """How many pages were written."""
    with atomic_file(output) as file:
        pages = PdfPages(file, landscape)
        for sheet in sheets:
            pages.add(sheet)
        return pages.close()


def write_pictures(output: Path, sheets: Iterable[Image.Image]) -> list[Path]:
    """The files that were written, numbered where there are several; each whole or not at all."""
    sheets = iter(sheets)
    begun = list(islice(sheets, 2))
    written = []
    for number, sheet in enumerate(chain(begun, sheets), start=1):
        written.append(nth(output, number) if len(begun) > 1 else output)
        with atomic_file(written[-1]) as file:
            sheet.save(file, format="PNG")
    return written
