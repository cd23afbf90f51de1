"""The numbers of many queries, and their means: over all, over those of a label, over labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.labels import LabelSets


@dataclass(frozen=True)
class LabelScores:
    """The numbers of queries with several labels, each asked by one of its labels alone.

    P pairs of a query, by its row among all, and one of its labels; `values` [P, len(names)].
    """

    rows: Integers
    labels: Sequence[str]
    values: Floats


@dataclass(frozen=True)
class Scores:
    """The numbers of every query, [Q, len(names)]; NaN in the rows of queries that have none.

    Numbers of a label are over the queries that have it. Of a query with several labels they are
    those of `alone`, where nothing but this label counts as shared; without `alone` any does.

    `pairs` [Q, 2] counts each query's pairs of a relevant item and another, and those of them that
    are equally similar to it: their order would decide, if the numbers were not means over orders.
    """

    names: tuple[str, ...]
    values: Floats
    labels: Sequence[str]
    pairs: Integers
    alone: LabelScores | None = None

    @property
    def scored(self) -> Booleans:
        """Queries with any relevant item [Q]; the others are left out of all means."""
        return ~np.isnan(self.values[:, 0])

    @property
    def dropped(self) -> int:
        """How many queries were left out."""
        return int((~self.scored).sum())

    @property
    def tied(self) -> float:
        """The share of tied pairs, of all queries; 0 where there are no pairs."""
        pairs, tied = self.pairs.sum(axis=0).tolist()
        return tied / pairs if pairs else 0.0

    def micro(self) -> dict[str, float]:
        """Means over queries; empty when every query was dropped."""
        return self._mean(self.values[self.scored])

    def by_label(self) -> dict[str, dict[str, float]]:
        """Means over the queries that have each label, sorted, without fully dropped labels."""
        means = {label: self._mean(values) for label, (_, values) in self.labelled.items()}
        return {label: mean for label, mean in means.items() if mean}

    def count_by_label(self) -> dict[str, int]:
        """How many queries the means of each label are over."""
        return {label: len(rows) for label, (rows, _) in self.labelled.items()}

    @cached_property
    def labelled(self) -> dict[str, tuple[Integers, Floats]]:
        """Which queries have numbers for each label, sorted, and these [q, len(names)]."""
        sets, found = LabelSets(self.labels), {}
        for label in sets.names:
            rows = np.flatnonzero(sets.grade(frozenset([label])))
            values = self.values[rows]
            if self.alone is not None:
                of_it = np.array([each == label for each in self.alone.labels], dtype=bool)
                values[np.searchsorted(rows, self.alone.rows[of_it])] = self.alone.values[of_it]
            scored = ~np.isnan(values[:, 0])
            found[label] = rows[scored], values[scored]
        return found

    def minus(self, other: "Scores") -> "Scores":
        """The differences from the numbers of the same queries under another model."""
        alone = self.alone
        if alone is not None and other.alone is not None:
            alone = replace(alone, values=alone.values - other.alone.values)
        return replace(self, values=self.values - other.values, alone=alone)

    def macro(self) -> dict[str, float]:
        """Means of the labels' means."""
        means = list(self.by_label().values())
        return {
            name: float(np.mean([mean[name] for mean in means])) for name in self.names if means
        }

    def _mean(self, rows: Floats) -> dict[str, float]:
        if not len(rows):
            return {}
        sums = map(math.fsum, rows.T.tolist())  # exact, so that the order of queries is no matter
        return {name: total / len(rows) for name, total in zip(self.names, sums, strict=True)}
