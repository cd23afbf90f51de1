"""The one door for pictures: `PATH` or `PATH#frame=N` becomes what it is and what is seen of it.

Whatever reads, hashes, decodes or compares images comes through here or through `files`, so that an
image is the same image everywhere.
"""

from dataclasses import dataclass

from torch import Tensor

from xmir_cli.images.picture import Picture
from xmir_cli.pictures.files import ImageFile, open_image
from xmir_cli.pictures.view import View, to_input, view_picture
from xmir_cli.wire.model import Preprocessing


@dataclass(frozen=True, eq=False)
class Reading:
    """One image: what it is, its picture, and what a recipe sees of it."""

    identity: str  # see `identity.identity_of`
    sha256: str  # of the whole file
    picture: Picture
    view: View
    recipe: Preprocessing

    @property
    def input(self) -> Tensor:
        """The view in model space: [3, S, S] float32 on the CPU."""
        return to_input(self.view, self.recipe)


def read_image(name: str, recipe: Preprocessing) -> Reading:
    """The image `name` as a recipe sees it; raises ItemError with a stable code."""
    return read_file(open_image(name), recipe)


def read_file(file: ImageFile, recipe: Preprocessing) -> Reading:
    """An image whose file is open as a recipe sees it; raises ItemError."""
    picture = file.decode(recipe.window, recipe.enough)
    return Reading(file.identity, file.sha256, picture, view_picture(picture, recipe), recipe)
