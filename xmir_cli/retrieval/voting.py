"""Votes of the nearest for the values of a column, by a rule fitted to images that have values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli import console
from xmir_cli.arrays import Floats, Integers
from xmir_cli.errors import SettingError
from xmir_cli.labels import LabelSets, join_labels, parse_labels
from xmir_cli.metrics.conformal import conformal_bound, label_sets, own_scores
from xmir_cli.metrics.votes import Ballots, calibration_error, fit_votes, have_several, vote
from xmir_cli.wire.records import Record

_SHOWN = 20  # labels whose probability a record tells
_COUNTED = 5000  # votes counted at a time, each of which may be for a label that no other is for


@dataclass(frozen=True, eq=False)
class NearestItems:
    """The nearest items of some images."""

    similarities: Floats  # [n, k], NaN where there are fewer
    labels: Sequence[Sequence[object]]  # of each

    @property
    def distances(self) -> Floats:
        """The mean distance of each [n], NaN where there is nothing."""
        found = np.isfinite(self.similarities)
        sums = np.where(found, 1 - self.similarities, 0).sum(axis=1)
        return np.where(found.any(axis=1), sums / np.maximum(found.sum(axis=1), 1), np.nan)

    def part(self, rows: slice) -> "NearestItems":
        """Some of them."""
        return NearestItems(self.similarities[rows], self.labels[rows])


class Voting:
    """How votes are counted: fitted to half of some images, held out from the others.

    Images are of one patient each, in an order by chance, and near is what is near to each.
    """

    def __init__(
        self, own: Sequence[object], near: NearestItems, column: str, coverage: float, seed: int
    ) -> None:
        """Raise SettingError where the values `own` of the images leave nothing to vote for."""
        texts = [join_labels(parse_labels(value)) for value in own]
        sets, ballots = _ballots(near, texts)
        numbers = sets.kinds[: len(texts)]
        has = sets.holds[numbers]
        usable = np.flatnonzero(has.any(axis=1) & np.isfinite(near.distances))
        fitted, held_out = usable[::2], usable[1::2]
        if not len(held_out):
            raise SettingError(
                "vote",
                f"no two patients of the index have a {column}, so that none can be held out",
            )
        if len(sets.names) < 2:
            raise SettingError(
                "vote",
                "the images that may be found, one of each patient, have no two values of "
                f"{column}",
            )
        frequencies = has[fitted].mean(axis=0)  # of those held out each would count its own label
        rule = fit_votes(_take(ballots, fitted), numbers[fitted], sets.holds, frequencies)
        if rule is None:
            raise SettingError("vote", f"no image of the index has a neighbour with a {column}")
        if not _agree(texts, near):
            raise SettingError(
                "vote",
                f"no image of the index has a neighbour of its own {column}",
                "Name a column whose values patients share, such as label: images of one patient "
                "do not vote for each other.",
            )
        told = vote(_take(ballots, held_out), sets.holds, frequencies, rule)
        self._bound = conformal_bound(own_scores(told, has[held_out]), coverage)
        if not np.isfinite(self._bound):
            console.warning(
                f"{len(held_out)} images of the index are too few to leave out a label with a "
                f"coverage of {coverage:g}: every set has all of them"
            )
        self._rule = rule
        self._frequencies = dict(zip(sets.names, frequencies.tolist(), strict=True))
        self._told: Record = {
            "column": column,
            "neighbors": near.similarities.shape[1],
            "coverage": coverage,
            **rule.told,
            "fitted_to": len(fitted),
            "held_out": len(held_out),
            "calibration_error": calibration_error(told, has[held_out], have_several(has[usable])),
            "seed": seed,
        }

    def of(self, near: NearestItems) -> list[Record]:
        """What the records of each query tell, of which these are the nearest items."""
        size = max(1, _COUNTED // near.similarities.shape[1])
        starts = range(0, len(near.labels), size)
        return [told for at in starts for told in self._of(near.part(slice(at, at + size)))]

    def _of(self, near: NearestItems) -> list[Record]:
        """Labels that no image was fitted to are as frequent as nothing, but have their votes."""
        voted = (join_labels(parse_labels(value)) for values in near.labels for value in values)
        sets, ballots = _ballots(near, [*self._frequencies, *voted])
        frequencies = np.array([self._frequencies.get(name, 0.0) for name in sets.names])
        probabilities = vote(ballots, sets.holds, frequencies, self._rule)
        members = label_sets(probabilities, self._bound)
        found: list[Record] = []
        for row, inside in zip(probabilities, members, strict=True):
            order = np.argsort(-row, kind="stable").tolist()
            there = [p for p in order if row[p] > 0 or sets.names[p] in self._frequencies]
            likely = {sets.names[place]: float(row[place]) for place in there[:_SHOWN]}
            first = [sets.names[place] for place in there if inside[place]]
            found.append({"vote": likely, "vote_set": first, "vote_by": self._told})
        return found


def _ballots(near: NearestItems, texts: Sequence[str]) -> tuple[LabelSets, Ballots]:
    """The votes for the labels of some texts, and those labels, whose first kinds are the texts'.

    A vote for none of them is one all the same.
    """
    names = frozenset[str]().union(*map(parse_labels, texts))
    given = [[parse_labels(value) for value in values] for values in near.labels]
    sets = LabelSets([*texts, *(join_labels(each & names) for row in given for each in row)])
    kinds = np.full(near.similarities.shape, -1, dtype=np.int64)
    start = len(texts)
    for row, values in zip(kinds, given, strict=True):
        own, start = sets.kinds[start : start + len(values)], start + len(values)
        row[: len(values)] = np.where([bool(each) for each in values], own, -1)
    return sets, Ballots(near.similarities, kinds)


def _agree(texts: Sequence[str], near: NearestItems) -> bool:
    """Whether any image has a neighbour of its own value: else there is none to vote for."""
    return any(
        not parse_labels(text).isdisjoint(parse_labels(value))
        for text, values in zip(texts, near.labels, strict=True)
        for value in values
    )


def _take(ballots: Ballots, rows: Integers) -> Ballots:
    return Ballots(ballots.similarities[rows], ballots.kinds[rows])
