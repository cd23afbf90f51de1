"""The proxy-anchor loss: a vector for each label is trained beside the network."""

import math

import torch
from torch import Tensor

from xmir_cli.model.embedder import unit
from xmir_cli.training.losses.sharing import flags_of
from xmir_cli.training.losses.sums import log_one_plus

MARGIN, ALPHA = 0.1, 32.0


def proxy_anchor_loss(raw: Tensor, labels: Tensor, proxies: Tensor) -> Tensor:
    """Proxy-anchor loss: each label's proxy pulls its images and pushes the others.

    With s the cosine, P all proxies, P+ those with an image in the batch, delta = 0.1, alpha = 32:

        L = 1/|P+| sum_{p in P+} log(1 + sum_{x of p's label} exp(-alpha (s(x, p) - delta)))
          + 1/|P|  sum_{p in P}  log(1 + sum_{x of others}    exp( alpha (s(x, p) + delta)))

    Args:
        raw: Embeddings [B, D] of any length.
        labels: Of each, as `sharing` takes them; numbers are from 0 to C - 1.
        proxies: A vector [C, D] for each label, of any length.

    Source: Kim et al., Proxy anchor loss for deep metric learning, CVPR 2020, equation 4.
    """
    similarity = unit(proxies) @ unit(raw).t()  # [C, B]
    own = flags_of(labels, len(proxies))  # [C, B]
    pull = log_one_plus(-ALPHA * (similarity - MARGIN), own)  # [C], 0 without an image
    push = log_one_plus(ALPHA * (similarity + MARGIN), ~own)
    return pull.sum() / own.any(dim=1).sum().clamp(min=1) + push.mean()


def draw_proxies(classes: int, dim: int, seed: int) -> Tensor:
    """Proxies [C, D] to begin with, from a normal distribution as in the authors' code."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(classes, dim, generator=generator) * math.sqrt(2 / classes)
