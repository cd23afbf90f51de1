"""Euclidean distances between embeddings."""

import torch
from torch import Tensor

_SAME = 1e-15  # a squared distance of unit vectors that is nothing but rounding


def distances(vectors: Tensor) -> Tensor:
    """Euclidean distances [N, N] of unit vectors [N, D]; gradient 0 at 0.

    By one matrix product, in double precision so that near ones do not cancel out.
    """
    on_mps = vectors.device.type == "mps"  # which has no double precision
    rows = (vectors.cpu() if on_mps else vectors).double()
    products = rows @ rows.t()
    lengths = products.diagonal()  # squared
    squared = lengths[:, None] + lengths - 2 * products
    same = squared <= _SAME
    return torch.where(same, 0.0, torch.where(same, 1.0, squared).sqrt()).to(vectors)
