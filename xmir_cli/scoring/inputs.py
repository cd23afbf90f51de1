"""What is scored, as it is read: the image that the network sees, and the map of it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.crop import Crop
from xmir_cli.pictures.reading import read_image
from xmir_cli.store.maps import read_map_file


class Input(NamedTuple):
    """An image as the network sees it."""

    identity: str
    input: Tensor  # [3, S, S]
    crop: Crop


def read_input(embedder: Embedder, path: str) -> Input:
    """The image at `path` as the network sees it; raises ItemError naming it."""
    try:
        reading = read_image(path, embedder.recipe)
        return Input(reading.identity, reading.input, reading.view.crop)
    except ItemError as error:
        raise error.because(f"{error.detail} ({path})") from None


def read_map(path: str, size: int) -> Tensor:
    """The saliency map [size, size] at `path`; raises ItemError or DataError."""
    saliency = read_map_file(Path(path))
    if saliency.shape != (size, size):
        raise ItemError(
            Cause.WRONG_SIZE,
            f"{path}: expected {size} x {size} as the network's input, "
            f"found {' x '.join(map(str, saliency.shape))}",
        )
    return torch.from_numpy(saliency.astype(np.float64))
