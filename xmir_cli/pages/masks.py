"""Masks of a folder, found by the names of the images that they belong to."""

from pathlib import Path, PurePath

from PIL import Image

from xmir_cli import console
from xmir_cli.errors import ItemError
from xmir_cli.pictures.files import read_picture
from xmir_cli.pictures.identity import file_of


class MaskFolder:
    """The masks that lie in a folder under an image's name, or under its name with .png."""

    def __init__(self, folder: Path) -> None:
        self.found = 0
        self._folder = folder

    def of(self, path: str) -> Image.Image | None:
        """The mask of an image; of two in the folder the one with more of the image's folders."""
        parts = [part for part in PurePath(file_of(path)).parts if part not in {"/", ".", ".."}]
        for first in range(len(parts)):
            place = self._folder.joinpath(*parts[first:])
            for name in (place, place.with_suffix(".png")):
                if _is_file(name):
                    return self._read(name)
        return None

    def _read(self, name: Path) -> Image.Image | None:
        try:
            mask = read_picture(str(name)).pixels
        except ItemError as error:
            console.note(f"{name}: {error}; not outlined")
            return None
        self.found += 1
        return mask


def _is_file(name: Path) -> bool:
    try:
        return name.is_file()
    except OSError:  # .png made the name too long
        return False
