"""Methods that give the same map, which then is one finding and not two.

Behind average pooling without a head, gradcam and activation are: gradcam is what activation has
above zero, in another unit.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xmir_cli.saliency import catalogue
from xmir_cli.scoring.tasks import Task

_LARGEST = 8192  # what the largest value of a map is kept as
_CLOSE = 8  # how far apart values may be: 1e-3 of the largest
_POINTS = 24  # a side, at which maps are compared
_PAIRS = 2048  # whose maps are kept, 1.5 KB each: records may come method after method

_Points = NDArray[np.int16]


class _Way(NamedTuple):
    """A way to a map."""

    method: str
    settings: str


class SameMaps:
    """Knows the maps of the last pairs, and finds a map again under the name of another method."""

    def __init__(self) -> None:
        self._pairs: dict[int, dict[_Way, _Points]] = {}  # by the hash of a pair

    def find(self, task: Task, saliency: Tensor) -> list[str]:
        """The methods before it whose map [S, S] of the same pair is the same."""
        values = saliency[~saliency.isnan()]
        if not len(values) or values.max() <= 0 or values.min() == values.max():
            return []  # a constant is like any other
        points = _take_points(saliency, float(values.max()))
        now = _Way(task.method, repr(task.view.settings))
        seen = self._pairs.setdefault(hash(task.pair), {})
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


def _take_points(saliency: Tensor, largest: float) -> _Points:
    """A map at some of its pixels, in shares of its largest value."""
    step = max(1, -(-len(saliency) // _POINTS))
    points = saliency[step // 2 :: step, step // 2 :: step].nan_to_num().double() / largest
    kept: _Points = np.rint(points.clamp(-3, 3).numpy(force=True) * _LARGEST).astype(np.int16)
    return kept


def _is_same(one: _Points, other: _Points) -> bool:
    """Whether two maps are, up to their unit; what one of them cuts off at zero is not compared."""
    if (one.min() < 0) != (other.min() < 0):
        one, other = one.clip(0), other.clip(0)
    return bool((np.abs(one.astype(np.int32) - other) <= _CLOSE).all())
