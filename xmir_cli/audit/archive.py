"""An archive as an audit knows it: its images, their vectors, patients, labels and neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.atlas.neighbours import Neighbourhoods
from xmir_cli.atlas.points import list_identities
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.labels import LABEL, LabelSets
from xmir_cli.metrics.votes import Ballots
from xmir_cli.store.names import restore_name
from xmir_cli.wire.model import ModelSpec


@dataclass(frozen=True, eq=False)
class Archive:
    """Images [N]; of them all that a finding may be made of."""

    items: pa.Table
    vectors: Vectors  # unit vectors [N, D]
    model: ModelSpec
    patients: Integers  # [N], -1 where nobody knows
    around: Neighbourhoods  # at least as many as are asked for
    k: int  # how many are asked for

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.items)

    @cached_property
    def paths(self) -> list[str]:
        """Where each image lies."""
        return [restore_name(path) for path in self.items["path"].to_pylist()]

    @cached_property
    def identities(self) -> Sequence[str | None]:
        """Which image each is, None where nobody knows."""
        return list_identities(self.items)

    @cached_property
    def label_texts(self) -> list[str | None]:
        """The labels of each image as they are written, None where it has none."""
        return self.texts(LABEL)

    @cached_property
    def labels(self) -> LabelSets:
        """The labels of all images."""
        return LabelSets(self.label_texts)

    @cached_property
    def kinds(self) -> Integers:
        """Which labels each image has [N], as `labels` counts them; -1 where it has none."""
        counts: Integers = self.labels.holds.sum(axis=1)  # [C]
        return np.where(counts[self.labels.kinds] > 0, self.labels.kinds, -1)

    @property
    def others(self) -> tuple[Integers, Floats]:
        """The k nearest of other patients [N, k]: rows, -1 where there are fewer; similarities."""
        rows, similarities = self.around.others
        return rows[:, : self.k], similarities[:, : self.k]

    def ballots(self, groups: Integers) -> Ballots:
        """The labels of the k nearest of other patients that are no copies of each image.

        `groups` [N] says which images are copies of each other, 0 of those that are alone.
        """
        rows, similarities = self.around.others
        there = rows >= 0
        is_copy = (groups[:, None] > 0) & (groups[rows] == groups[:, None])
        votes = there & ~is_copy
        votes &= np.cumsum(votes, axis=1) <= self.k
        return Ballots(np.where(votes, similarities, np.nan), np.where(votes, self.kinds[rows], -1))

    def texts(self, column: str) -> list[str | None]:
        """The values of a column as texts, None where nothing is there, or no such column."""
        if column not in self.items.column_names:
            return [None] * len(self)
        texts = self.items[column].cast(pa.string()).to_pylist()
        return [text or None for text in texts]

    def similarity(self, first: int, second: int) -> float:
        """The cosine of two images."""
        one, other = (self.vectors[row].astype(np.float64) for row in (first, second))
        lengths = np.linalg.norm(one) * np.linalg.norm(other)
        return float(np.clip(one @ other / lengths, -1, 1))

    def are_of_different_patients(self, rows: Integers) -> Booleans:
        """Which pairs [n, n] of some images are; an unknown patient is another than all."""
        own = self.patients[rows]
        return np.asarray((own[:, None] != own[None]) | (own[:, None] < 0))
