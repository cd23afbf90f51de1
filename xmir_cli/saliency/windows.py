"""Sliding windows: where they start, what they cover, and the mean over what covers a pixel."""

from collections.abc import Callable, Mapping
from math import ceil

import torch
from torch import Tensor

_UNIT = 2.0**44  # sums of whole numbers are exact, in any order, and a window leaves no residue


def paper_starts(length: int, window: int, stride: int) -> list[int]:
    """The x-mir grid: t-w, 2t-w ... below the length; slivers at both ends (224/24/5: 49)."""
    return list(range(stride - window, length, stride))


def centered_starts(length: int, window: int, stride: int) -> list[int]:
    """The xaitk grid: 0, t ... below the length, then moved to lie centred (224/24/5: 45)."""
    starts = range(0, length, stride)
    shift = (window - (length - starts[-1])) // 2
    return [start - shift for start in starts]


def valid_starts(length: int, window: int, stride: int) -> list[int]:
    """The captum grid: from 0, the last window cut off at the end (224/24/5: 41)."""
    return [index * stride for index in range(max(0, ceil((length - window) / stride)) + 1)]


GRIDS: Mapping[str, Callable[[int, int, int], list[int]]] = {
    "paper": paper_starts,
    "centered": centered_starts,
    "valid": valid_starts,
}


def boxes(size: int, window: int, stride: int, grid: str) -> Tensor:
    """All windows of a [size, size] image, row-major, clipped to it.

    Returns [N, 4]: top, left, bottom, right.
    """
    starts = torch.tensor(GRIDS[grid](size, window, stride))
    ends = (starts + window).clamp(max=size)
    starts = starts.clamp(min=0)
    starts, ends = starts[ends > starts], ends[ends > starts]
    top, left = torch.meshgrid(starts, starts, indexing="ij")
    bottom, right = torch.meshgrid(ends, ends, indexing="ij")
    return torch.stack([top, left, bottom, right], dim=-1).reshape(-1, 4)


def coverage_sum(windows: Tensor, values: Tensor, size: int) -> Tensor:
    """At each pixel the sum of the whole numbers [N] of the windows that cover it: [size, size].

    Each value is added at the four corners of its window; two cumulative sums spread it.
    """
    corners = torch.zeros(size + 1, size + 1, dtype=torch.int64)
    top, left, bottom, right = windows.unbind(dim=1)
    for rows, columns, sign in (
        (top, left, 1),
        (top, right, -1),
        (bottom, left, -1),
        (bottom, right, 1),
    ):
        corners.index_put_((rows, columns), sign * values, accumulate=True)
    return corners.cumsum(dim=0).cumsum(dim=1)[:size, :size]


def coverage_mean(windows: Tensor, values: Tensor, size: int) -> Tensor:
    """At each pixel the mean of the values [N] of the windows that cover it, 0 where none does.

    Returns [size, size] float32.
    """
    whole = (values.double() * _UNIT).round().long()
    total = coverage_sum(windows, whole, size).double() / _UNIT
    count = coverage_sum(windows, torch.ones_like(whole), size)
    return (total / count.clamp(min=1)).float()


def box_sums(image: Tensor, windows: Tensor) -> Tensor:
    """The sum of the whole-numbered image [H, W] within each window: [N]."""
    integral = torch.zeros(image.shape[0] + 1, image.shape[1] + 1, dtype=torch.int64)
    integral[1:, 1:] = image.long().cumsum(dim=0).cumsum(dim=1)
    top, left, bottom, right = windows.unbind(dim=1)
    inside = integral[bottom, right] - integral[top, right] - integral[bottom, left]
    return inside + integral[top, left]
