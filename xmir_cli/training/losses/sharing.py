"""Who shares a label with whom in a batch: one label each by its number, or several as flags."""

import torch
from torch import Tensor


def sharing(labels: Tensor) -> Tensor:
    """Whether two images share a label [B, B]; true of each with itself.

    Args:
        labels: A class number each [B], or flags [B, C] of the labels that each has, at least one.
    """
    if labels.ndim == 1:
        return labels[:, None] == labels[None, :]
    return (labels.float() @ labels.float().t()) > 0  # counts, which float32 holds exactly


def flags_of(labels: Tensor, count: int) -> Tensor:
    """Whether each label is one of an image's [C, B]; `count` is C."""
    if labels.ndim == 1:
        return torch.arange(count, device=labels.device)[:, None] == labels[None, :]
    return labels.bool().t()
