"""Copies of an image: files of equal bytes, which only their names tell apart."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter

Named = tuple[str, str]  # an image's identity, and the name of one of its files
Copy = tuple[str, int]  # its identity, and which of its copies, from 1
Copies = Mapping[Named, int]  # which copy each one is; the first ones are not in it


def number_copies(images: Iterable[Named]) -> Copies:
    """Which copy of its image each one is, in the order of the names.

    Names say nothing else, for files move: copy n of one file of records is copy n of the other.
    """
    found: dict[Named, int] = {}
    for _, copies in groupby(sorted(set(images)), key=itemgetter(0)):
        found |= {each: number for number, each in enumerate(copies, start=1) if number > 1}
    return found


def copy_of(image: Named, copies: Copies) -> Copy:
    """The image by its number among its copies."""
    return image[0], copies.get(image, 1)
