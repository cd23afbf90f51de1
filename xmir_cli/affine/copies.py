"""Passes of one image with many weights: copies of it together, where that gives the same."""

from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

from xmir_cli import steps

# of shapes that do not fit, of passes with other calls, and where memory runs out
_MISFITS = (RuntimeError, ValueError, IndexError)


def pass_rows(
    rows: Tensor,
    together: Callable[[Tensor], Tensor],
    alone: Callable[[Tensor], Tensor],
    limits: tuple[int, float],
) -> Tensor:
    """What every row [B, m] gives, [B, k]: as `together` makes of many or `alone` of each.

    Each in its turn where copies do not pass as one image does: where windows lie along the axis of
    images, or a network looks at all images at once. The last row of the first pass shows it.
    `limits` are how many pass together, and how far that row may be off.
    """
    steps.begin(len(rows))
    most, least = limits
    made: list[Tensor] = []
    if most > 1:
        with suppress(*_MISFITS):
            first, *rest = rows.split(most)
            found = together(first)
            if _is_near(found[-1:], alone(first[-1]), least) and len(found) == len(first):
                made.append(_step(found))
                made.extend(_step(together(each)) for each in rest)
                return torch.cat(made)
    done = sum(map(len, made))
    return torch.cat([*made, *(_step(alone(row)[None]) for row in rows[done:])])


def _is_near(found: Tensor, wanted: Tensor, least: float) -> bool:
    return bool((found - wanted).norm() <= least)


def _step(made: Tensor) -> Tensor:
    steps.advance(len(made))
    return made
