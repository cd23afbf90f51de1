"""The plane of an atlas as a picture: points, rings, stars and crosses."""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from xmir_cli.arrays import Floats
from xmir_cli.atlas.coloring import COLORS, GREYS, MOST, SCALE, Coloring
from xmir_cli.atlas.marks import Rgb, draw_cross, draw_ring, draw_square, draw_star
from xmir_cli.atlas.scene import Scene
from xmir_cli.console import escape
from xmir_cli.render.colormap import colors
from xmir_cli.render.lettering import font, shorten
from xmir_cli.render.montage import INK, PAPER

SIDE = 1100  # pixels of the plane
_MARGIN = 46  # of which its edge has no point
_FINE = 3  # pixels drawn for each, so that edges are smooth
_RADII = ((1_000, 5.0), (5_000, 3.8), (20_000, 2.6), (100_000, 1.8))  # up to so many points
_SMALL = 1.2
_RING, _STAR, _CROSS = 3.8, 15.0, 12.0  # how far outside of a point a ring lies; radii
_LETTERS = 19
_LONGEST = 260  # pixels of a class's name
_HALO = [(across, down) for across in (-2, 0, 2) for down in (-2, 0, 2)]
TextBox = tuple[float, float, float, float]


def draw_plane(scene: Scene) -> Image.Image:
    """The plane alone, on white."""
    at, means = to_pixels(scene.places), to_pixels(scene.places, scene.means)
    fine = Image.new("RGB", (SIDE * _FINE, SIDE * _FINE), PAPER)
    pen = ImageDraw.Draw(fine)
    radius = next((size for most, size in _RADII if len(at) <= most), _SMALL) * _FINE
    paint = point_colors(scene.colorings[0] if scene.colorings else None, len(at))
    # no value is always on top of the others
    for row in np.random.default_rng(0).permutation(len(at)).tolist():
        x, y = at[row] * _FINE
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), tuple(paint[row].tolist()))
    for row in np.flatnonzero(scene.groups):
        draw_square(pen, at[row] * _FINE, radius + _RING * _FINE, _FINE)
    for row in np.flatnonzero(scene.outliers):
        draw_ring(pen, at[row] * _FINE, radius + _RING * _FINE, _FINE)
    colored = star_colors(scene)
    for mean, color in zip(means, colored, strict=True):
        draw_cross(pen, mean * _FINE, _CROSS * _FINE, color, _FINE)
    for star, color in zip(scene.stars, colored, strict=True):
        draw_star(pen, at[star] * _FINE, _STAR * _FINE, color, _FINE)
    drawn = fine.resize((SIDE, SIDE), Image.Resampling.BOX)
    pen = ImageDraw.Draw(drawn)
    _write_names(pen, scene, at, means)
    pen.rectangle((0, 0, SIDE - 1, SIDE - 1), outline=(190, 194, 200))
    return drawn


def to_pixels(places: Floats, others: Floats | None = None) -> Floats:
    """Where points [N, 2], or others on their plane, are drawn: one scale for both, y upwards."""
    low, high = places.min(axis=0), places.max(axis=0)
    scale = (SIDE - 2 * _MARGIN) / (float((high - low).max()) or 1.0)
    centred = ((places if others is None else others) - (low + high) / 2) * scale
    return np.asarray(centred * (1, -1) + SIDE / 2)


def point_colors(coloring: Coloring | None, count: int) -> np.ndarray:
    """The colour of each point [N, 3] on white."""
    if coloring is None:
        return np.tile(np.array(_rgb(COLORS["light"][0]), np.uint8), (count, 1))
    rare, missing = (_rgb(color) for color in GREYS["light"])
    if coloring.numbers is None:
        table = np.array([*map(_rgb, COLORS["light"]), rare, missing], np.uint8)
        return table[np.where(coloring.codes < 0, MOST + 1, np.minimum(coloring.codes, MOST))]
    positions = coloring.positions
    low, high = SCALE["light"]
    drawn = colors(low + (high - low) * np.nan_to_num(positions), "viridis")
    drawn[np.isnan(positions)] = missing
    return drawn


def star_colors(scene: Scene) -> list[Rgb]:
    """Of each class the colour of its label where labels have colours, else white."""
    coloring = scene.colorings[0] if scene.colorings else None
    if coloring is None or coloring.column != "label" or coloring.numbers is not None:
        return [PAPER] * len(scene.classes)
    own = {text: _rgb(COLORS["light"][code]) for code, (text, _) in enumerate(coloring.colored)}
    return [own.get(each.label, _rgb(GREYS["light"][0])) for each in scene.classes]


def _write_names(pen: ImageDraw.ImageDraw, scene: Scene, at: Floats, means: Floats) -> None:
    """The name of each class beside its star, or a number beside what stands for all images.

    It stands where no other does.
    """
    face = font(_LETTERS)
    names = [(each.nearest, shorten(escape(each.label), face, _LONGEST)) for each in scene.classes]
    names += [(row, str(number)) for number, row in enumerate(scene.spread, 1)]
    stars = [_around(at[row], _STAR) for row, _ in names]
    taken: list[TextBox] = [*stars, *(_around(mean, _CROSS) for mean in means)]
    for (row, text), own in zip(names, stars, strict=True):
        for box in _beside(at[row], face.getlength(text)):
            inside = box[0] >= 4 and box[1] >= 4 and box[2] <= SIDE - 4 and box[3] <= SIDE - 4
            if inside and not any(_meet(box, other) for other in taken if other is not own):
                taken.append(box)
                for across, down in _HALO:
                    face.write(pen, (box[0] + across, box[1] + down), text, PAPER)
                face.write(pen, box[:2], text, INK)
                break


def _beside(at: Floats, width: float) -> Iterator[TextBox]:
    """Places for a text: right of a star, left of it, above and below."""
    x, y, height, far = at[0], at[1], _LETTERS * 1.25, _STAR + 7
    yield x + far, y - height / 2, x + far + width, y + height / 2
    yield x - far - width, y - height / 2, x - far, y + height / 2
    yield x - width / 2, y - far - height, x + width / 2, y - far
    yield x - width / 2, y + far, x + width / 2, y + far + height


def _around(at: Floats, radius: float) -> TextBox:
    return at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius


def _meet(one: TextBox, other: TextBox) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _rgb(color: str) -> Rgb:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
