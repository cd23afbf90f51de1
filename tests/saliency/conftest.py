"""Toy embedders and samples for the saliency methods."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from xmir_cli.model.embedder import Embedder
from xmir_cli.model.head import AveragePool
from xmir_cli.model.network import Architecture, Network
from xmir_cli.saliency.sample import Sample, make_samples
from xmir_cli.wire.model import ModelSpec, Preprocessing

SIZE = 32  # pixels
CELLS = 8  # of the feature map's side
SPOT = (slice(8, 16), slice(16, 24))  # rows and columns: the only patch a spotlight network sees

MakeEmbedder = Callable[..., Embedder]
MakeInputs = Callable[..., list[Tensor]]


class Spotlight(nn.Module):
    """Blacks out everything but one patch."""

    def forward(self, images: Tensor) -> Tensor:
        seen = torch.zeros_like(images)
        seen[:, :, SPOT[0], SPOT[1]] = images[:, :, SPOT[0], SPOT[1]]
        return seen


def toy_embedder(
    pool: nn.Module | None = None,
    head: int | None = None,
    after: tuple[nn.Module, ...] = (),
    spotlight: bool = False,
) -> Embedder:
    """6 channels on an 8 x 8 grid; a spotlight network gives zeros for zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        convolution = nn.Conv2d(3, 6, 1 if spotlight else 3, padding=0 if spotlight else 1)
        if spotlight:
            nn.init.zeros_(convolution.bias)
        steps = [Spotlight()] if spotlight else []
        features = nn.Sequential(*steps, convolution, nn.ReLU(), nn.AvgPool2d(SIZE // CELLS))
        recipe = Preprocessing(input_size=SIZE, resize=SIZE)
        architecture = Architecture(features, 6, recipe, pool or AveragePool(), after)
        network = Network(architecture, head)
    spec = ModelSpec("toy", "random:5", head, recipe)
    return Embedder(network, spec, torch.device("cpu"))


def toy_inputs(count: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    coarse = 2 * torch.randn(count, 3, CELLS, CELLS, generator=generator)  # cells differ clearly
    return list(coarse.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3))


@pytest.fixture
def make_embedder() -> MakeEmbedder:
    return toy_embedder


@pytest.fixture
def make_inputs() -> MakeInputs:
    return toy_inputs


@pytest.fixture
def spot() -> tuple[slice, slice]:
    return SPOT


@pytest.fixture
def embedder() -> Embedder:
    return toy_embedder()


@pytest.fixture
def pair(embedder: Embedder) -> list[Sample]:
    """A query and a retrieved image."""
    return make_samples(embedder, toy_inputs(2))
