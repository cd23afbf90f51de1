"""What is in several splits: copies of an image, and images of one patient.

A copy of an image that leaks by its patient leaks, too, whoever it is said to be of.

Of images that are on several sides, those of one split stay: of the test set where it is among
them, else of the validation set, else of any other; what is in the training set goes first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from xmir_cli.arrays import Integers
from xmir_cli.training.examples import TEST, TRAIN, VAL, role_of

COPIES, PATIENT, COPY_OF_PATIENT = "copies", "one patient", "one patient, by a copy,"


@dataclass(frozen=True)
class Leak:
    """An image that another split has, too, in a copy or in another image of its patient."""

    row: int
    other: int  # an image of the split that stays
    how: str  # what the two are


def stays_before(split: str | None) -> int:
    """The place of a split among those of which one stays; the least one does."""
    ranks = {TEST: 0, VAL: 1, TRAIN: 3}
    return 2 if split is None else ranks.get(role_of(split), 2)


def kept_first(rows: Sequence[int], splits: Sequence[str | None]) -> list[int]:
    """The rows of some images in the order in which they stay: by split, then as they come."""
    return sorted(rows, key=lambda row: (stays_before(splits[row]), row))


def fold(splits: Sequence[str | None]) -> list[str | None]:
    """What each split is for: `Train` is `train`, as it is when a network is trained."""
    return [None if split is None else role_of(split) for split in splits]


def find_leaks(groups: Integers, patients: Integers, splits: Sequence[str | None]) -> list[Leak]:
    """The images that would have to leave their split for no other to know them.

    Args:
        groups: Which images are copies of each other [N], from 1; 0: an image is alone.
        patients: The patient of each [N]; -1: nobody knows.
        splits: The split of each [N], folded; images without one leak nothing.
    """
    splits = fold(splits)
    found = {leak.row: leak for leak in _across(patients, -1, splits, PATIENT)}
    found = {leak.row: leak for leak in _of_copies(groups, splits, found)} | found
    found |= {leak.row: leak for leak in _across(groups, 0, splits, COPIES)}
    return [found[row] for row in sorted(found)]


def _across(numbers: Integers, none: int, splits: Sequence[str | None], how: str) -> Iterator[Leak]:
    """The images of each number that are not of the split in which it stays."""
    for rows in _members(numbers, none, splits):
        stays = kept_first(rows, splits)[0]
        yield from (Leak(row, stays, how) for row in rows if splits[row] != splits[stays])


def _of_copies(
    groups: Integers, splits: Sequence[str | None], leaks: Mapping[int, Leak]
) -> Iterator[Leak]:
    """The copies of images that leak, the first of which says where the patient stays."""
    for rows in _members(groups, 0, splits):
        others = [leaks[row].other for row in rows if row in leaks]
        for row in rows:
            other = next((each for each in others if splits[each] != splits[row]), None)
            if other is not None:
                yield Leak(row, other, COPY_OF_PATIENT)


def _members(numbers: Integers, none: int, splits: Sequence[str | None]) -> Iterable[Sequence[int]]:
    """The images of each number that have a split."""
    members: dict[int, list[int]] = {}
    for row, number in enumerate(numbers.tolist()):
        if number != none and splits[row] is not None:
            members.setdefault(number, []).append(row)
    return members.values()
