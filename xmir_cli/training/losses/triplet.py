"""The triplet loss over all triplets of a batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from xmir_cli.model.embedder import unit
from xmir_cli.training.losses.distances import distances
from xmir_cli.training.losses.sharing import sharing
from xmir_cli.training.recipe import MARGIN


@dataclass(frozen=True)
class Loss:
    """A batch's loss and how many of its triplets still cost something."""

    value: Tensor  # scalar
    violating: float  # fraction of the triplets, 0 when there are none


def triplet_loss(raw: Tensor, labels: Tensor, margin: float = MARGIN) -> Loss:
    """Batch-all triplet loss on unit embeddings, the mean over the violating triplets.

    With d the Euclidean distance and every triplet of an anchor a, a positive p != a that
    shares a label with it, and a negative n that shares none:

        l(a, p, n) = max(0, d(a, p) - d(a, n) + margin)
        L = sum l / #{l > 0},  0 when no triplet violates

    Args:
        raw: Embeddings [B, D] of any length.
        labels: Of each, as `sharing` takes them.
        margin: How much farther than the positive the negative must lie.

    As training succeeds L stays near the margin while the violating fraction goes to 0.

    Source: Schroff et al., FaceNet, CVPR 2015; averaged as in pytorch-metric-learning's
    TripletMarginLoss and torchvision's similarity reference.
    """
    distance = distances(unit(raw))  # [B, B]
    same = sharing(labels)
    anchor, positive = torch.nonzero(same.clone().fill_diagonal_(False), as_tuple=True)  # [M] pairs
    # index_select, whose gradient is several times as fast as that of indexing
    near = distance.flatten().index_select(0, anchor * len(labels) + positive)  # [M]
    negative = ~same.index_select(0, anchor)  # [M, B]
    cost = near[:, None] - distance.index_select(0, anchor) + margin  # [M, B]
    cost = torch.where(negative, cost, 0).relu()
    violating, triplets = int((cost > 0).sum()), int(negative.sum())
    return Loss(cost.sum() / max(violating, 1), violating / max(triplets, 1))
