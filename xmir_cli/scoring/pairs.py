"""One pair at a time: its images, its maps, and their insertion and deletion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import torch
from torch import Tensor

from xmir_cli import console
from xmir_cli.errors import ItemError
from xmir_cli.images.decode import decode
from xmir_cli.metrics.causal import Causal
from xmir_cli.metrics.order import tied_fraction
from xmir_cli.metrics.protocol import Protocol, score_maps
from xmir_cli.model.embedder import Embedder
from xmir_cli.records import ModelSpec
from xmir_cli.scoring.tasks import Pair, Task, attempt
from xmir_cli.store.arrays import read_array

CHECK = 1e-3  # how far a similarity computed again may lie from the recorded one
_TARGETS = 4096  # embeddings kept


@dataclass(frozen=True)
class Scored:
    """A map with its curves and everything they rest on."""

    task: Task
    causal: Causal
    tied_fraction: float
    parameters: dict[str, object]


class PairScorer:
    """Scores the maps of pairs; every network is loaded once, every target embedded once."""

    def __init__(
        self,
        protocol: Protocol,
        load: Callable[[ModelSpec], Embedder],
        instead: ModelSpec | None = None,
    ) -> None:
        self.protocol = protocol
        self.instead = instead  # scores in place of the networks that the maps were made with
        self._load = cache(load)
        self._target = lru_cache(maxsize=_TARGETS)(self._embed)
        self._told = False

    def score(self, tasks: Sequence[Task]) -> list[Scored | ItemError]:
        """The maps of one pair, scored together; an ItemError for each that cannot be used.

        Raises ModelError when the network cannot be had.
        """
        pair = tasks[0].pair
        embedder = self._load(self.instead or pair.spec)
        self._warn_of_another_network(embedder, pair)
        images = attempt(self._images, embedder, pair)
        if isinstance(images, ItemError):
            return [images] * len(tasks)
        found = [attempt(_map, task, embedder, images) for task in tasks]
        maps = [each for each in found if isinstance(each, Tensor)]
        curves = iter(score_maps(embedder, images.target, images.explained, maps, self.protocol))
        parameters = self.protocol.describe(embedder, images.explained)
        return [
            each
            if isinstance(each, ItemError)
            else Scored(task, next(curves), tied_fraction(each), parameters)
            for task, each in zip(tasks, found, strict=True)
        ]

    def _images(self, embedder: Embedder, pair: Pair) -> "_Images":
        target = self._target(embedder, pair.target)
        explained = read_input(embedder, pair.explained)
        similarity = float(embedder.embed(explained[None])[0] @ target)
        return _Images(target, explained, similarity)

    def _embed(self, embedder: Embedder, path: str) -> Tensor:
        return embedder.embed(read_input(embedder, path)[None])[0]

    def _warn_of_another_network(self, embedder: Embedder, pair: Pair) -> None:
        if self._told or embedder.spec.same_embedding(pair.spec):
            return
        self._told = True
        console.warning("the maps were made with another network than --model, which scores them")


@dataclass(frozen=True)
class _Images:
    target: Tensor  # unit embedding [D]
    explained: Tensor  # [3, S, S]
    similarity: float


def _map(task: Task, embedder: Embedder, images: _Images) -> Tensor:
    same = embedder.precision == "fp32" and embedder.spec.same_embedding(task.pair.spec)
    if same and task.similarity is not None and abs(images.similarity - task.similarity) > CHECK:
        raise ItemError(
            f"changed: the similarity is {images.similarity:.4f}, the record has "
            f"{task.similarity:.4f}: an image was replaced since"
        )
    return read_map(task.saliency, embedder.size)


def read_input(embedder: Embedder, path: str) -> Tensor:
    """The image at `path` as the network sees it, [3, S, S]; raises ItemError naming it."""
    try:
        return embedder.to_input(embedder.view(decode(path)))
    except ItemError as error:
        raise ItemError(f"{error.reason} ({path})") from None


def read_map(path: str, size: int) -> Tensor:
    """The saliency map [size, size] at `path`; raises ItemError or DataError."""
    saliency = read_array(Path(path))
    if saliency.shape != (size, size):
        raise ItemError(
            f"wrong-size: {path}: expected {size} x {size} as the network's input, "
            f"found {' x '.join(map(str, saliency.shape))}"
        )
    return torch.from_numpy(saliency)
