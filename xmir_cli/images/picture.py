"""What a reader makes of a file's bytes, and what it is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from PIL import Image


@dataclass(frozen=True)
class Picture:
    """A decoded image, upright, without transparency."""

    pixels: Image.Image  # mode L or RGB (0..255), or F: deep greys scaled to 0..255, unrounded
    width: int  # as displayed; the pixels may be fewer, see `reduction`
    height: int
    done: tuple[str, ...]  # what had to be done, for the record: "exif-rotated", "alpha over black"
    columns: Mapping[str, str] = field(default_factory=dict)  # what DICOM tags tell, by allow-list

    @property
    def turned(self) -> bool:
        """Whether the file's pixels lie otherwise, and its EXIF orientation says how."""
        return "exif-rotated" in self.done

    @property
    def reduction(self) -> int:
        """The side of a pixel, in pixels of the file."""
        return -(-self.width // self.pixels.width)


@dataclass(frozen=True)
class Wanted:
    """Which picture of a file, and how it is to be shown."""

    frame: int | None  # from 1; None is the only one, or the first of a format that has a first
    window: str  # of grey values, as `Preprocessing.window` says it
    enough: int | None  # pixels of the shorter side that will do; None is all
    pixel_limit: int  # more pixels are refused before they are decoded


@dataclass(frozen=True)
class ImageFormat:
    """How files of one kind are known and read; a row of `formats.FORMATS`.

    Each function takes the whole file. `count` and `read` raise ItemError for a damaged one.
    """

    name: str
    extensions: tuple[str, ...]  # by which a folder is searched; elsewhere the content decides
    recognises: Callable[[bytes], bool]
    count: Callable[[bytes], int]  # pictures in the file
    read: Callable[[bytes, Wanted], Picture]
    starts: tuple[bytes, ...] = ()  # a shorter file that begins one of these is cut short
