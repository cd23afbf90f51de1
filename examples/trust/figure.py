"""The figure of `run.py`: a column a network, a row a method, a mark a question.

python examples/trust/figure.py table.md FIGURE.png
"""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from job import Record
from PIL import Image, ImageDraw, ImageFont

OTHERS = ("wrong query", "reset weights")
QUESTIONS = ("right query", *OTHERS)
LEFT, COLUMN, ROW, TOP, BOTTOM = 190, 210, 30, 76, 60  # pixels
PLOT = 170  # pixels from AUROC 0 to 1
INK, PALE, BLUE, RED = "#222222", "#d0d0d0", "#0072b2", "#d55e00"


def read(text: str) -> list[Record]:
    """The rows of a table.md, as far as the figure shows them."""
    table: list[Record] = []
    network = ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("### "):
            network = line.removeprefix("### ")
        elif line.startswith("| ") and network and cells[0] != "method":
            each: Record = {"network": network, "method": cells[0]}
            if not cells[1].startswith("refused"):
                auroc, low, high = map(float, re.findall(r"[\d.]+", cells[3]))
                each |= {"auroc": auroc, "auroc_low": low, "auroc_high": high}
                each |= {f"auroc {name}": float(cells[5 + n]) for n, name in enumerate(OTHERS)}
            table.append(each)
    return table


def draw(table: Sequence[Record]) -> Image.Image:
    """AUROC of the three questions, for every network and method."""
    networks = list(dict.fromkeys(str(each["network"]) for each in table))
    methods = list(dict.fromkeys(str(each["method"]) for each in table))
    size = (LEFT + COLUMN * len(networks) + 10, TOP + ROW * len(methods) + BOTTOM)
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(14)
    _legend(pen, font)
    for row, method in enumerate(methods):
        pen.text((LEFT - 12, _middle(row)), method, INK, font, anchor="rm")
    for column, network in enumerate(networks):
        left = LEFT + COLUMN * column
        pen.text((left + PLOT / 2, TOP - 16), network.replace("_", " "), INK, font, anchor="mm")
        bottom = TOP + ROW * len(methods)
        for value in (0, 0.5, 1):
            x = left + value * PLOT
            pen.line([x, TOP, x, bottom], PALE, 1)
            pen.text((x, bottom + 12), f"{value:g}", INK, font, anchor="mm")
        cells = {str(each["method"]): each for each in table if each["network"] == network}
        for row, method in enumerate(methods):
            _marks(pen, font, left, _middle(row), cells.get(method))
    pen.text((LEFT, size[1] - 18), "AUROC of the pixels of the opacity", INK, font, anchor="lm")
    return picture


def _middle(row: int) -> int:
    """The height of a row's middle."""
    return TOP + ROW * row + ROW // 2


def _legend(pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont) -> None:
    """What the three marks are."""
    x = float(LEFT)
    for mark, name in zip((_disc, _ring, _cross), QUESTIONS, strict=True):
        mark(pen, x + 6, 24)
        pen.text((x + 18, 24), name, INK, font, anchor="lm")
        x += 150


def _marks(
    pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont, left: int, y: int, each: Record | None
) -> None:
    """One method on one network: a line from the lowest to the highest seed, and three marks."""
    if each is None:
        return
    if "auroc" not in each:
        pen.text((left + PLOT / 2, y), "refused", "#888888", font, anchor="mm")
        return
    place: Callable[[str], float] = lambda name: left + PLOT * float(str(each[name]))  # noqa: E731
    pen.line([place("auroc_low"), y, place("auroc_high"), y], BLUE, 3)
    _disc(pen, place("auroc"), y)
    _ring(pen, place("auroc wrong query"), y)
    _cross(pen, place("auroc reset weights"), y)


def _disc(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    """The right query."""
    pen.ellipse([x - 5, y - 5, x + 5, y + 5], BLUE)


def _ring(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    """A wrong query."""
    pen.ellipse([x - 7, y - 7, x + 7, y + 7], outline=RED, width=2)


def _cross(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    """Reset weights."""
    pen.line([x - 5, y - 5, x + 5, y + 5], INK, 2)
    pen.line([x - 5, y + 5, x + 5, y - 5], INK, 2)


if __name__ == "__main__":
    draw(read(Path(sys.argv[1]).read_text(encoding="utf-8"))).save(sys.argv[2])
