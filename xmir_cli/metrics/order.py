"""The order in which pixels are removed or restored."""

import torch
from torch import Tensor


def pixel_ranks(saliency: Tensor, least_first: bool = False, seed: int | None = None) -> Tensor:
    """The place of every pixel in the order, [H, W] int64, from 0.

    Args:
        saliency: The map [H, W]; only the order of its values matters. Pixels that are NaN, for
            they lie beyond the picture, come last, by rows.
        least_first: Begin with the least relevant pixel instead of the most relevant one.
        seed: Break ties at random with this seed; without one they fall in row order. Plateaus of
            equal values are common, and their order alone can move an AUC by several points.
    """
    values = saliency.flatten().double()
    mixed = torch.arange(len(values))
    if seed is not None:
        mixed = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    keys = values if least_first else -values  # NaN are sorted last
    order = mixed[torch.sort(keys[mixed], stable=True).indices]
    known = len(values) - int(values.isnan().sum())
    order[known:] = order[known:].sort().values
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order))
    return ranks.reshape(saliency.shape)


def tied_fraction(saliency: Tensor) -> float:
    """The fraction of pixels that share their value with another pixel."""
    counts = torch.unique(saliency, return_counts=True)[1]
    return float(counts[counts > 1].sum()) / saliency.numel()
