"""The pictures and the maps of records."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.pages.entries import PageEntry, Read
from xmir_cli.pictures.files import open_image
from xmir_cli.pictures.identity import file_of
from xmir_cli.render.overlay import to_rgb
from xmir_cli.store.maps import read_map_file
from xmir_cli.wire.checks import check_identity


@dataclass(frozen=True)
class Look:
    """How pictures are drawn, and which files could not be read, with the reason."""

    alpha: float
    side: int
    bad: dict[Read, ItemError] = field(default_factory=dict)


def picture_at(asked: Read, window: str, look: Look) -> Image.Image | None:
    """The image at a path, if it can be read and is the one that is meant."""
    path, identity = asked
    try:
        file = open_image(path)
        check_identity(identity, file.identity, path)
        return to_rgb(file.decode(window).pixels)
    except ItemError as error:
        look.bad[asked] = error.bare
        return None


def is_there(entry: PageEntry, look: Look) -> bool:
    """Whether nothing is known against the files of a record, and its pictures' files exist."""
    for asked in (entry.query_read, entry.retrieved_read):
        if asked is not None and not os.path.lexists(file_of(asked[0])):
            picture_at(asked, entry.window, look)  # which says why not
    return not any(asked in look.bad for asked in entry.files)


def map_of(entry: PageEntry, look: Look) -> np.ndarray | None:
    """The map of a record [H, W], if it has one that can be read."""
    if entry.saliency is None:
        return None
    try:
        saliency = read_map_file(Path(entry.saliency))
        if saliency.ndim != 2 or not saliency.size:
            raise DataError(f"expected a map, found {saliency.shape}")
    except DataError as error:
        fault = str(error).removeprefix(f"{entry.saliency}: ")
        look.bad[entry.saliency, None] = ItemError(Cause.BAD_MAP, fault)
        return None
    except ItemError as error:
        look.bad[entry.saliency, None] = error
        return None
    return saliency
