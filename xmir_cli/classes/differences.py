"""Class averages to files: mean maps and signed differences, as arrays and as pictures."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from xmir_cli.classes.averages import ClassAverage
from xmir_cli.classes.moments import MapDifference, subtract_means
from xmir_cli.classes.permutation import corrected_p
from xmir_cli.render.colormap import COLORS_BY_SIGN, choose_colormap, scale
from xmir_cli.render.overlay import Display, overlay, underlay
from xmir_cli.render.panels import SIDE
from xmir_cli.store.arrays import write_array
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.hashes import safe_name
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.difference import DifferenceRecord

SIGNIFICANT = 0.05  # corrected over the whole map
SIGNED = COLORS_BY_SIGN[1]  # zero in the middle
_CONTOUR = (0, 0, 0)


@dataclass(frozen=True, eq=False)
class Averages:
    """The classes in order, with the normalisation whose maps are shown."""

    classes: Mapping[str, ClassAverage]
    normalization: str
    alpha: float  # of the overlays
    permutations: int = 0  # of the labels; 0 tests nothing

    def mean(self, label: str) -> np.ndarray:
        """The mean self-similarity map of a class."""
        return self.classes[label].maps[self.normalization].mean

    def picture(self, *labels: str) -> Image.Image:
        """The average image of one class, or of several with equal weight."""
        means = [self.classes[label].image.mean for label in labels]
        pixels = np.rint(np.mean(means, axis=0)).clip(0, 255).astype(np.uint8)
        return Image.fromarray(pixels)

    def difference(self, first: str, second: str, normalization: str) -> MapDifference:
        """The map of the first class minus that of the second."""
        maps = self.classes[first].maps, self.classes[second].maps
        return subtract_means(maps[0][normalization], maps[1][normalization])

    @cache  # noqa: B019 # lives as long as the one command
    def chance(self, first: str, second: str) -> np.ndarray | None:
        """The corrected p-values of the difference on the coarse grid, None without a test."""
        if not self.permutations:
            return None
        (units, maps), (others, other_maps) = (
            self.classes[label].unit_means() for label in (first, second)
        )
        places = {unit: place for place, unit in enumerate(units)}
        both = [  # patients, and images with both labels
            (places[unit], place)
            for place, unit in enumerate(others)
            if isinstance(unit[1], str) and unit in places
        ]
        values = corrected_p(maps, other_maps, self.permutations, both)
        side = math.isqrt(len(values))
        return values.reshape(side, side)

    @property
    def knows_patients(self) -> bool:
        """Whether it is known of any image whose it is."""
        return any(any(each.patients) for each in self.classes.values())

    def units(self, label: str) -> int:
        """How many independent units a class has: patients where they are known, else images."""
        return len(set(self.classes[label].units))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every two classes, the earlier one first."""
        return list(itertools.combinations(self.classes, 2))


def write_classes(averages: Averages, folder: Path) -> None:
    """For each class its average image, its mean map and the map's standard error."""
    largest = scale(np.stack([averages.mean(label) for label in averages.classes]))
    for label, average in averages.classes.items():
        moments = average.maps[averages.normalization]
        name = safe_name(label)
        write_array(folder / f"mean-{name}.npy", moments.mean.astype(np.float32))
        error = moments.standard_error().astype(np.float32)
        write_array(folder / f"mean-{name}-error.npy", error)
        save_picture(averages.picture(label), folder / f"average-{name}.png")
        drawn = draw_map(averages, moments.mean, [label], choose_colormap(moments.mean), largest)
        save_picture(drawn, folder / f"mean-{name}.png")


def write_differences(averages: Averages, folder: Path) -> list[Record]:
    """For each pair of classes its signed difference, the error, the picture, and the record."""
    largest = largest_difference(averages)
    return [_write_difference(averages, folder, pair, largest) for pair in averages.pairs]


def largest_difference(averages: Averages) -> float:
    """The limit that all difference maps share, so that their colours can be compared."""
    maps = [averages.difference(a, b, averages.normalization).mean for a, b in averages.pairs]
    return scale(np.stack(maps))


def _write_difference(
    averages: Averages, folder: Path, pair: tuple[str, str], largest: float
) -> Record:
    first, second = pair
    stem = f"{safe_name(first)}-minus-{safe_name(second)}"
    shown = averages.difference(first, second, averages.normalization)
    plain = averages.difference(first, second, "none")
    files = {
        "saliency": (folder / f"{stem}.npy", shown.mean),
        "standard_error": (folder / f"{stem}-error.npy", shown.standard_error),
        "saliency_none": (folder / f"{stem}-none.npy", plain.mean),
    }
    for path, array in files.values():
        write_array(path, array.astype(np.float32))
    picture = folder / f"{stem}.png"
    save_picture(draw_difference(averages, pair, largest), picture)
    tested = _write_chance(averages, pair, folder / f"{stem}-p.npy", len(shown.mean))
    return {
        "schema": DifferenceRecord.NAME,
        "class_a": first,
        "class_b": second,
        "n_a": averages.classes[first].count,
        "n_b": averages.classes[second].count,
        **_patients(averages, pair),
        "overlay": str(picture),
        **{key: str(path) for key, (path, _) in files.items()},
        **tested,
    }


def _patients(averages: Averages, pair: tuple[str, str]) -> Record:
    if not averages.knows_patients:
        return {}
    return dict(zip(("patients_a", "patients_b"), map(averages.units, pair), strict=True))


def _write_chance(averages: Averages, pair: tuple[str, str], path: Path, side: int) -> Record:
    """The map of corrected p-values, and what it comes to."""
    chance = averages.chance(*pair)
    if chance is None:
        return {}
    write_array(path, np.asarray(_enlarged(chance, side), dtype=np.float32))
    return {
        "p_values": str(path),
        "permutations": averages.permutations,
        "p_min": float(chance.min()),
        "significant_share": float((chance < SIGNIFICANT).mean()),
    }


def _enlarged(grid: np.ndarray, side: int) -> Image.Image:
    image = Image.fromarray(grid.astype(np.float32))
    return image.resize((side, side), Image.Resampling.NEAREST)


def draw_difference(averages: Averages, pair: Sequence[str], largest: float) -> Image.Image:
    """A difference over the average image of both classes, lines around what is beyond chance."""
    first, second = pair
    shown = averages.difference(first, second, averages.normalization).mean
    drawn, chance = draw_map(averages, shown, pair, SIGNED, largest), averages.chance(first, second)
    if chance is not None:
        inside = _enlarged((chance < SIGNIFICANT) * 255.0, drawn.width).convert("L")
        line = ImageChops.difference(inside, inside.filter(ImageFilter.MinFilter(5)))
        drawn.paste(_CONTOUR, mask=line)
    return drawn


def draw_map(
    averages: Averages, saliency: np.ndarray, labels: Sequence[str], colormap: str, largest: float
) -> Image.Image:
    """A map over a pale copy of the average image of its classes."""
    under = underlay(averages.picture(*labels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    roi = (0, 0, SIDE, SIDE)
    return overlay(under, saliency, roi, Display(colormap, averages.alpha), largest)


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a PNG in one atomic step."""
    with atomic_file(path) as file:
        picture.save(file, format="png")
