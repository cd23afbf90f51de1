"""How much of a curve's area hangs on the order in which equally salient pixels fall.

A step that ends amid pixels of one value could have replaced others of them. Whatever their order,
its similarity is taken to lie within what the curve, straight between its points, goes through
while they fall. The areas under the least and the largest of it are those of the worst and of the
best order.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from xmir_cli.arrays import Floats
from xmir_cli.metrics.causal import CausalCurves, Curve


@dataclass(frozen=True)
class TieSpans:
    """For each point of a curve the fractions [T + 1] between which the ties fall that it cuts."""

    start: Floats
    end: Floats  # both are the point's own where it cuts none


def tie_spans(saliency: Tensor, fractions: Floats, least_first: bool) -> TieSpans:
    """The spans for the map [H, W] at the fractions x_0..x_T of its pixels; NaN are no ties."""
    values, pixels = saliency.numpy(), saliency.numel()
    _, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    ends = np.append(0, np.cumsum(counts if least_first else counts[::-1]))  # between values
    replaced = np.rint(fractions * pixels).astype(np.int64)
    last = np.searchsorted(ends, replaced, side="right") - 1
    following = np.append(ends, 0)[last + 1]  # 0: no value follows
    cut = (ends[last] < replaced) & (replaced < following)
    return TieSpans(
        np.where(cut, ends[last] / pixels, fractions),
        np.where(cut, following / pixels, fractions),
    )


def tie_effect(curves: CausalCurves, spans: TieSpans) -> float:
    """The most that another order of ties can add to either area or take from it."""
    return max(_effect(curve, spans) for curve in (curves.insertion, curves.deletion))


def _effect(curve: Curve, spans: TieSpans) -> float:
    along, values = curve.fractions, curve.similarities
    at_ends = [np.interp(each, along, values) for each in (spans.start, spans.end)]
    first = np.searchsorted(along, spans.start)
    after = np.searchsorted(along, spans.end, side="right")
    within = [values[a:b] for a, b in zip(first, after, strict=True)]
    least = np.minimum.reduce([np.array([each.min() for each in within]), *at_ends])
    most = np.maximum.reduce([np.array([each.max() for each in within]), *at_ends])
    return max(curve.auc - Curve(along, least).auc, Curve(along, most).auc - curve.auc)
