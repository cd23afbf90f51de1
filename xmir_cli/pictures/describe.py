"""What an image holds: its format, its size, and the numbers of its pixels."""

import re
from typing import cast

import numpy as np

from xmir_cli.images.decode import count_pictures
from xmir_cli.images.formats import format_of
from xmir_cli.images.picture import Picture
from xmir_cli.pictures.files import ImageFile, open_image
from xmir_cli.store.describe_numbers import describe_numbers
from xmir_cli.wire.records import Record

_FEW = 16  # different values or colours that are counted one by one, as masks have them
_ROUNDING = 2.0**-22  # of a range: greys are single numbers on the way
_LIMITS = re.compile(r"window (-?[\d.e+-]+?)\.\.(-?[\d.e+-]+)")  # what became black and white


def describe_image(name: str) -> Record:
    """Format, size, what has to be done to it, and its greys; raises ItemError.

    `minimum`, `maximum`, `mean`, `histogram` and `distinct` are of the greys of its file, of DICOM
    in the units of its modality, such as HU. `values` has the pixels of each grey or colour where
    these are few.
    """
    image = open_image(name)
    picture = image.decode()
    return {
        "kind": "image",
        "bytes": len(image.data),
        "format": format_of(image.data).name,
        "pictures": count_pictures(image.data),
        "width": picture.width,
        "height": picture.height,
        "mode": picture.pixels.mode,
        "done": list(picture.done),
        **_describe_pixels(image, picture),
    }


def _describe_pixels(image: ImageFile, picture: Picture) -> Record:
    if picture.pixels.mode == "RGB":
        colors = picture.pixels.getcolors(_FEW) or []
        values = {_hex(color): count for count, color in sorted(colors, reverse=True)}
        return {"values": values} if values else {}
    numbers = _greys(image, picture)
    if numbers is None:
        return {}
    record = describe_numbers(numbers)
    record.pop("tied", None)  # almost all greys do
    if cast("int", record.get("distinct", _FEW + 1)) <= _FEW:
        found = zip(*np.unique(numbers, return_counts=True), strict=True)
        record["values"] = {f"{value:.6g}": int(count) for value, count in found}
    return record


def _greys(image: ImageFile, picture: Picture) -> np.ndarray | None:
    """Numbers [H, W] as the file has them; None where some are no image."""
    if picture.pixels.mode == "L":
        return np.asarray(picture.pixels)
    shown = image.decode("minmax")
    found = next(filter(None, map(_LIMITS.fullmatch, shown.done)), None)
    if found is None or "padding black" in shown.done:
        return None
    low, high = float(found[1]), float(found[2])
    share = np.asarray(shown.pixels, np.float64) / 255
    numbers = low + (1 - share if "inverted" in shown.done else share) * (high - low)
    whole = np.rint(numbers) + 0.0  # no negative zero
    return whole if np.abs(numbers - whole).max() <= _ROUNDING * (high - low) else numbers


def _hex(color: object) -> str:
    return "#" + bytes(cast("tuple[int, int, int]", color)).hex()
