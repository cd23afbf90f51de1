"""The sum that smooth losses share."""

import torch
from torch import Tensor


def log_one_plus(exponents: Tensor, counted: Tensor) -> Tensor:
    """log(1 + sum of exp) [N] over the counted ones [N, M] in each row of exponents [N, M]."""
    kept = exponents.masked_fill(~counted, -torch.inf)
    return torch.cat([kept.new_zeros(len(kept), 1), kept], dim=1).logsumexp(dim=1)
