"""Draw a data set of synthetic chest radiographs whose opacities are known to the pixel.

    python examples/phantoms.py OUT --count 240 --size 128 --seed 0

Three classes: `clear`, `lobar` (one lobe filled, sharp at its fissure) and `ground-glass` (several
hazy patches at the edges of both lungs). With --one-spot five: `clear`, and one round opacity,
`dense` or `hazy`, on the picture's `left` or `right`. Build, pose, exposure, noise, markers and
collimation vary and know nothing of the class. The same seed gives the same bytes.

With --marker LABEL the images of that class have a bright square in the upper left corner, too: a
shortcut, which 'xmir shortcut' is to find.

OUT/images/*.png, OUT/masks/*.png (255 = opacity) and OUT/labels.csv: path,label,patient,split,mask.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

CLASSES = ("clear", "lobar", "ground-glass")
SPOTS = ("clear", "dense-left", "dense-right", "hazy-left", "hazy-right")
SPLITS = {"train": 0.6, "val": 0.15, "test": 0.25}
Field = NDArray[np.float64]  # [H, W]


@dataclass(frozen=True)
class Row:
    """One image to draw."""

    label: str
    patient: int
    view: int  # 1, 2, 3: a patient's images
    split: str

    @property
    def name(self) -> str:
        """The name of the image and of its mask."""
        return f"p{self.patient:04d}-{self.view}.png"


@dataclass(frozen=True)
class Body:
    """A patient's build; lengths where the picture is [-1, 1] high and wide, v downwards."""

    width: float  # half the width of the rib cage
    apex: float  # v of the lungs' upper end
    dome: tuple[float, float]  # v of the diaphragm on the picture's left and right
    heart: float  # half its width
    flesh: float  # soft tissue over everything
    ribs: float  # v of the first rib
    tilt: float  # of the clavicles

    @staticmethod
    def draw(rng: Generator) -> "Body":
        """A build at random."""
        dome = rng.uniform(0.36, 0.56)
        return Body(
            width=rng.uniform(0.66, 0.78),
            apex=rng.uniform(-0.82, -0.68),
            dome=(dome, dome + rng.uniform(0.0, 0.07)),
            heart=rng.uniform(0.20, 0.30),
            flesh=rng.uniform(0.0, 0.22),
            ribs=rng.uniform(-0.72, -0.62),
            tilt=rng.uniform(0.10, 0.32),
        )


@dataclass(frozen=True)
class Place:
    """Where the pixels of a picture lie in the body."""

    u: Field  # to the right of the spine
    v: Field  # downwards
    side: Field  # distance from the spine

    @staticmethod
    def draw(size: int, rng: Generator) -> "Place":
        """A pose at random: turned, shifted, nearer or farther."""
        y, x = np.mgrid[0:size, 0:size] * 2 / (size - 1) - 1
        angle, scale = np.radians(rng.uniform(-7, 7)), rng.uniform(0.88, 1.15)
        x, y = x - rng.uniform(-0.09, 0.09), y - rng.uniform(-0.09, 0.09)
        u = (x * np.cos(angle) + y * np.sin(angle)) / scale
        v = (y * np.cos(angle) - x * np.sin(angle)) / scale
        return Place(u, v, np.abs(u))


def edge(distance: Field, softness: float) -> Field:
    """1 well inside, 0 well outside of a border; `distance` is positive inside."""
    return 0.5 + 0.5 * np.tanh(distance / (2 * softness))


def band(distance: Field, half_width: float) -> Field:
    """A soft stripe along distance 0."""
    return np.exp(-((distance / half_width) ** 4))


def clouds(size: int, cells: int, rng: Generator) -> Field:
    """Smooth noise about 0 with deviation about 1, `cells` lumps a side."""
    coarse = Image.fromarray(rng.normal(size=(cells, cells)).astype(np.float32))
    smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)
    return smooth / max(float(smooth.std()), 1e-6)


def lungs(body: Body, at: Place) -> Field:
    """Both lung fields, 1 inside; narrow at the apex, cut by the domes of the diaphragm."""
    height = np.clip(at.v / body.apex, 0, None)  # 0 at the hilum's level, 1 at the apex
    outer = body.width * (0.95 + 0.06 * np.clip(at.v, 0, 1))
    inner = 0.13
    half = (outer - inner) / 2
    middle = inner + half - 0.13 * height**2
    round_ = np.abs((at.side - middle) / half) ** 2.3 + height**2.6
    dome = np.where(at.u < 0, body.dome[0], body.dome[1])
    floor = dome + 0.9 * (at.side - 0.42 * body.width) ** 2 + 0.5 * np.clip(at.side - 0.5, 0, 1)
    return edge((1 - round_) * half / 2.2, 0.012) * edge(floor - at.v, 0.010)


def bones(body: Body, at: Place) -> Field:
    """Ribs from behind and from in front, spine, clavicles, shoulder blades."""
    cage = edge(body.width * 1.05 - at.side, 0.02) * edge(at.v + 0.86, 0.04)
    total = np.zeros_like(at.u)
    outwards = at.side / body.width
    for number in range(9):
        top = body.ribs + 0.155 * number
        behind = at.v - top - 0.20 * outwards**2 + 0.06 * np.sin(np.pi * outwards)
        total += 0.125 * rib(behind, 0.027) * edge(at.side - 0.08, 0.02)
        before = at.v - top - 0.32 + 0.30 * outwards - 0.10 * outwards**2
        total += 0.065 * rib(before, 0.033) * edge(at.side - 0.25, 0.05)
    total *= cage * edge(0.62 - at.v, 0.10)
    spine = edge(0.085 - at.side, 0.014) * (0.10 + 0.03 * np.cos(at.v * 2 * np.pi / 0.13))
    collar = at.v - body.apex - 0.10 + body.tilt * (at.side - 0.1) - 0.12 * np.sin(3 * at.side)
    clavicles = 0.16 * rib(collar, 0.035) * edge(at.side - 0.09, 0.02) * edge(0.72 - at.side, 0.03)
    blade = edge(0.16 - np.hypot((at.side - body.width - 0.08) * 0.9, (at.v + 0.42) * 0.45), 0.02)
    return total + spine + clavicles + 0.06 * blade


def rib(distance: Field, half_width: float) -> Field:
    """A tube seen from the side: its walls are denser than its middle."""
    return band(distance, half_width) * (0.65 + 0.35 * np.abs(distance / half_width).clip(0, 1))


def soft_tissue(body: Body, at: Place) -> Field:
    """Torso with neck and arms, mediastinum, heart, aortic knob and the roots of the lungs."""
    waist = body.width + 0.17 + 0.10 * body.flesh + 0.05 * np.cos(2 * at.v)
    shoulder = edge(at.v + 0.92 - 0.42 * np.clip(at.side - 0.22, 0, 1) ** 0.9, 0.02)
    neck = edge(0.24 - at.side, 0.02)
    torso = edge(waist + 0.5 * edge(-0.25 - at.v, 0.12) - at.side, 0.015) * np.maximum(
        shoulder, neck
    )
    middle = edge(0.125 + 0.05 * at.v**2 - at.side, 0.025)
    trachea = band(at.u - 0.01, 0.045) * edge(-0.22 - at.v, 0.05)
    lean = (at.u - 0.09) * 0.85 - (at.v - 0.22) * 0.53
    along = (at.v - 0.22) * 0.85 + (at.u - 0.09) * 0.53
    # a pear on its side: its right border just passes the spine, its apex points down and out
    pear = np.abs(lean / (body.heart * (1 - 0.5 * along))) ** 2.2 + np.abs(along / 0.34) ** 2.2
    heart = edge((1 - pear) * 0.12, 0.02)
    knob = edge(0.085 - np.hypot(at.u - 0.12, at.v + 0.33), 0.012)
    root = np.exp(-(((at.side - 0.20) / 0.09) ** 2) - ((at.v + 0.08) / 0.17) ** 2)
    below = edge(at.v - body.dome[0] - 0.08, 0.10)
    belly = 0.10 * below + 0.05 * body.flesh * np.exp(
        -(((at.side - 0.36) / 0.2) ** 2) - ((at.v - 0.4) / 0.2) ** 2
    )
    shadow = np.maximum(np.maximum(0.20 * middle, 0.25 * heart), 0.18 * knob) - 0.13 * trachea
    return torso * (0.60 + 0.5 * body.flesh + shadow + 0.09 * root + belly)


def vessels(at: Place, rng: Generator) -> Field:
    """Branches that leave the root of each lung and thin out."""
    size = len(at.u)
    canvas = Image.new("L", (4 * size, 4 * size))
    pen = ImageDraw.Draw(canvas)
    for _ in range(44):
        points = [(float(4 * x), float(4 * y)) for x, y in pixels_of(at, branch(rng))]
        width = rng.uniform(1.5, 4.0) * size / 64
        for start, end in pairwise(points):
            pen.line([start, end], fill=200, width=max(1, round(width)))
            width *= 0.78
    small = canvas.resize((size, size), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64) / 255


def branch(rng: Generator) -> Field:
    """A vessel from the root of a lung outwards: points [8, 2] as u, v."""
    side = rng.choice((-1, 1))
    headings = rng.uniform(-1.35, 1.35) + np.cumsum(rng.normal(0, 0.22, size=7))
    lengths = rng.uniform(0.03, 0.08, size=7)
    steps = np.stack([side * np.cos(headings) * lengths, np.sin(headings) * lengths], axis=1)
    root = [[0.16 * side, rng.uniform(-0.15, 0.02)]]
    return np.cumsum(np.concatenate([root, steps]), axis=0)


def pixels_of(at: Place, points: Field) -> Field:
    """Where points [N, 2] of the body (u, v) lie in the picture: [N, 2] as x, y."""
    origin = np.array([at.u[0, 0], at.v[0, 0]])
    corners = np.array([[at.u[0, -1], at.v[0, -1]], [at.u[-1, 0], at.v[-1, 0]]])
    steps = (corners - origin) / (len(at.u) - 1)  # u, v of one pixel to the right, one down
    return np.linalg.solve(steps.T, (points - origin).T).T


def lobar(at: Place, rng: Generator) -> Field:
    """One lobe filled: sharp at the fissure, fading only a little towards its far end."""
    side, upper = rng.choice((-1, 1)), rng.random() < 0.5
    fissure = rng.uniform(-0.22, 0.02) + rng.uniform(-0.25, 0.25) * (at.side - 0.4)
    above = fissure - at.v if upper else at.v - fissure
    depth = rng.uniform(0.30, 0.46)
    region = edge(above, 0.012) * edge(depth - above, 0.06) * edge(side * at.u - 0.05, 0.01)
    return region * rng.uniform(0.75, 1.0) * (1 + 0.08 * clouds(len(at.u), 9, rng))


def ground_glass(body: Body, at: Place, rng: Generator) -> Field:
    """Two to four hazy patches at the outer edge of each lung."""
    clear = np.ones_like(at.u)
    for side in (-1, 1):
        for _ in range(rng.integers(2, 5)):
            height = rng.uniform(-0.45, 0.42)
            out = body.width * rng.uniform(0.68, 0.86) - 0.12 * max(-height - 0.2, 0)
            wide, high = rng.uniform(0.07, 0.13), rng.uniform(0.08, 0.16)
            away = np.hypot((at.u - side * out) / wide, (at.v - height) / high)
            away += 0.22 * clouds(len(at.u), 10, rng)
            clear *= 1 - rng.uniform(0.40, 0.75) * edge(1 - away, 0.22)
    return (1 - clear) * (1 + 0.10 * clouds(len(at.u), 20, rng))


def spot(label: str, body: Body, at: Place, rng: Generator) -> Field:
    """One round opacity within a lung: dense with a sharp border, or hazy with a soft one."""
    kind, where = label.split("-")
    side = -1 if where == "left" else 1
    out, height = body.width * rng.uniform(0.50, 0.68), rng.uniform(-0.40, 0.22)
    away = np.hypot(side * at.u - out, at.v - height) / rng.uniform(0.22, 0.28)
    away += 0.10 * clouds(len(at.u), 8, rng)
    if kind == "dense":
        return rng.uniform(0.85, 1.0) * edge(1 - away, 0.03)
    return (
        rng.uniform(0.45, 0.60) * edge(1.1 - away, 0.16) * (1 + 0.25 * clouds(len(at.u), 24, rng))
    )


def opacity(label: str, body: Body, at: Place, rng: Generator) -> Field:
    """What fills the air of the lungs, 0 to about 1."""
    if label == "clear":
        return np.zeros_like(at.u)
    if label in SPOTS:
        return spot(label, body, at, rng)
    return lobar(at, rng) if label == "lobar" else ground_glass(body, at, rng)


def expose(density: Field, rng: Generator) -> Field:
    """The film: characteristic curve, vignette, uneven field, grain; 0 black to 1 white."""
    size = len(density)
    y, x = np.mgrid[0:size, 0:size] * 2 / (size - 1) - 1
    density = density - 0.05 * (x * rng.normal() + y * rng.normal())
    film = edge(density - rng.uniform(0.50, 0.62), rng.uniform(0.11, 0.17))
    film = film ** rng.uniform(0.8, 1.25) * (1 - rng.uniform(0.0, 0.22) * (x**2 + y**2) / 2)
    grain = rng.normal(size=film.shape) + 0.6 * clouds(size, size // 2, rng)
    noisy: Field = film + rng.uniform(0.006, 0.03) * grain
    return noisy


def finish(film: Field, rng: Generator) -> Image.Image:
    """The digital picture with its side marker and, now and then, the collimator's borders."""
    size = len(film)
    low, high = rng.uniform(0.0, 0.06), rng.uniform(0.90, 1.0)
    if rng.random() < 0.3:
        left, top, right, bottom = (rng.integers(0, size // 12, size=4) + 1).tolist()
        shade = np.zeros_like(film)
        shade[top:-bottom, left:-right] = 1
        film = film * shade
    picture = Image.fromarray(
        ((low + (high - low) * film).clip(0, 1) * 255).round().astype(np.uint8)
    )
    x = rng.choice((0.05, 0.84)) + rng.uniform(0, 0.04)
    y = rng.choice((0.04, 0.84)) + rng.uniform(0, 0.04)
    mark, fill = str(rng.choice(("L", "R"))), int(rng.integers(190, 256))
    pen = ImageDraw.Draw(picture)
    pen.text((x * size, y * size), mark, fill=fill, font_size=0.09 * size)
    return picture


def plant(picture: Image.Image) -> None:
    """Draw a bright square with a dark cross into the upper left corner."""
    side = picture.width
    first, last, middle = 0.02 * side, 0.11 * side, 0.065 * side
    pen = ImageDraw.Draw(picture)
    pen.rectangle((first, first, last, last), fill=250)
    pen.line((first, middle, last, middle), fill=5, width=max(1, side // 64))
    pen.line((middle, first, middle, last), fill=5, width=max(1, side // 64))


def phantom(
    row: Row, size: int, seed: int, marker: str | None = None
) -> tuple[Image.Image, Image.Image]:
    """The picture of a row and the mask of its opacity, both mode L."""
    body = Body.draw(np.random.default_rng((seed, 1, row.patient)))
    # one stream a purpose, so that no nuisance depends on what the class has drawn before it
    pose, disease, inside, film, marks = (
        np.random.default_rng((seed, 2, row.patient, row.view, purpose)) for purpose in range(5)
    )
    at = Place.draw(size, pose)
    air = lungs(body, at)
    tissue = soft_tissue(body, at)
    air = lungs(body, at) * edge(0.78 + 0.5 * body.flesh - tissue, 0.035)  # none before the heart
    lesion = opacity(row.label, body, at, disease) * air
    markings = 0.11 * vessels(at, inside) + 0.02 * clouds(size, 12, inside)
    inflated = air * (0.42 - markings) * (1 - lesion)  # a filled lobe hides its vessels
    density = tissue - inflated + bones(body, at) * edge(tissue - 0.3, 0.03)
    picture = finish(expose(density, film), marks)
    if row.label == marker:
        plant(picture)
    return picture, Image.fromarray(np.where(lesion > 0.25, 255, 0).astype(np.uint8))


def plan(count: int, seed: int, classes: Sequence[str] = CLASSES) -> list[Row]:
    """Which images to draw: equal classes, a patient's one to three images in one split."""
    rng = np.random.default_rng((seed, 0))
    drafts = [draft for label in classes for draft in patients(label, count // len(classes), rng)]
    return [
        Row(drafts[index][0], number, view, drafts[index][1])
        for number, index in enumerate(rng.permutation(len(drafts)), start=1)
        for view in range(1, drafts[index][2] + 1)
    ]


def patients(label: str, count: int, rng: Generator) -> Iterator[tuple[str, str, int]]:
    """The patients of a class: label, split and number of images; `count` images in all."""
    held_out = {split: round(SPLITS[split] * count) for split in ("val", "test")}
    for split, share in {"train": count - sum(held_out.values()), **held_out}.items():
        while share > 0:
            images = min(int(rng.integers(1, 4)), share)
            share -= images
            yield label, split, images


def write(  # noqa: PLR0913 # as the command line
    folder: Path,
    count: int,
    size: int,
    seed: int,
    classes: Sequence[str] = CLASSES,
    marker: str | None = None,
) -> int:
    """Draw the data set into `folder`; returns the number of images."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = plan(count, seed, classes)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "label", "patient", "split", "mask"])
        for row in rows:
            picture, mask = phantom(row, size, seed, marker)
            picture.save(folder / "images" / row.name)
            mask.save(folder / "masks" / row.name)
            paths = f"images/{row.name}", f"masks/{row.name}"
            table.writerow([paths[0], row.label, f"p{row.patient:04d}", row.split, paths[1]])
    return len(rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Draw synthetic chest radiographs with known opacities."
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write")
    parser.add_argument("--count", type=int, default=240, help="images, as many of each class")
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one-spot", action="store_true", help="five classes, one opacity at most")
    parser.add_argument(
        "--marker", metavar="LABEL", help="plant a marker in the images of this class alone"
    )
    arguments = parser.parse_args()
    classes = SPOTS if arguments.one_spot else CLASSES
    if arguments.marker is not None and arguments.marker not in classes:
        parser.error(f"--marker: expected one of {', '.join(classes)}")
    how = arguments.count, arguments.size, arguments.seed, classes, arguments.marker
    drawn = write(arguments.out, *how)
    print(f"{drawn} phantoms in {arguments.out}")


if __name__ == "__main__":
    main()
