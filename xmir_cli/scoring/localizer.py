"""Maps against what experts marked: each mask of an image, beside chance and controls."""

import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError, need_usable
from xmir_cli.images.decode import pixel_limit
from xmir_cli.images.size import check_size
from xmir_cli.metrics.localization import Located, chance, locate
from xmir_cli.pictures.crop import Crop
from xmir_cli.pictures.files import open_image
from xmir_cli.pictures.reading import read_image
from xmir_cli.saliency.methods.center import Method as Center
from xmir_cli.saliency.methods.center import center_map
from xmir_cli.saliency.methods.edges import edge_map
from xmir_cli.scoring.tasks import attempt
from xmir_cli.store.maps import read_map_file
from xmir_cli.truth.frame import SeenMask, see_mask
from xmir_cli.truth.marks import Mark, MarkedImage, Truth, merge, query_image, retrieved_image
from xmir_cli.wire.checks import check_identity, need_map
from xmir_cli.wire.model import need_model
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas.saliency import SaliencyRecord

_KEPT = 2  # images whose masks are kept: records of one image follow each other
_LEAST = 1e-3  # pixels that a map covers
_OWN = "map"  # the task's own map, among those of its controls


@dataclass(frozen=True)
class MapTask:
    """One saliency record, and what it says of its map and the image of it."""

    view: SaliencyRecord
    image: MarkedImage
    crop: Crop

    @property
    def saliency(self) -> str:
        """The path of the map."""
        assert self.view.saliency is not None
        return self.view.saliency


@dataclass(frozen=True)
class PlacedMap:
    """A map against one of its image's masks."""

    mark: Mark
    seen: SeenMask
    located: Located
    chance: dict[str, float]
    controls: dict[str, Located]


@dataclass(frozen=True)
class Unplaced:
    """A mask that no map can be placed on, and why."""

    name: str
    error: ItemError


@dataclass(frozen=True)
class PlacingRules:
    """How a map is placed; described in every record."""

    tolerance: float = 15.0  # pixels of the original
    threshold: float = 0.5  # of the largest value
    by: str | None = None  # the column that tells masks apart
    seed: int = 0  # of the control `random`
    truth: str = "masks"  # or boxes


def task_of(record: Record) -> MapTask:
    """What a record says; raises ItemError."""
    need_map(record)
    view = read_view(SaliencyRecord, record)
    if view.words is not None and view.explains == "query":
        raise ItemError(Cause.BAD_RECORD, "explains: words ask, and they have no map")
    image = query_image(view) if view.explains == "query" else retrieved_image(view)
    if view.roi is None or min(view.roi[2:]) < _LEAST:
        raise ItemError(Cause.BAD_RECORD, "roi: expected what of the image the map covers")
    left, top, width, height = view.roi
    size = view.image_size or _size_of(image.name)
    columns, rows = int(size[0]), int(size[1])
    check_size(columns, rows, pixel_limit())
    return MapTask(view, image, Crop((left, top, width, height), (columns, rows)))


def identities_of(view: SaliencyRecord) -> tuple[str, str]:
    """Those of query and retrieved image: as recorded, else of the files; empty without one."""
    query = "" if view.query_text is not None and view.text_weight is None else view.query
    named = ((query, view.query_identity), (view.retrieved, view.retrieved_identity))
    found = []
    for name, recorded in named:
        identity = recorded
        if name and not recorded:
            file = attempt(open_image, name)
            identity = None if isinstance(file, ItemError) else file.identity
        found.append(identity or "")
    return found[0], found[1]


class Localizer:
    """Places maps on what is marked; masks are read once for maps of one image in a row."""

    def __init__(self, truth: Truth, rules: PlacingRules, controls: Sequence[str]) -> None:
        self.rules, self._truth, self._controls = rules, truth, controls
        self._masks: OrderedDict[Hashable, list[tuple[Mark, SeenMask]] | ItemError] = OrderedDict()

    def place(self, task: MapTask, identities: tuple[str, str]) -> list[PlacedMap | Unplaced]:
        """The map against each mask of its image.

        Raises ItemError where the map, or the image's masks, cannot be used.
        """
        saliency = _read_map(task.saliency)
        shown = task.crop.shown(len(saliency))
        own = saliency[shown].ravel()
        if own.max(initial=0) <= 0:
            raise ItemError(Cause.BLANK_MAP, f"no value above 0 ({task.saliency})")
        masks = need_usable(self._masks_of(task, len(saliency)))
        maps = self._make_controls(task, len(saliency), identities)
        controls = {name: each[shown].ravel() for name, each in maps.items()}
        return [self._place(mark, seen, own, controls) for mark, seen in masks]

    def _place(
        self, mark: Mark, seen: SeenMask, own: Floats, controls: Mapping[str, Floats]
    ) -> "PlacedMap | Unplaced":
        mask, grown = seen.mask.ravel(), seen.grown.ravel()
        if not mask.any():
            why = "nothing is marked" if not mark.mask.any() else "the mask lies beyond the input"
            if mark.mask.any() and seen.outside < 1:
                why = "no pixel of the input has its middle on the mask"
            return Unplaced(mark.name, ItemError(Cause.EMPTY_MASK, f"{why} ({_files(mark)})"))
        if mask.all():
            return Unplaced(mark.name, ItemError(Cause.FULL_MASK, f"({_files(mark)})"))
        located = {
            name: locate(each, mask, grown, self.rules.threshold)
            for name, each in {_OWN: own, **controls}.items()
        }
        return PlacedMap(mark, seen, located.pop(_OWN), chance(mask, grown), located)

    def _masks_of(self, task: MapTask, size: int) -> list[tuple[Mark, SeenMask]] | ItemError:
        """The masks of a task's image in the frame of a map of that size, or why there are none."""
        key = (self._truth.asks(task.image), task.crop, size)
        if key not in self._masks:
            self._masks[key] = attempt(self._see, task, size)
            if len(self._masks) > _KEPT:
                self._masks.popitem(last=False)
        return self._masks[key]

    def _see(self, task: MapTask, size: int) -> list[tuple[Mark, SeenMask]]:
        shapes = self._truth.of(task.image, task.crop.image_size)
        if shapes is None:
            raise ItemError(Cause.NO_MASK, f"nothing is known of {task.image.name}")
        marks = merge(shapes, self.rules.by)
        tolerance = self.rules.tolerance
        return [(mark, see_mask(mark.mask, task.crop, size, tolerance)) for mark in marks]

    def _make_controls(
        self, task: MapTask, size: int, identities: tuple[str, str]
    ) -> dict[str, Floats]:
        """The maps [size, size] of the controls."""
        found = {}
        for name in self._controls:
            if name == "random":
                about = hashlib.sha256("\0".join([str(self.rules.seed), *identities]).encode())
                generator = np.random.default_rng(list(about.digest()))
                found[name] = generator.random((size, size))
            elif name == "center":
                found[name] = center_map(size, Center().sigma).double().numpy()
            elif name == "uniform":
                found[name] = np.ones((size, size))
            else:
                found[name] = _edges(task, size)
        return found


def _read_map(path: str) -> Floats:
    saliency = read_map_file(Path(path))
    if saliency.ndim != 2 or saliency.shape[0] != saliency.shape[1]:
        found = " x ".join(map(str, saliency.shape))
        raise ItemError(Cause.WRONG_SIZE, f"{path}: expected a square map, found {found}")
    return saliency.astype(np.float64)


def _edges(task: MapTask, size: int) -> Floats:
    """The edges of the image as the network saw it."""
    view = task.view
    reading = read_image(task.image.name, need_model(view.model).preprocessing)
    recorded = view.query_identity if view.explains == "query" else view.retrieved_identity
    check_identity(recorded, reading.identity, task.image.name)
    found = edge_map(reading.input).double().numpy()
    if found.shape != (size, size):
        raise ItemError(Cause.WRONG_SIZE, f"expected a map of {len(found)} x {len(found)} pixels")
    return np.asarray(found)


def _size_of(name: str) -> tuple[int, int]:
    picture = open_image(name).decode()
    return picture.width, picture.height


def _files(mark: Mark) -> str:
    return ", ".join(mark.files)
