"""Methods that give the same map, which then is one finding and not two.

Behind average pooling without a head, gradcam and activation are: gradcam is what activation has
above zero, in another unit.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from xmir_cli.saliency import catalogue
from xmir_cli.scoring.tasks import TargetPair, Task

_CLOSE = 1e-3  # of the largest value
_POINTS = 24  # a side, at which maps are compared
_PAIRS = 2048  # whose maps are kept, 2 KB each: records may come method after method


class _Way(NamedTuple):
    """A way to a map."""

    method: str
    settings: str


class SameMaps:
    """Knows the maps of the last pairs, and finds a map again under the name of another method."""

    def __init__(self) -> None:
        # of each pair its maps at some of their pixels, in their largest value
        self._pairs: dict[TargetPair, dict[_Way, Tensor]] = {}

    def find(self, task: Task, saliency: Tensor) -> list[str]:
        """The methods before it whose map [S, S] of the same pair is the same."""
        values = saliency[~saliency.isnan()]
        if not len(values) or values.max() <= 0 or values.min() == values.max():
            return []  # a constant is like any other
        step = max(1, len(saliency) // _POINTS)
        points = saliency[step // 2 :: step, step // 2 :: step].nan_to_num() / values.max()
        now = _Way(task.method, repr(task.view.settings))
        seen = self._pairs.setdefault(task.pair, {})
        if len(self._pairs) > _PAIRS:
            del self._pairs[next(iter(self._pairs))]
        found = [
            way.method
            for way, other in seen.items()
            if _may_be_told(way, now) and _is_same(other, points)
        ]
        seen[now] = points
        return list(dict.fromkeys(found))


def _may_be_told(first: _Way, second: _Way) -> bool:
    """Whether they are two ways to a map, and not both of names that somebody else gave."""
    return first != second and not catalogue().keys().isdisjoint((first.method, second.method))


def _is_same(one: Tensor, other: Tensor) -> bool:
    """Whether two maps are, up to their unit; what one of them cuts off at zero is not compared."""
    if (one.min() < 0) != (other.min() < 0):
        one, other = one.clamp(min=0), other.clamp(min=0)
    return bool(torch.allclose(one, other, rtol=0, atol=_CLOSE))
