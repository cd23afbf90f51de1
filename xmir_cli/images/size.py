"""The sizes that a picture may have, asked before its pixels take any memory."""

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

ASPECT_LIMIT = 200  # longer side : shorter side


def check_size(width: int, height: int, pixel_limit: int) -> None:
    """Raise ItemError for a picture that is too large, too narrow or empty."""
    if width * height > pixel_limit:
        raise ItemError(
            Cause.TOO_LARGE,
            f"{width} x {height} pixels, the limit is {pixel_limit} (XMIR_MAX_PIXELS)",
        )
    if min(width, height) < 1 or max(width, height) > ASPECT_LIMIT * min(width, height):
        raise ItemError(Cause.BAD_SIZE, f"{width} x {height} pixels")
