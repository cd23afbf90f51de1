"""A file's bytes become a picture, with every oddity named or refused."""

import os
import re

from xmir_cli.errors import SettingError
from xmir_cli.images.formats import format_of
from xmir_cli.images.picture import Picture, Wanted

PIXEL_LIMIT = 89_478_485  # Pillow's own limit against decompression bombs
_FRAME = re.compile(r"#frame=([0-9]{1,9})\Z")


def decode_bytes(
    data: bytes, name: str = "", window: str = "auto", enough: int | None = None
) -> Picture:
    """The picture in a file's bytes, of several the one that `#frame=N` ends the name with, from 1.

    `window` and `enough` are as `Preprocessing` says them, for DICOM and for JPEG. Raises ItemError
    with a stable code when there is no picture.
    """
    asked = _FRAME.search(name)
    frame = None if asked is None else int(asked[1])
    return format_of(data).read(data, Wanted(frame, window, enough, pixel_limit()))


def count_pictures(data: bytes) -> int:
    """How many pictures a file's bytes hold; raises ItemError for a file that cannot be read."""
    return format_of(data).count(data)


def pixel_limit() -> int:
    """How many pixels a picture may have; raises SettingError for an environment that says what."""
    given = os.environ.get("XMIR_MAX_PIXELS", "")
    if given and re.fullmatch(r"[0-9]{1,12}", given) is None:
        raise SettingError("XMIR_MAX_PIXELS", f"expected a number of pixels, found {given}")
    return int(given) if given else PIXEL_LIMIT
