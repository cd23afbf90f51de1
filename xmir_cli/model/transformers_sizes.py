"""How large an image processor of transformers makes a picture, and which square of it it cuts."""

import math
from collections.abc import Mapping

from xmir_cli.wire.ranges import LARGEST_INPUT, read_whole

_PRESSED = "a picture that is no square is pressed into one; its processor keeps its shape"
_WARPED_FROM = 384  # ConvNeXt's: from this size on the whole is pressed into a square


def find_sizes(kind: str, told: Mapping[str, object], odd: list[str]) -> tuple[int, int, str]:
    """Side of the square, side of the picture before it is cut, and the view.

    `odd` gets what is not quite the same; what makes no square raises TypeError or ValueError.
    """
    size, resized, view = _where_resized(kind, told, odd)
    if told.get("do_resize"):
        return size, resized, view
    odd.append(f"pictures are resized to {size}; its processor leaves them as they are")
    return size, size, "crop"


def _where_resized(kind: str, told: Mapping[str, object], odd: list[str]) -> tuple[int, int, str]:
    """The same of a processor that resizes pictures."""
    if kind == "Siglip2ImageProcessor":
        keys = ("max_num_patches", "patch_size")
        most, each = (read_whole(key, told[key], LARGEST_INPUT) for key in keys)
        side = math.isqrt(most) * each
        odd.append(_PRESSED)
        return side, side, "squash"
    resized, view = _resized(told.get("size"))
    if told.get("keep_aspect_ratio"):
        odd.append(_PRESSED)
    parts = int(told.get("ensure_multiple_of") or 1)  # type: ignore[call-overload] # a number
    if resized % parts:
        odd.append(
            f"pictures are resized to {resized}; its processor makes it a multiple of {parts}"
        )
    if kind == "ConvNextImageProcessor":
        if resized >= _WARPED_FROM:
            return resized, resized, "squash"
        return resized, int(resized / float(str(told["crop_pct"]))), "crop"
    size = resized
    if told.get("do_center_crop"):
        size, _ = _resized(told["crop_size"], crop=True)
    elif view == "crop":
        odd.append("the square in the centre is seen; its processor keeps what is beside it")
    return size, resized, view


def _resized(size: object, crop: bool = False) -> tuple[int, str]:
    """The side that a picture gets, and the view; raises ValueError for what is no square."""
    if not isinstance(size, Mapping):
        raise TypeError(f"size {size}")
    sides = {key: value for key, value in size.items() if value is not None}
    if sides.keys() == {"height", "width"} and sides["height"] == sides["width"]:
        return int(sides["height"]), "squash"
    if sides.keys() == {"shortest_edge"}:
        return int(sides["shortest_edge"]), "squash" if crop else "crop"
    said = ", ".join(f"{key} {value}" for key, value in sides.items())
    raise ValueError(f"{'crop' if crop else 'size'}: {said}")
