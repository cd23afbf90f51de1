"""The fonts that letters may come from."""

import os
import sys
import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from PIL import ImageFont

EXTENDED = Path(__file__).parent / "fonts" / "Roboto-Regular.ttf"  # Latin, Greek and Cyrillic

_MISSING = "\uffff"  # no font has it
_SAMPLE = 20  # pixels, height of letters that are looked at
_BASIC = ImageFont.Layout.BASIC
_FOLDERS = (
    "~/.local/share/fonts",
    "~/.fonts",
    "~/Library/Fonts",
    f"{sys.prefix}/fonts",  # of conda
    "/usr/local/share/fonts",
    "/usr/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
)
# in the order in which they are tried; fonts of coloured pictures have one size only
_FILES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.*",
    "NotoSansCJK-Regular.*",
    "NotoSansCJK??-Regular.*",
    "NotoSans*-Regular.*",
    "NotoNaskhArabic-Regular.*",
    "DroidSansFallback*.*",
    "wqy-*.*",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
    "FreeSans.*",
    "Symbola*.*",
    "NotoEmoji-Regular.*",
    "unifont*.*",
)


@cache
def find_fonts() -> Sequence[Path]:
    """Those of the machine that have many letters, in the order in which they are tried."""
    found = [
        (rank, place, name)
        for folder in map(os.path.expanduser, _FOLDERS)  # which a home that is unknown leaves
        for place, _, names in os.walk(folder)
        for name in names
        for rank, pattern in enumerate(_FILES)
        if fnmatch(name, pattern) and name.endswith((".ttf", ".otf", ".ttc"))
    ]
    return list(dict.fromkeys(Path(place, name) for _, place, name in sorted(found)))


@cache
def open_face(path: Path | None, size: int) -> ImageFont.FreeTypeFont:
    """A font in letters of `size` pixels; None for Pillow's own."""
    if path is None:
        own = ImageFont.load_default(size)
        assert isinstance(own, ImageFont.FreeTypeFont)  # as Pillow's wheels have it
        return own
    # Raqm, which other scripts need, rounds the places of these letters worse
    return ImageFont.truetype(path, size, layout_engine=_BASIC if path == EXTENDED else None)


@cache
def has_glyph(path: Path | None, character: str) -> bool:
    """Whether a font draws something else for a character than for what it lacks."""
    if unicodedata.category(character) == "Cs":  # half of a character
        return False
    try:
        drawn, missing = (_plain(path).getmask(each) for each in (character, _MISSING))
    except OSError:  # damaged
        return False
    return (drawn.size, bytes(drawn)) != (missing.size, bytes(missing))


def direction_of(face: ImageFont.FreeTypeFont, text: str) -> str | None:
    """The direction of a line, whose words may run the other way where Pillow can do that."""
    return None if text.isascii() or face.layout_engine == _BASIC else "ltr"


@cache
def _plain(path: Path | None) -> ImageFont.FreeTypeFont:
    """A font that draws a character as it is, no mark on a circle."""
    return open_face(path, _SAMPLE).font_variant(layout_engine=_BASIC)
