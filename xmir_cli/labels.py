"""What labels mean: `A|B` is the set of the labels A and B.

Two images are relevant to each other when they share a label, and the more so the larger their
Jaccard index: the labels that both have divided by those that either has.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers

LABEL = "label"  # the column that holds them
_SEPARATOR = "|"
_STEPS = 1 << 40  # of a grade that is numbered; sums of so many do not depend on their order


def parse_labels(text: object) -> frozenset[str]:
    """The labels of `A|B`, in whatever order; none where nothing is there."""
    return _parse("" if text is None else str(text))


@lru_cache(4096)
def _parse(text: str) -> frozenset[str]:
    parts = (part.strip() for part in text.split(_SEPARATOR))
    return frozenset(part for part in parts if part)


def join_labels(labels: frozenset[str]) -> str:
    """The same text for the same labels; parses to them."""
    return _SEPARATOR.join(sorted(labels))


def share_label(first: object, second: object) -> bool | None:
    """Whether two images share a label; None where one of them has none."""
    one, other = parse_labels(first), parse_labels(second)
    return bool(one & other) if one and other else None


class LabelSets:
    """The labels of many images [N], compared with those of one at a time.

    Images of the same labels are of one kind; `kinds` [N] says of which of the C there are.
    """

    def __init__(self, texts: Sequence[str | None]) -> None:
        numbers: dict[frozenset[str], int] = {}
        sets = {text: parse_labels(text) for text in dict.fromkeys(texts)}
        codes = {text: numbers.setdefault(each, len(numbers)) for text, each in sets.items()}
        self.kinds: Integers = np.array([codes[text] for text in texts], dtype=np.int64)  # [N]
        self._sizes: Integers = np.array([len(each) for each in numbers], dtype=np.int64)  # [C]
        members: dict[str, list[int]] = {}
        for labels, kind in numbers.items():
            for label in labels:
                members.setdefault(label, []).append(kind)
        self._members = {label: np.array(kinds) for label, kinds in members.items()}
        self._sets = list(numbers)

    @property
    def names(self) -> list[str]:
        """Every label that an image has, sorted."""
        return sorted(self._members)

    @cached_property
    def holds(self) -> Booleans:
        """Which kind of images has which of the labels `names` [C, L]."""
        found = np.zeros((len(self._sets), len(self._members)), dtype=bool)
        for column, name in enumerate(self.names):
            found[self._members[name], column] = True
        return found

    def grade(self, labels: frozenset[str]) -> Floats:
        """The Jaccard index of each image's labels and these [N]; above 0: they share one."""
        return self._grade_kinds(labels)[self.kinds]

    def grade_as(self, image: int) -> Floats:
        """The same with the labels of one of the images."""
        return self.grade(self._sets[self.kinds[image]])

    def number_grades(self, labels: frozenset[str]) -> tuple[Floats, Integers]:
        """The grades there are, from the largest [J], and which of them each kind has [C].

        They are counted from 1; a kind of images that share no label has 0.
        """
        each = np.rint(self._grade_kinds(labels) * _STEPS) / _STEPS
        grades = np.unique(each[each > 0])
        return grades[::-1], np.where(each > 0, len(grades) - np.searchsorted(grades, each), 0)

    @cached_property
    def sharing(self) -> Integers:
        """How many images share a label with each, itself among them [N]; 0 without labels."""
        counts = np.bincount(self.kinds, minlength=len(self._sets))
        shared = [counts[self._grade_kinds(each) > 0].sum() for each in self._sets]
        return np.array(shared, dtype=np.int64)[self.kinds]

    def _grade_kinds(self, labels: frozenset[str]) -> Floats:
        both = np.zeros(len(self._sizes), dtype=np.int64)
        for label in labels & self._members.keys():
            both[self._members[label]] += 1
        return np.asarray(both / np.maximum(self._sizes + len(labels) - both, 1))
