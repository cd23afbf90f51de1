"""Masks of a folder, found by the names of the images that they belong to."""

import os
from collections.abc import Hashable, Iterator
from pathlib import Path

from xmir_cli.errors import ItemError
from xmir_cli.images.formats import extensions
from xmir_cli.images.segments import are_segments, instance_of, instances_in
from xmir_cli.pictures.files import open_image
from xmir_cli.pictures.identity import name_of, split_name
from xmir_cli.truth.marks import Drawn, MarkedImage
from xmir_cli.truth.masks import is_same_file, read_shapes
from xmir_cli.truth.names import folders_of, stem_of

_MANY_FRAMES = (".npy", ".tif", ".tiff", ".dcm", ".dicom")  # of files that may hold several masks
_TAILS = ("_mask", "_segmentation")  # that data sets put behind the name of the image


class MaskFolder:
    """The masks that lie in a folder under an image's name, with its ending or that of a mask."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._segments: dict[str, list[str]] | None = None  # files of DICOM SEG by instance

    def of(self, image: MarkedImage, size: tuple[int, int]) -> list[Drawn] | None:
        """The mask of an image; of two in the folder the one with more of the image's folders."""
        name = next(self._files(image.name), None)
        if name is not None:
            return read_shapes(name, image.name, size)
        names = self._by_instance(image.name)
        if not names:
            return None
        return [shape for each in names for shape in read_shapes(each, image.name, size)]

    def asks(self, image: MarkedImage) -> Hashable:
        """The image's name."""
        return image.name

    def meets(self, image: MarkedImage) -> bool:  # noqa: ARG002 # as the protocol has it
        """Any image has a name."""
        return True

    def say_nothing(self) -> str:
        """No file fits."""
        return f"{self._folder}: no mask has the name of an image of these records"

    def _files(self, image: str) -> Iterator[str]:
        parts, _ = folders_of(image)
        frame = split_name(image)[1]
        for first in range(len(parts)):
            place = self._folder.joinpath(*parts[first:])
            for name in _named(place, frame):
                if _is_file(name) and not is_same_file(name, image):
                    yield name

    def _by_instance(self, image: str) -> list[str]:
        """The files whose segments lie on a DICOM image, whatever they are called."""
        if Path(split_name(image)[0]).suffix.lower() not in {".dcm", ".dicom", ""}:
            return []
        try:
            instance = instance_of(open_image(split_name(image)[0]).data)
        except ItemError:
            return []
        if instance is None:
            return []
        if self._segments is None:
            self._segments = {}
            for path in sorted(self._folder.rglob("*.dcm")):
                for each in _instances(path):
                    self._segments.setdefault(each, []).append(str(path))
        return self._segments.get(instance, [])


def _named(place: Path, frame: int | None) -> Iterator[str]:
    """What the mask of an image that would lie at `place` may be called."""
    stem = stem_of(place.name)
    endings = dict.fromkeys([place.name[len(stem) :], ".png", ".npy", *extensions()])
    endings |= dict.fromkeys(f"{tail}{ending}" for tail in _TAILS for ending in [*endings])
    if frame is not None:
        yield from (str(place.with_name(f"{stem}-frame-{frame}{ending}")) for ending in endings)
    for ending in endings:
        name = str(place.with_name(f"{stem}{ending}"))
        if frame is not None and ending.endswith(_MANY_FRAMES):
            yield name_of(name, frame)
        elif frame in {None, 1}:
            yield name


def _is_file(name: str) -> bool:
    path = name if os.path.lexists(name) else split_name(name)[0]
    return os.path.isfile(path)  # noqa: PTH113 # Path.is_file raises for a name that is too long


def _instances(path: Path) -> set[str]:
    try:
        data = open_image(str(path)).data
        return instances_in(data) if are_segments(data) else set()
    except ItemError:
        return set()
