"""Insertion and deletion: does the similarity hang on the pixels that a map calls salient?

    deletion:  the image, its pixels replaced in the map's order by the substrate's (grey)
    insertion: the blurred image, its pixels replaced in the map's order by the image's
    c_t = max(0, similarity of step t),  x_t = min(t step, HW) / HW,  t = 0..T, T = ceil(HW / step)
    AUC = sum_t (x_{t+1} - x_t) (c_t + c_{t+1}) / 2

Source: Petsiuk et al., RISE, BMVC 2018; similarity takes the place of class probability.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xmir_cli import steps
from xmir_cli.arrays import Floats, Integers

Guess = Callable[[Tensor], Tensor]  # of pixels [N, H, W] that are deleted, images [N, 3, H, W]
Scorer = Callable[[Tensor], Tensor]  # images [N, 3, H, W] -> similarities [N]


@dataclass(frozen=True)
class Ends:
    """Where the curves of one image begin and end, [3, H, W] each, in model space."""

    intact: Tensor  # the image itself: deletion's start, insertion's end
    blurred: Tensor  # insertion's start
    substrate: Tensor  # what deleted pixels become: deletion's end
    guess: Guess | None = None  # what they become instead until the end, where others tell


@dataclass(frozen=True)
class Curve:
    """Similarities c_0..c_T against the fractions x_0..x_T of pixels replaced, [T + 1] each."""

    fractions: Floats
    similarities: Floats

    @property
    def auc(self) -> float:
        """The area by trapezoids between the true fractions."""
        widths = np.diff(self.fractions)
        return float(np.sum(widths * (self.similarities[:-1] + self.similarities[1:]) / 2))


@dataclass(frozen=True)
class CausalCurves:
    """Both curves of one map."""

    insertion: Curve
    deletion: Curve


def fractions(pixels: int, step: int) -> Floats:
    """The fractions of `pixels` replaced after 0, 1, 2 ... steps of `step` pixels, up to 1."""
    counts = np.arange(math.ceil(pixels / step) + 1, dtype=np.float64) * step
    return np.minimum(counts, pixels) / pixels


def causal_curves(  # noqa: PLR0913 # what is scored, and how
    similarity: Scorer,
    ends: Ends,
    at_ends: Tensor,
    ranks: Sequence[Tensor],
    step: int,
    batch: int = 64,
) -> list[CausalCurves]:
    """Insertion and deletion of several maps of one image; all steps of all maps share batches.

    Args:
        similarity: Scores images against the fixed target; negative similarities count as 0.
        ends: The image and what its pixels are replaced by; on the device of the scorer.
        at_ends: What `similarity` gives for the intact, the blurred and the substrate image, [3].
        ranks: The order of the pixels by each map, [H, W] each, 0 first.
        step: Pixels a step; the last step takes what is left.
        batch: Images handed to the scorer at a time; does not change the result.
    """
    pixels = ends.intact[0].numel()
    along = fractions(pixels, step)
    points = np.zeros((len(ranks), 2, len(along)))  # [maps, (insertion, deletion), T + 1]
    intact, blurred, substrate = _scores(at_ends)
    points[:, 0, 0], points[:, 0, -1] = blurred, intact
    points[:, 1, 0], points[:, 1, -1] = intact, substrate
    between = points[:, :, 1:-1]
    steps.begin(between.size)
    for places, images in _steps(ends, ranks, step, between.shape, batch):
        between[tuple(places)] = _scores(similarity(images))
    return [CausalCurves(Curve(along, both[0]), Curve(along, both[1])) for both in points]


def _scores(similarities: Tensor) -> Floats:
    return similarities.cpu().double().clamp(min=0).numpy()


def _steps(
    ends: Ends, ranks: Sequence[Tensor], step: int, shape: tuple[int, ...], batch: int
) -> Iterator[tuple[Integers, Tensor]]:
    """Batches of images [B, 3, H, W] with their places (map, curve, point) in `shape`, [3, B].

    A pixel is replaced at step t when its rank is below t * step: no image depends on another one.
    """
    starts = torch.stack([ends.blurred, ends.intact])
    finals = torch.stack([ends.intact, ends.substrate])
    orders = torch.stack(list(ranks)).to(starts.device)
    total = math.prod(shape)
    for first in range(0, total, batch):
        places = np.stack(np.unravel_index(np.arange(first, min(first + batch, total)), shape))
        which, curve, point = (torch.from_numpy(row).to(starts.device) for row in places)
        replaced = orders[which] < ((point + 1) * step)[:, None, None]  # [B, H, W]
        images = torch.where(replaced[:, None], finals[curve], starts[curve])
        if ends.guess is not None and bool((deletes := curve == 1).any()):
            images[deletes] = ends.guess(replaced[deletes])
        yield places, images
