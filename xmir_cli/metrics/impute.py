"""Hidden pixels guessed from those around them, as ROAD does it: noisy linear imputation.

    w x_i = sum over the 8 neighbours j of w_ij x_j,  w_ij = 1/6 beside, 1/12 across, w = sum w_ij

of every hidden pixel i, over neighbours inside the image; x_j of a seen pixel is known. A system of
equations a mask, solved by conjugate gradients behind one multigrid cycle, whose steps do not
become more with the size of the holes.

Source: Rong et al., A consistent and efficient evaluation strategy for attribution methods (ROAD),
ICML 2022.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

NOISE = 0.01  # deviation in model space, as in ROAD's code
TOLERANCE = 1e-3  # of a channel's deviation, below which the last step must be everywhere
_MOST = 200  # steps; about ten are enough
_SMOOTHING = 0.8  # of Jacobi's step
_COARSEST = 4  # pixels
_CACHED = 2**17  # numbers that a processor holds at once: more are solved no faster together


def impute(image: Tensor, hidden: Tensor, tolerance: float = TOLERANCE) -> Tensor:
    """The image [3, H, W] with the hidden pixels [N, H, W] guessed in turn: [N, 3, H, W].

    Where every pixel is hidden nothing is known but the image's mean colour. A mask's solution does
    not depend on the others'. Channels that are the same but for brightness and contrast, as those
    of grey pictures, are solved once.
    """
    mean = image.mean(dim=(1, 2), keepdim=True)
    size = image.std(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    scaled = (image - mean) / size
    alike = bool((scaled - scaled[:1]).abs().max() < tolerance / 10)
    some = hidden & ~hidden.all(dim=2).all(dim=1)[:, None, None]
    values = scaled[:1] if alike else scaled
    count = len(some) if image.is_cuda else max(1, _CACHED // values.numel())
    solved = torch.cat([_solve(values, part, tolerance) for part in some.split(count)])
    guessed = solved * size + mean
    known = torch.where(some[:, None], guessed, image)
    return torch.where(hidden[:, None] & ~some[:, None], mean, known)


class _Level(NamedTuple):
    """A grid of the cycle."""

    hidden: Tensor  # 1 and 0, [N, 1, h, w]
    weights: Tensor  # w of each pixel, [h, w]
    step: Tensor  # of Jacobi, 0 where a pixel is seen


def _solve(image: Tensor, hidden: Tensor, tolerance: float) -> Tensor:
    """Solutions [N, C, H, W] for an image [C, H, W]; what is seen is 0."""
    levels = _levels(hidden[:, None].to(image))
    fine = levels[0]
    found = torch.zeros_like(fine.hidden * image)
    left = _around(image * (1 - fine.hidden)) * fine.hidden
    going = torch.ones_like(left[:, :, :1, :1])
    better = direction = _cycle(left, levels)
    size = _product(left, better)
    for _ in range(_MOST):
        along = _apply(direction, fine) * fine.hidden
        length = going * size / _product(direction, along).clamp(min=_tiny(image))
        step = length * direction
        found += step
        left -= length * along
        going = (step.abs().amax(dim=(2, 3), keepdim=True) > tolerance / 2).to(image)
        if not going.any():
            break
        better = _cycle(left, levels)
        before, size = size, _product(left, better)
        direction = better + size / before.clamp(min=_tiny(image)) * direction
    return found


def _levels(hidden: Tensor) -> list[_Level]:
    """The grids from the image's on, each of half the side, until nothing is hidden in one.

    A coarse pixel is hidden when all four that it stands for are.
    """
    found = []
    while True:
        weights = _around(torch.ones_like(hidden[:1, 0]))[0]
        found.append(_Level(hidden, weights, _SMOOTHING * hidden / weights))
        if min(hidden.shape[2:]) < 2 * _COARSEST:
            return found
        hidden = -functional.max_pool2d(-_even(hidden), 2)
        if not hidden.any():
            return found


def _cycle(left: Tensor, levels: Sequence[_Level]) -> Tensor:
    """One V-cycle: nearly the solution for what is left, and symmetric, as the method wants it."""
    level, *coarser = levels
    found = left * level.step
    if coarser:
        rest = (left - _apply(found, level)) * level.hidden
        found += _refine(_cycle(_coarsen(rest) * coarser[0].hidden, coarser), left) * level.hidden
    return found + level.step * (left - _apply(found, level))


def _apply(values: Tensor, level: _Level) -> Tensor:
    return level.weights * values - _around(values)


def _around(values: Tensor) -> Tensor:
    """The weighted sum of the eight neighbours; rows and columns in turn, for speed."""
    framed = functional.pad(values, (1, 1, 1, 1))
    rows = (framed[..., :-2, :] + framed[..., 2:, :]).add_(framed[..., 1:-1, :], alpha=2)
    both = (rows[..., :-2] + rows[..., 2:]).add_(rows[..., 1:-1], alpha=2)
    return both.sub_(values, alpha=4).mul_(1 / 12)


def _even(values: Tensor) -> Tensor:
    """With a row and a column of zeros more where their number is odd."""
    height, width = values.shape[2:]
    return functional.pad(values, (0, width % 2, 0, height % 2))


def _coarsen(values: Tensor) -> Tensor:
    """The adjoint of `_refine`."""
    values = _even(values)
    for axis in (2, 3):
        framed = functional.pad(values.transpose(axis, 3), (1, 1))
        near = framed[..., 1:-1:2] + framed[..., 2::2]
        far = framed[..., :-2:2] + framed[..., 3::2]
        values = (near.mul_(3) + far).mul_(0.25).transpose(axis, 3)
    return values


def _refine(values: Tensor, like: Tensor) -> Tensor:
    """Each pixel as four, bilinear, cut to the size of another; zeros lie beyond the border."""
    for axis in (2, 3):
        line = values.transpose(axis, 3)
        framed = functional.pad(line, (1, 1))
        pairs = torch.stack([3 * line + framed[..., :-2], 3 * line + framed[..., 2:]], dim=-1)
        values = pairs.flatten(-2).mul_(0.25).transpose(axis, 3)
    return values[..., : like.shape[2], : like.shape[3]]


def _product(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum(dim=(2, 3), keepdim=True)


def _tiny(values: Tensor) -> float:
    return torch.finfo(values.dtype).tiny
