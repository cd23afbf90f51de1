"""What a saliency method is given and what it gives back.

The target is an embedding, whatever stands behind it: mostly an image, whose Sample it then is; or
words, or a vector, of which `make_target` makes one.
"""

import math
from collections.abc import Hashable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from xmir_cli.arrays import clip_cosines
from xmir_cli.errors import SettingError
from xmir_cli.labels import LabelSets
from xmir_cli.model.embedder import Embedder, unit
from xmir_cli.program.workers import single_thread
from xmir_cli.saliency.regions import Rectangle


@dataclass(frozen=True, eq=False)
class LabelledGallery:
    """A gallery's unit embeddings and labels, which may be mapped from the disk."""

    embeddings: np.ndarray  # [N, D] float32
    labels: LabelSets  # [N]


@dataclass(frozen=True, eq=False)
class Centering:
    """The mean of a gallery [D] that is taken off an embedding, and what is left is multiplied by.

    See centering.py.
    """

    mean: Tensor
    scale: float

    def spread(self, cells: Tensor, part: float = 1.0) -> Tensor:
        """Shares [n, D] of the unit embedding as shares of what is left of it, the mean evenly.

        Of shares that are but a part of all, that part of the mean.
        """
        return (cells - self.mean.to(cells) * (part / len(cells))) * self.scale


@dataclass(frozen=True, eq=False)
class Sample:
    """An image as the methods see it; everything that depends on it alone is computed once.

    `negatives` are images that the pair is contrasted with; they belong to its anchor, the query.
    """

    input: Tensor  # [3, S, S] in model space, on the CPU; empty: see `stored_samples`
    features: Tensor  # [C, h, w] on the network's device
    raw: Tensor  # [D] before the normalisation, float32 on the CPU
    embedding: Tensor  # [D] unit, float32 on the CPU
    negatives: "tuple[Sample, ...]" = ()
    gallery: LabelledGallery | None = (
        None  # where the pair was found, for methods that `need_gallery`
    )
    roi: Rectangle | None = (
        None  # where the input lies in the original picture; None: it is the picture
    )
    picture: tuple[float, float] = (math.inf, math.inf)  # width and height of the original
    centering: Centering | None = (
        None  # of a target: its `embedding` is what that left; of pairs of cells: both images
    )
    memo: MutableMapping[Hashable, Tensor] = field(
        default_factory=dict
    )  # such as perturbed embeddings

    @property
    def crop(self) -> Rectangle:
        """What the network sees, in pixels of the original picture."""
        if self.roi is not None:
            return self.roi
        rows, columns = self.input.shape[1:]
        return (0.0, 0.0, float(columns), float(rows))

    def center(self, cells: Tensor, part: float = 1.0) -> Tensor:
        """Shares [n, D] of places in the unit embedding, or in what is left of it if centred.

        The places may be but a `part` of all.
        """
        return cells if self.centering is None else self.centering.spread(cells, part)

    @property
    def bytes(self) -> int:
        """Memory held, memo and all."""
        held = [self.input, self.features, self.raw, self.embedding, *self.memo.values()]
        return sum(tensor.nbytes for tensor in held)


@dataclass(frozen=True)
class Match:
    """A region of either image, in pixels of its original, and what their pair contributes."""

    target: Rectangle
    explained: Rectangle
    share: float  # of the similarity


@dataclass(frozen=True, eq=False)
class Explanation:
    """A raw saliency map, larger is more important, negative speaks against the similarity."""

    saliency: Tensor  # [S, S] float32 on the CPU
    evaluations: int  # forward passes it rests on, beside those of the two images
    details: Mapping[str, float | str] = field(default_factory=dict)
    matches: tuple[Match, ...] = ()  # strongest first


class Method(Protocol):
    """A frozen dataclass of settings whose call is pure: inputs and network stay as they are."""

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        """Where `explained` resembles `target`, whose embedding stays fixed.

        The same Sample twice asks for self-similarity.
        """


def similarity(first: Sample, second: Sample) -> float:
    """The cosine of the two embeddings, summed in float64; the product of a centred one."""
    product = first.embedding.double() @ second.embedding.double()
    return float(product if first.centering else clip_cosines(product.numpy()))


def make_samples(embedder: Embedder, inputs: Sequence[Tensor], job: int = 0) -> list[Sample]:
    """Samples of inputs [3, S, S], all in as few forward passes as `embedder.batch` allows.

    `job` is how many are asked for in all, as of `Embedder.forward_features`.
    """
    if not inputs:
        return []
    features = embedder.forward_features(torch.stack(list(inputs)), job)
    raw = _raw(embedder, features)
    embeddings = unit(raw)
    # clones, for a row of a batch would keep the whole batch alive
    return [
        Sample(image, features[row].clone(), raw[row].clone(), embeddings[row].clone())
        for row, image in enumerate(inputs)
    ]


def make_target(embedding: Tensor) -> Sample:
    """A unit embedding [D] as a target that no image stands behind; see `need_image`."""
    nothing = torch.empty(0)
    return Sample(nothing, nothing, embedding, embedding)


def need_image(target: Sample, why: str, setting: str = "method") -> None:
    """Raise SettingError of the `setting` where the target is words, with an image or without."""
    if not target.features.numel():
        alone = "Use `method` occlusion or rise, which take an embedding alone."
        hint = alone if setting == "method" else "Leave it out: words and concepts have no places."
        raise SettingError(setting, why, hint)


def make_stored_samples(embedder: Embedder, features: Tensor, embeddings: Tensor) -> list[Sample]:
    """Samples without inputs, of stored feature maps [N, C, h, w] and unit embeddings [N, D].

    They are for methods that work `from_features`. Only the head runs.
    """
    nothing = torch.empty(0)
    with single_thread():
        wide = features.to(embedder.device, torch.float32)
        raw = _raw(embedder, wide)
    return [Sample(nothing, *known) for known in zip(wide, raw, embeddings, strict=True)]


def _raw(embedder: Embedder, features: Tensor) -> Tensor:
    with torch.no_grad():
        return embedder.project(features).float().cpu()
