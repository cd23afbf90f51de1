"""Self-similarity maps of many images, averaged by class as they come."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from xmir_cli.classes.moments import Moments, normalize
from xmir_cli.console import Skips
from xmir_cli.errors import DataError, ItemError
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.reading import Reading, read_image
from xmir_cli.saliency.sample import Method, make_samples
from xmir_cli.saliency.shown import keep_shown

GRID = 32  # side of the maps that are kept for the permutation test: 4 kB an image


@dataclass(frozen=True)
class LabelledImage:
    """An image file, its class, and the patient where a manifest tells."""

    path: str
    label: str
    patient: str | None = None


@dataclass(frozen=True)
class ClassAverage:
    """The images of a class and their self-similarity maps, summed up.

    Nothing else is kept but who the patients are and, for the permutation test, the maps on a
    coarse grid.
    """

    image: Moments = field(default_factory=Moments)  # of the views, [S, S, 3] in 0..255
    maps: dict[str, Moments] = field(default_factory=dict)  # by normalisation
    coarse: list[np.ndarray] = field(default_factory=list)  # [GRID * GRID] float32 each
    patients: list[str | None] = field(default_factory=list)  # of each image
    paths: list[str | None] = field(default_factory=list)  # of each image

    @property
    def count(self) -> int:
        """How many images there were."""
        return self.image.count

    @property
    def in_turn(self) -> bool:
        """Whether the images of each patient came one after another, as errors need it."""
        runs = [patient for patient, _ in itertools.groupby(self.patients) if patient is not None]
        return len(runs) == len(set(runs))

    @property
    def units(self) -> list[tuple[str, str | int]]:
        """What each image counts for: its patient, or itself where nobody knows whose it is."""
        return [
            ("image", path or place) if patient is None else ("patient", patient)
            for place, (patient, path) in enumerate(zip(self.patients, self.paths, strict=True))
        ]

    def unit_means(self) -> tuple[list[tuple[str, str | int]], np.ndarray]:
        """The units, and the mean of each one's kept maps, [U, GRID * GRID]."""
        places: dict[tuple[str, str | int], int] = {}
        rows = np.array([places.setdefault(unit, len(places)) for unit in self.units])
        sums = np.zeros((len(places), len(self.coarse[0])))
        np.add.at(sums, rows, np.stack(self.coarse))
        return list(places), sums / np.bincount(rows)[:, None]

    def add(
        self,
        pixels: np.ndarray,
        saliency: np.ndarray,
        patient: str | None = None,
        path: str | None = None,
    ) -> None:
        """Take one image and its map into account, under every normalisation.

        Images of one patient come one after another; the path tells those of two classes.
        """
        self.patients.append(patient)
        self.paths.append(path)
        self.image.add(pixels.astype(np.float64))
        for how, moments in self.maps.items():
            moments.add(normalize(saliency, how), patient)

    def keep(self, saliency: np.ndarray, how: str) -> None:
        """Keep one map on a grid of at most GRID x GRID cells, averaged within the cells."""
        side = min(GRID, len(saliency))
        image = Image.fromarray(normalize(saliency, how).astype(np.float32))
        self.coarse.append(np.asarray(image.resize((side, side), Image.Resampling.BOX)).ravel())


@dataclass(frozen=True)
class Averaging:
    """How maps are made and made comparable."""

    embedder: Embedder
    method: Method
    normalizations: Sequence[str]
    keep: str | None = None  # the normalisation under which every map is kept on a coarse grid
    jobs: int | None = None


def average_classes(
    items: Sequence[LabelledImage], how: Averaging, skips: Skips, advance: Callable[[], None]
) -> dict[str, ClassAverage]:
    """The averages of every class among the items; what cannot be read goes to `skips`.

    Memory does not grow with the number of items, but for 4 kB each with `keep`. Raises DataError
    for a class of which no image could be read.
    """
    averages = {
        item.label: ClassAverage(maps={name: Moments() for name in how.normalizations})
        for item in items
    }
    for batch in _batches(_read_all(items, how, skips), how.embedder.batch):
        inputs = [reading.input for _, reading in batch]
        samples = make_samples(how.embedder, inputs, len(items))
        for (item, reading), sample in zip(batch, samples, strict=True):
            found = how.method(how.embedder, sample, sample)
            saliency = keep_shown(found.saliency, reading.view.crop).numpy()
            patient = item.patient or reading.picture.columns.get("patient") or None
            averages[item.label].add(reading.view.pixels, saliency, patient, item.path)
            if how.keep is not None:
                averages[item.label].keep(saliency, how.keep)
            advance()
    _refuse_empty(averages)
    return averages


def _read_all(
    items: Sequence[LabelledImage], how: Averaging, skips: Skips
) -> Iterator[tuple[LabelledImage, Reading]]:
    def load(item: LabelledImage) -> Reading:
        return read_image(item.path, how.embedder.recipe)

    for item, reading in zip(items, decode_all(items, load, how.jobs), strict=True):
        if isinstance(reading, ItemError):
            skips.add(item.path, reading)
        else:
            yield item, reading


def _batches(
    readings: Iterator[tuple[LabelledImage, Reading]], size: int
) -> Iterator[list[tuple[LabelledImage, Reading]]]:
    while batch := list(itertools.islice(readings, size)):
        yield batch


def _refuse_empty(averages: Mapping[str, ClassAverage]) -> None:
    for label, average in averages.items():
        if not average.count:
            raise DataError(f"class {label}: none of its images could be read")
