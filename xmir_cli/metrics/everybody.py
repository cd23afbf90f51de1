"""All queries of an evaluation of which a sample was asked, and what the sample does not say."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.labels import LabelSets
from xmir_cli.metrics.relevance import LabelledVectors, Relevance
from xmir_cli.metrics.scores import Scores
from xmir_cli.metrics.ties import ITSELF, KIN


@dataclass(frozen=True)
class Everybody:
    """The Q queries, and the N images that they would search."""

    queries: LabelledVectors
    gallery: LabelledVectors
    own: Integers  # where each query stands in the gallery itself [Q], -1 when it does not
    scores_all: bool = False  # also queries without any relevant image, as the mode x-mir does

    def unasked(self, scores: Scores, others: bool) -> list[str]:
        """Labels of queries that have numbers, of which the sample that was scored has none.

        Means of labels' means without them are those of other labels. `others`: the numbers are
        without the images of a query's own group.
        """
        asked, barred = scores.by_label(), ITSELF | KIN if others else ITSELF
        return [
            label
            for label in self._sets.names
            if label not in asked
            and any(
                self.scores_all or self._finds(int(row), label, barred)
                for row in np.flatnonzero(self._sets.grade(frozenset([label])))
            )
        ]

    def _finds(self, row: int, label: str, barred: int) -> bool:
        """Whether there is anything else with a query's label that counts."""
        kinds, _ = self._relevance.kinds(slice(row, row + 1), [label])
        return bool(((kinds > (ITSELF | KIN)) & (kinds & barred == 0)).any())

    @cached_property
    def _sets(self) -> LabelSets:
        return LabelSets(self.queries.labels)

    @cached_property
    def _relevance(self) -> Relevance:
        return Relevance(self.queries, self.gallery, self.own)
