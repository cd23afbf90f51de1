"""The pictures of a page as data URIs: each once, none large, and all within a limit."""

import base64
import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from xmir_cli.errors import ItemError, SettingError
from xmir_cli.pages.entries import PageEntry, Read
from xmir_cli.pages.page import Look, map_of, picture_at
from xmir_cli.render.colormap import scale
from xmir_cli.render.montage import ColorBar
from xmir_cli.render.overlay import map_layer

MEGABYTE = 1 << 20
_QUALITY = 88  # of a JPEG
_FIGURE = 1600  # pixels of the longer side of what has letters in it


@dataclass(frozen=True)
class Shot:
    """A picture of the album, and how large the original is, upright."""

    place: int
    width: int
    height: int


@dataclass
class Album:
    """Reads, shrinks and keeps pictures; the same content has one place."""

    side: int  # pixels of the longer side of a picture
    limit: int  # bytes of all
    look: Look = field(init=False)
    uris: list[str] = field(default_factory=list)
    size: int = 0  # bytes
    _places: dict[str, int] = field(default_factory=dict)
    _shots: dict[tuple[Read, str], Shot | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.look = Look(1.0, self.side)

    @property
    def bad(self) -> dict[Read, ItemError]:
        """The files that could not be read, with the reason."""
        return self.look.bad

    def shoot(self, asked: Read, window: str, figure: bool = False) -> Shot | None:
        """The picture at a path, once it is the one that is meant; None where it cannot be read."""
        if (asked, window) not in self._shots:
            picture = picture_at(asked, window, self.look)
            side = max(_FIGURE, self.side) if figure else self.side
            self._shots[asked, window] = (
                None
                if picture is None
                else Shot(self._keep(_jpeg(picture, side)), picture.width, picture.height)
            )
        return self._shots[asked, window]

    def layer(self, entry: PageEntry, bar: ColorBar) -> tuple[int, float] | None:
        """The place of a record's map alone and its largest absolute value; None without one."""
        saliency = map_of(entry, self.look)
        if saliency is None:
            return None
        drawn = map_layer(saliency, bar.colormap, bar.largest)
        return self._keep(_png(drawn)), scale(saliency)

    def spend(self, size: int) -> None:
        """Count so many bytes; raises SettingError when the page becomes too large."""
        self.size += size
        self.check(self.size)

    def check(self, size: int) -> None:
        """Raise SettingError for a page that is too large."""
        if size > self.limit:
            raise SettingError(
                "limit",
                f"the page would hold more than {self.limit // MEGABYTE} MB",
                f"Make the pictures smaller with `side` (now {self.side}), take fewer records, "
                "such as the first hits by head, or raise `limit`.",
            )

    def _keep(self, uri: str) -> int:
        if uri not in self._places:
            self.spend(len(uri))
            self._places[uri] = len(self.uris)
            self.uris.append(uri)
        return self._places[uri]


def _jpeg(picture: Image.Image, side: int) -> str:
    """A picture without the source's metadata; one without colour needs a channel only."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3)
    pixels = np.asarray(small)
    if (pixels == pixels[..., :1]).all():
        small = Image.fromarray(pixels[..., 0])
    return _uri(small, "jpeg", quality=_QUALITY, optimize=True)


def _png(layer: Image.Image) -> str:
    return _uri(layer, "png", optimize=True, transparency=layer.info["transparency"])


def _uri(picture: Image.Image, kind: str, **how: object) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
