"""Copies of an image: files of equal bytes, which only their names tell apart."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter

Named = tuple[str, str]  # an image's identity, and the name of one of its files
Copy = tuple[str, int]  # its identity, and which of its copies, from 1
CopyNumbers = Mapping[Named, int]  # which copy each one is; the first ones are not in it


def number_copies(old: Iterable[Named], new: Iterable[Named]) -> tuple[CopyNumbers, CopyNumbers]:
    """Which copy of its image each one of OLD and each one of NEW is, in the order of the names.

    Where both have a name of an image, its copies are known by their names, also those that one of
    the two lacks. Else names say nothing, for files move: copy n of one is copy n of the other.
    """
    sides, found = (set(old), set(new)), (dict[Named, int](), dict[Named, int]())
    for _, group in groupby(sorted(sides[0] | sides[1]), key=itemgetter(0)):
        every = [*group]
        known = any(each in sides[0] and each in sides[1] for each in every)
        for side, numbers in zip(sides, found, strict=True):
            copies = every if known else [each for each in every if each in side]
            numbers |= {each: number for number, each in enumerate(copies, start=1) if number > 1}
    return found


def copy_of(image: Named, copies: CopyNumbers) -> Copy:
    """The image by its number among its copies."""
    return image[0], copies.get(image, 1)
