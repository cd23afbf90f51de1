"""One file of a mask: a picture, an array, or the segments of a DICOM SEG."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from xmir_cli.arrays import Booleans
from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.images.decode import pixel_limit
from xmir_cli.images.picture import Picture
from xmir_cli.images.segments import SEGMENT, are_segments, instance_of, read_segments
from xmir_cli.pictures.files import open_image
from xmir_cli.pictures.identity import split_name
from xmir_cli.store.arrays import MAP_LIMIT, read_array
from xmir_cli.truth.marks import Drawn

_FEW = 32  # values of a mask that is drawn, and not blurred or stored with losses
_JPEG = b"\xff\xd8\xff"  # how a file begins that is stored with losses
_DEEP, _NEAR = 64, 8  # the largest value, and what part of it losses may move a value by


def read_shapes(
    name: str, image: str, size: tuple[int, int], about: Mapping[str, object] | None = None
) -> list[Drawn]:
    """What the file `name` marks on an image of that width and height.

    Raises ItemError, naming the file: it cannot be read, or is of another size.
    """
    told = dict(about or {})
    try:
        if split_name(name)[0].lower().endswith(".npy"):
            return [Drawn(_fitting(_from_array(name), size), told, name)]
        file = open_image(name)
        if are_segments(file.data):
            segments = read_segments(
                file.data, _instance(image), split_name(image)[1], pixel_limit()
            )
            return [
                Drawn(_fitting(mask, size), {**told, SEGMENT: label}, name)
                for label, mask in segments
            ]
        values = _values_of(file.decode())
        lossy = file.data.startswith(_JPEG)
        return [Drawn(_fitting(_inside(values, lossy), size), told, name)]
    except ItemError as error:
        raise error.because(f"{error.detail} ({name})") from None
    except DataError as error:
        raise ItemError(Cause.BAD_MASK, str(error)) from None


def is_same_file(name: str, image: str) -> bool:
    """Whether a mask's file is the image itself."""
    try:
        return os.path.samefile(split_name(name)[0], split_name(image)[0])  # noqa: PTH121 # odd names
    except (OSError, ValueError):
        return False


def _instance(image: str) -> str | None:
    """Which DICOM instance an image is; None for one that is none, or cannot be read."""
    try:
        return instance_of(open_image(split_name(image)[0]).data)
    except ItemError:
        return None


def _from_array(name: str) -> Booleans:
    path, frame = split_name(name)
    array = read_array(Path(path), MAP_LIMIT)
    if frame is not None and array.ndim == 3:
        if not 1 <= frame <= len(array):
            raise ItemError(Cause.BAD_FRAME, f"there is no frame {frame}, only 1 to {len(array)}")
        array = array[frame - 1]
    if array.ndim != 2:
        raise DataError(f"{name}: expected a mask [height, width], found {list(array.shape)}")
    return _inside(array)


def _values_of(picture: Picture) -> np.ndarray:
    return np.asarray(picture.pixels.convert("F"))


def _inside(values: np.ndarray, lossy: bool = False) -> Booleans:
    """Which pixels are marked: those that are not 0.

    Of a mask that was blurred, or stored with losses, those above half of its largest value.
    """
    largest = values.max(initial=0)
    marked = np.asarray(values != 0)
    if (values[marked] == largest).all():
        return marked
    drawn = not lossy and len(found := np.unique(values)) <= _FEW and not _is_moved(found)
    return marked if drawn else np.asarray(values > largest / 2)


def _is_moved(found: np.ndarray) -> bool:
    """Whether values, rising, lie both near 0 and near the largest, as losses move them."""
    low, high = found[-1] / _NEAR, found[-1] - found[-1] / _NEAR
    near_nothing = (found > 0) & (found < low)
    near_largest = (found > high) & (found < found[-1])
    return bool(found[-1] >= _DEEP and near_nothing.any() and near_largest.any())


def _fitting(mask: Booleans, size: tuple[int, int]) -> Booleans:
    """The mask, which is as large as its image; raises ItemError."""
    width, height = size
    if mask.shape != (height, width):
        found = f"{mask.shape[1]} x {mask.shape[0]}"
        raise ItemError(
            Cause.WRONG_SIZE, f"expected {width} x {height} pixels as the image, found {found}"
        )
    return mask
