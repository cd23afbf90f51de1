"""What training is fed by: pictures, or vectors that are stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from xmir_cli.model.network import Network
from xmir_cli.training.examples import Example
from xmir_cli.training.recipe import Augmentation
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

Visit = tuple[int, int]  # a position among the examples, and how often it came before in an epoch


class TrainedEmbedder(Protocol):
    """The network that is trained, on its device."""

    @property
    def network(self) -> Network:
        """What has the weights."""

    @property
    def spec(self) -> ModelSpec:
        """What the run starts from."""

    @property
    def device(self) -> torch.device:
        """Where it is."""

    @property
    def precision(self) -> str:
        """Its arithmetic."""

    @property
    def batch(self) -> int:
        """How many inputs pass at once when nothing is trained."""

    @property
    def dim(self) -> int:
        """The length D of its embeddings."""

    def embed(self, images: Tensor, job: int = 0) -> Tensor:
        """Unit embeddings [B, D], float32 on the CPU, of inputs [B, ...]."""


@dataclass(frozen=True)
class TrainedNetwork:
    """What is kept of a run: a network, how it is built again, and a head for stored vectors."""

    network: Network
    spec: ModelSpec
    head: Tensor | None = None  # [d, D]


class Views(Protocol):
    """Turns rows into batches of network input."""

    @property
    def embedder(self) -> TrainedEmbedder:
        """The network that takes them."""

    @property
    def jobs(self) -> int | None:
        """Threads that read; None for one a processor."""

    @property
    def told(self) -> Record:
        """What decides a run's result beside the network that it starts from."""

    def mark(self, path: str) -> str:
        """A hash of what the network may see of a row; raises ItemError for what is of no use."""

    def load_augmented(
        self,
        batches: Sequence[Sequence[Visit]],
        examples: Sequence[Example],
        augmentation: Augmentation,
        seed: tuple[int, int],
    ) -> Iterator[Tensor]:
        """Input for each batch of rows in `examples`, on the device."""

    def load_plain(self, examples: Sequence[Example], batch: int) -> Iterator[Tensor]:
        """Input of the evaluation, `batch` at a time, in order."""

    def whole(self) -> TrainedNetwork:
        """What is to be kept of the network as it is now."""
