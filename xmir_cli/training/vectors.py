"""A linear head in training on vectors that are stored: no image is read."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.model.adapter import join
from xmir_cli.model.embedder import Embedder, unit
from xmir_cli.model.head import Head
from xmir_cli.model.network import Architecture, Network
from xmir_cli.training.examples import Example
from xmir_cli.training.recipe import Augmentation
from xmir_cli.training.views import TrainedNetwork, Visit
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

_ROWS = 4096  # that the first weights are made of, and that pass at once


@dataclass(frozen=True)
class HeadEmbedder:
    """A head [d, D] as a network whose feature maps are the vectors, one cell each."""

    network: Network
    spec: ModelSpec  # of what made the vectors
    device: torch.device
    precision: str = "fp32"
    batch: int = _ROWS

    @property
    def dim(self) -> int:
        """The length d of what it makes."""
        return self.network.dim

    def embed(self, images: Tensor, job: int = 0) -> Tensor:
        """Unit embeddings [B, d], on the CPU, of vectors [B, D, 1, 1]."""
        del job
        with torch.no_grad():
            made: Tensor = self.network(images)
            return unit(made).cpu()


class VectorFeed:
    """Turns rows into batches of their vectors [B, D, 1, 1]; a row's path is its number.

    Args:
        base: What made the vectors, whose weights are left alone.
        vectors: Of length 1, but for those of no use [N, D] float32.
        first: The weights [d, D] to begin with.
    """

    jobs = 1

    def __init__(self, base: Embedder, vectors: np.ndarray, first: np.ndarray) -> None:
        self.base, self.vectors = base, vectors
        network = Network(Architecture(nn.Identity(), first.shape[1]), len(first))
        assert isinstance(network.head, Head)
        linear = network.head.after[-1]
        assert isinstance(linear, nn.Linear)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(first))
            linear.bias.zero_().requires_grad_(False)
        self.linear = linear
        self.embedder = HeadEmbedder(network.to(base.device), base.spec, base.device)

    @property
    def told(self) -> Record:
        """The size of the head."""
        return {"adapter": self.embedder.dim}

    def mark(self, path: str) -> str:
        """A hash of the row's vector; raises ItemError for one without a direction."""
        vector = self.vectors[int(path)]
        if not abs(float(vector @ vector) - 1) < 1e-3:
            raise ItemError(Cause.BAD_VECTOR, f"row {path} is zero, NaN or infinite")
        return hashlib.sha256(vector.tobytes()).hexdigest()

    def load_augmented(
        self,
        batches: Sequence[Sequence[Visit]],
        examples: Sequence[Example],
        augmentation: Augmentation,
        seed: tuple[int, int],
    ) -> Iterator[Tensor]:
        """The vectors of each batch; nothing of them is varied."""
        del augmentation, seed
        for batch in batches:
            yield self._take([examples[place] for place, _ in batch])

    def load_plain(self, examples: Sequence[Example], batch: int) -> Iterator[Tensor]:
        """The vectors of all examples, `batch` at a time."""
        for start in range(0, len(examples), batch):
            yield self._take(examples[start : start + batch])

    def whole(self) -> TrainedNetwork:
        """The network of the vectors with the head behind it, and the head by itself."""
        weight = self.linear.weight.detach().cpu()
        spec = replace(self.base.spec, head=len(weight), words_sha256="")
        return TrainedNetwork(join(self.base.network, self.base.spec, weight), spec, weight)

    def _take(self, examples: Sequence[Example]) -> Tensor:
        rows = self.vectors[[int(example.path) for example in examples]]
        return torch.from_numpy(rows)[:, :, None, None].to(self.embedder.device)


def first_weights(vectors: np.ndarray, dim: int) -> np.ndarray:
    """Weights [d, D] to begin with: the directions along which the vectors [N, D] are longest.

    So the head begins with what it was given: similarities hardly change. Of more than 4096 rows
    so many are looked at, from all over. Where they have fewer directions the others are random,
    the same ones for equal sizes.
    """
    rows = np.nan_to_num(vectors[:: -(-len(vectors) // _ROWS)].astype(np.float64))
    found = np.random.default_rng(0).standard_normal((dim, vectors.shape[1]))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    if len(rows) < rows.shape[1]:
        mixed = np.linalg.eigh(rows @ rows.T)[1][:, ::-1][:, :dim]
        axes = mixed.T @ rows
    else:
        axes = np.linalg.eigh(rows.T @ rows)[1][:, ::-1][:, :dim].T
        axes = axes * np.linalg.norm(rows @ axes.T, axis=0)[:, None]
    lengths = np.linalg.norm(axes, axis=1)
    axes = axes[lengths > 1e-6 * max(lengths.max(), 1e-12)]
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    found[: len(axes)] = axes * signs[:, None]
    return found.astype(np.float32)
