"""What is left of a similarity when the mean of a gallery is taken off both images.

    s_c = (t - m) . (r - m) / (|t - m| |r - m|)

with t and r the unit embeddings of the target and of the explained image. A method whose map shares
out t . r does the same for s_c once it is given the target (t - m) / (|t - m| |r - m|). The rest,
minus the product of that with m, is no place's: it is a constant of the gallery.

Source: Mu and Viswanath, All-but-the-top, ICLR 2018, for taking off what all embeddings share.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from xmir_cli.arrays import NOTHING_LEFT
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.sample import Centering, Explanation, Method, Sample


@dataclass(frozen=True, eq=False)
class GalleryMean:
    """The mean [D] of the unit embeddings of a gallery, and which one it is."""

    vector: Tensor  # float32 on the CPU

    @cached_property
    def sha256(self) -> str:
        """Of its numbers, float32, the lowest byte first."""
        return hashlib.sha256(self.vector.numpy().astype("<f4").tobytes()).hexdigest()

    def take_off(self, embedding: Tensor) -> tuple[Tensor, float]:
        """The unit direction [D] of an embedding less the mean, float64, and its length before.

        Both are zero where nothing is left.
        """
        left = embedding.double() - self.vector.double()
        length = float(left.norm())
        return (left / length, length) if length > NOTHING_LEFT else (torch.zeros_like(left), 0.0)

    def similarities(self, embeddings: Tensor, target: Tensor) -> Tensor:
        """The centred similarities [N] of unit embeddings [N, D] to one [D]; 0: nothing left."""
        left = embeddings.double() - self.vector.double()
        lengths = left.norm(dim=1)
        products = left @ self.take_off(target)[0]
        return torch.where(lengths > NOTHING_LEFT, products / lengths, 0).float()


def read_mean(vector: np.ndarray) -> GalleryMean:
    """The mean [D] as a gallery keeps it."""
    return GalleryMean(torch.from_numpy(np.array(vector, dtype=np.float32)))


@dataclass(frozen=True)
class Centered:
    """A method that shares out the centred similarity; its own must share out the plain one.

    Where the target's cells count alone, as for a point, and in pairs of cells, the mean is spread
    evenly over the cells of its image. The details have `centered`, the similarity, and `mean`,
    what no place has of it; `undefined` where an image is the mean itself, whose map is zero.
    """

    method: Method
    mean: GalleryMean

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        direction, size = self.mean.take_off(target.embedding)
        own, length = self.mean.take_off(explained.embedding)
        scale = 1 / (size * length) if size and length else 0.0
        aim = direction / length if scale else torch.zeros_like(direction)
        mean = self.mean.vector
        found = self.method(
            embedder,
            replace(target, embedding=aim.float(), centering=Centering(mean, scale)),
            replace(explained, centering=Centering(mean, 1.0)),
        )
        constant = -float(aim @ mean.double())
        details = {"centered": float(direction @ own), "mean": constant}
        undefined = {} if scale else {"undefined": 1.0}
        return replace(found, details={**found.details, **details, **undefined})
