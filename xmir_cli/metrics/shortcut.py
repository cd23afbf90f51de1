"""Is retrieval by label more than chance, and is one hiding worse than another? By permutation.

Patients, where they are known, are what is permuted: their images are not independent.

    p = (1 + draws that reach what was observed) / (1 + draws)

Sources: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005; Holm, A simple
sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.labels import parse_labels
from xmir_cli.metrics.relevance import LabelledVectors

_EQUAL = 1e-12  # statistics that differ by less differ by rounding
_DIGITS = 10  # of similarities: those that are equal up to them are equal
_BLOCK = 1 << 20  # places of rankings that are counted at a time
_FLIPS = 64  # draws at a time


@dataclass(frozen=True)
class Draws:
    """How often something is drawn at random, and from which seed on."""

    count: int
    seed: int


@dataclass(frozen=True)
class Chance:
    """A value of p, and what it is at least: some draws are what was observed itself."""

    p: float
    least: float


@dataclass(frozen=True)
class LabelChance:
    """What permuted labels give: the means over draws, and p of what the true ones give."""

    map: float
    p_at_1: float
    p: float  # of the mean average precision
    least: float  # what p is at least, whatever the ranking


def label_chance(images: LabelledVectors, draws: Draws) -> LabelChance:
    """Leave-one-out retrieval by labels that mean nothing, the rankings being what they are.

    Images of the query's group do not count. Of images that are equally similar one order, drawn
    at random, holds for all draws.
    """
    random = np.random.default_rng(draws.seed)
    order, counted = _rank(images, random)
    sets = list(dict.fromkeys(parse_labels(text) for text in images.labels))
    codes = np.array([sets.index(parse_labels(text)) for text in images.labels])
    share = np.array([[bool(one & other) for other in sets] for one in sets])
    units = number_units(images.groups)
    observed, _ = _score(order, counted, share, codes)
    drawn = [shuffle(codes, units, random) for _ in range(draws.count)]
    found = np.array([_score(order, counted, share, each) for each in drawn])
    reached = int((found[:, 0] >= observed - _EQUAL).sum())
    same = sum(_are_renamed(share, codes, each) for each in drawn)
    return LabelChance(
        float(found[:, 0].mean()),
        float(found[:, 1].mean()),
        (1 + reached) / (1 + draws.count),
        (1 + same) / (1 + draws.count),
    )


def _are_renamed(share: Booleans, codes: Integers, drawn: Integers) -> bool:
    """Whether drawn labels [N] are the true ones by other names, so that all rankings score alike.

    `share` [C, C] says which labels share one; those that share the same are one kind.
    """
    kinds = np.unique(share, axis=0, return_inverse=True)[1].ravel()
    _, first = np.unique(np.stack([kinds[codes], kinds[drawn]]), axis=1, return_index=True)
    before, after = codes[first], drawn[first]
    if len(first) > len(np.unique(kinds[codes])):
        return False
    return np.array_equal(share[np.ix_(before, before)], share[np.ix_(after, after)])


def number_units(groups: Sequence[str | None]) -> Integers:
    """What each image counts for [N]: the number of its group, or one of its own."""
    numbers: dict[Hashable, int] = {}
    names = (place if group is None else group for place, group in enumerate(groups))
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def shuffle(codes: Integers, units: Integers, random: np.random.Generator) -> Integers:
    """Labels [N] permuted among the units.

    Where a unit has several labels, those of its images go together to one of as many images.
    """
    first = np.unique(units, return_index=True)[1]
    own = codes[first]
    if np.array_equal(own[units], codes):
        return np.asarray(random.permutation(own)[units])
    rows: dict[int, list[Integers]] = defaultdict(list)
    for unit in range(len(first)):
        places = np.flatnonzero(units == unit)
        rows[len(places)].append(places)
    shuffled = codes.copy()
    for size in sorted(rows):
        places = np.stack(rows[size])
        shuffled[places] = codes[random.permutation(places)]
    return shuffled


def flip_chance(
    values: Floats, units: Integers, draws: Draws, parts: Booleans | None = None
) -> Chance:
    """The chance of a mean this large if each unit's values were as likely the opposite.

    Args:
        values: Differences [N].
        units: Which values go together [N].
        draws: Of the units' signs.
        parts: Of which values there are means [P, N]: the largest is the statistic, so that p is
            corrected for their number. All values are one part by default.
    """
    parts = np.ones((1, len(values)), dtype=bool) if parts is None else parts
    weights = parts / parts.sum(axis=1, keepdims=True)  # [P, N]
    sums = np.zeros((units.max() + 1, len(parts)))
    np.add.at(sums, units, (weights * values).T)
    observed = sums.sum(axis=0).max()
    random, reached, same = np.random.default_rng(draws.seed), 0, 0
    for start in range(0, draws.count, _FLIPS):
        signs = random.choice((-1.0, 1.0), size=(min(_FLIPS, draws.count - start), len(sums)))
        reached += int(((signs @ sums).max(axis=1) >= observed - _EQUAL).sum())
        same += int((signs > 0).all(axis=1).sum())
    return Chance((1 + reached) / (1 + draws.count), (1 + same) / (1 + draws.count))


def holm(values: Sequence[float]) -> list[float]:
    """Values of p so corrected that one bound for all holds the chance of any false alarm."""
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.maximum.accumulate(np.asarray(values)[order] * factors).clip(max=1)
    return [float(each) for each in corrected]


def find_allowed(groups: Sequence[str | None]) -> Booleans:
    """Which images count for which query [N, N]: not itself, and none of its group."""
    units = number_units(groups)
    return np.asarray(units[:, None] != units[None])


def _rank(images: LabelledVectors, random: np.random.Generator) -> tuple[Integers, Booleans]:
    """The images of each query's ranking [N, N], those that do not count last; which do count."""
    wide = images.vectors.astype(np.float64)
    similar = np.round(wide @ wide.T, _DIGITS)
    allowed = find_allowed(images.groups)
    similar[~allowed] = -np.inf
    drawn = random.permutation(len(wide))
    order = drawn[np.argsort(-similar[:, drawn], axis=1, kind="stable")]
    return order, np.take_along_axis(allowed, order, axis=1)


def _score(
    order: Integers, counted: Booleans, share: Booleans, codes: Integers
) -> tuple[float, float]:
    """The means of average precision and of P@1 over queries that have anything to find."""
    precisions, firsts = np.zeros(len(order)), np.zeros(len(order), dtype=bool)
    total = np.zeros(len(order), dtype=np.int64)
    inverse = 1 / np.arange(1, order.shape[1] + 1)
    height = max(1, _BLOCK // order.shape[1])
    for start in range(0, len(order), height):
        rows = slice(start, start + height)
        relevant = share[codes[rows, None], codes[order[rows]]] & counted[rows]
        found = np.cumsum(relevant, axis=1, dtype=np.int32)
        precisions[rows] = np.einsum("qk,qk,k->q", relevant, found, inverse)
        firsts[rows], total[rows] = relevant[:, 0], found[:, -1]
    known = total > 0
    if not known.any():
        return 0.0, 0.0
    return float((precisions[known] / total[known]).mean()), float(firsts[known].mean())
