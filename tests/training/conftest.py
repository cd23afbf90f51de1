"""Small pictures of two kinds, and a small network to tell them apart."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder
from xmir_cli.pictures.files import read_picture
from xmir_cli.pictures.view import resize_picture
from xmir_cli.training.examples import Example
from xmir_cli.training.feed import Feed
from xmir_cli.training.pictures import Pictures
from xmir_cli.wire.model import ModelSpec, Preprocessing


def draw(folder: Path, per_class: int, seed: int = 0) -> list[Example]:
    """Stripes that lie and stripes that stand, under noise."""
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(40) * 1.3) * 12
    examples = []
    for place in range(2 * per_class):
        label = ("lying", "standing")[place % 2]
        field = wave[:, None] if label == "lying" else wave[None, :]
        values = 128 + field + rng.normal(0, 30, size=(40, 40))
        path = folder / f"{place}.png"
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(path)
        examples.append(Example(path.name, str(path), label))
    return examples


@pytest.fixture
def examples(tmp_path) -> list[Example]:
    return draw(tmp_path, 10)


@pytest.fixture
def embedder(tiny_arch) -> Embedder:
    recipe = Preprocessing(input_size=32, resize=36)
    return load_embedder(ModelSpec(tiny_arch, "random:0", 8, recipe), "cpu")


@pytest.fixture
def feed(embedder) -> Feed:
    return Feed(
        embedder,
        Pictures(lambda path: resize_picture(read_picture(path), embedder.recipe)),
        2,
    )
