"""A point that is asked for lies in the upright picture, whichever way its file lies."""

from collections.abc import Iterable

from xmir_cli import console
from xmir_cli.explain.maps import LoadedPair
from xmir_cli.explain.requests import Request
from xmir_cli.saliency.sample import Method


def tell_of_turn(request: Request, pair: LoadedPair, methods: Iterable[Method]) -> bool:
    """Name the picture with a point when it was turned upright; whether that was so."""
    target = pair.retrieved if pair.explains == "query" else pair.query
    turned = target.picture is not None and target.picture.turned
    if not turned or not any(vars(each).get("point") for each in methods):
        return False
    path = request.retrieved if pair.explains == "query" else request.query
    width, height = target.crop.image_size
    console.note(
        f"{path}: turned by its EXIF orientation; the point is one of the upright picture, "
        f"{width} x {height} pixels"
    )
    return True
