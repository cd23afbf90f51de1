"""Images that are there more than once: equal files, equal pixels, and near copies.

A near copy has a hash of what the network sees within 6 of 64 bits, as it is, mirrored or upside
down, and a similarity above that of 99.9 % of the pairs of different patients; or a hash within 2
bits, and a similarity above that of half of these pairs, for a network may take a rescaled copy for
another image. Images of one patient are near copies within 2 bits alone, for those of two days look
alike; frames of one file never are. Where no two other images are of different patients the 2 bits
are all that is asked. Of more than 20,000 images only neighbours are compared, so
that no pass over all pairs is needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np

from xmir_cli.arrays import Floats, Integers
from xmir_cli.atlas.duplicates import ROUNDING, chief_of, join
from xmir_cli.atlas.neighbours import EXACT
from xmir_cli.audit.archive import Archive
from xmir_cli.audit.hashes import TURNS, compare_frequencies, list_alike
from xmir_cli.audit.looked import Looked
from xmir_cli.retrieval.collection import sample_images

NEAR_BITS, SAME_BITS = 6, 2
PERCENTILES = (99.9, 50.0)  # of the similarities of different patients, for the one and the other
_LOWER = 99.0  # above which images are looked at; copies themselves may have raised the other one
_AT_ONCE = 1 << 16  # pairs whose hashes are in memory
_SAMPLE = 1500  # images whose pairs say what is usual
_EQUAL = 1e-4  # what the similarity of two images with equal pixels lacks to 1 at most
EQUAL_BYTES = "equal bytes"
_STRENGTH = (EQUAL_BYTES, "equal pixels", "near copy", "equal embeddings")  # the strongest first


class MaybeCopies(NamedTuple):
    """Pairs of images [P], the first in the order of the archive before the second."""

    first: Integers
    second: Integers
    similarities: Floats

    @property
    def rows(self) -> Integers:
        """The images that are in a pair, in order."""
        return np.unique(np.concatenate([self.first, self.second]))

    @property
    def nearly_one(self) -> set[int]:
        """The images whose pixels may be equal to those of another."""
        equal = self.similarities >= 1 - _EQUAL
        return {*self.first[equal].tolist(), *self.second[equal].tolist()}

    def pair(self, place: int) -> tuple[int, int]:
        """One of the pairs."""
        return int(self.first[place]), int(self.second[place])

    def similarity(self, place: int) -> float:
        """How similar the two are."""
        return float(self.similarities[place])


@dataclass(frozen=True)
class Link:
    """Two images that are one."""

    first: int
    second: int
    how: str  # one of _STRENGTH
    similarity: float
    bits: int | None = None  # in which their hashes differ
    turn: str = ""  # how the one is turned against the other

    @property
    def why(self) -> str:
        """In words."""
        return f"{self.how}, {self.turn}" if self.turn else self.how


@dataclass(frozen=True, eq=False)
class Copies:
    """What was found."""

    links: list[Link]
    groups: Integers  # of each image [N], from 1; 0: it is alone
    limit: float | None  # the similarity above which near copies are; None: nothing to compare with

    @cached_property
    def _by_row(self) -> dict[int, list[Link]]:
        found: dict[int, list[Link]] = {}
        for link in self.links:
            for row in (link.first, link.second):
                found.setdefault(row, []).append(link)
        return found

    def link_to(self, row: int, stays: int) -> Link | None:
        """The strongest link of an image to the one of its group that stays; None: by others."""
        links = (each for each in self._by_row[row] if stays in (each.first, each.second))
        return min(links, key=_rank, default=None)

    def strongest(self, row: int) -> Link:
        """The strongest link of an image that is in a group."""
        return min(self._by_row[row], key=_rank)


def _rank(link: Link) -> tuple[int, float]:
    return _STRENGTH.index(link.how), -link.similarity


def list_candidates(archive: Archive) -> MaybeCopies:
    """Pairs of neighbours that may be copies of each other, each once."""
    bar = -1.0
    if len(archive) > _SAMPLE:  # of fewer, copies may be many of all pairs
        usual = _usual(archive, set())
        bar = min(float(np.percentile(usual, _LOWER)), 1 - _EQUAL) if len(usual) else bar
    keys, similarities = [], []
    for near in {id(each): each for each in (archive.around.near, archive.around.others)}.values():
        rows, places = np.nonzero((near.rows >= 0) & (near.similarities >= bar))
        others = near.rows[rows, places]
        keys.append(np.minimum(rows, others) * len(archive) + np.maximum(rows, others))
        similarities.append(near.similarities[rows, places])
    pairs, chosen = np.unique(np.concatenate(keys), return_index=True)
    return MaybeCopies(
        pairs // len(archive), pairs % len(archive), np.concatenate(similarities)[chosen]
    )


def find_copies(archive: Archive, candidates: MaybeCopies, looked: Looked) -> Copies:
    """What is there more than once, as far as it was looked at."""
    if len(archive) <= EXACT:
        candidates = _with_alike(archive, candidates, looked)
    alike = [*_equal_embeddings(candidates, looked), *_look_alike(archive, candidates, looked)]
    limits = _limits(archive, {(each.first, each.second) for each in alike})
    links = [*_equal_files(archive), *(each for each in alike if _holds(archive, each, limits))]
    return Copies(links, _group(links, len(archive)), limits[0] if limits else None)


def _with_alike(archive: Archive, candidates: MaybeCopies, looked: Looked) -> MaybeCopies:
    """With all pairs that look the same, wherever the network puts them."""
    found = [
        first * len(archive) + second for first, second in list_alike(looked.frequencies, SAME_BITS)
    ]
    known = candidates.first * len(archive) + candidates.second
    new = np.setdiff1d(np.concatenate([known[:0], *found]), known)
    if not len(new):
        return candidates
    first, second = new // len(archive), new % len(archive)
    similarities = [
        archive.similarity(*pair) for pair in zip(first.tolist(), second.tolist(), strict=True)
    ]
    return MaybeCopies(
        np.concatenate([candidates.first, first]),
        np.concatenate([candidates.second, second]),
        np.concatenate([candidates.similarities, similarities]),
    )


def _equal_files(archive: Archive) -> Iterator[Link]:
    """Each image whose file is that of an earlier one, with that."""
    firsts: dict[str, int] = {}
    for row, identity in enumerate(archive.identities):
        first = row if identity is None else firsts.setdefault(identity, row)
        if first != row:
            yield Link(first, row, EQUAL_BYTES, archive.similarity(first, row))


def _equal_embeddings(candidates: MaybeCopies, looked: Looked) -> Iterator[Link]:
    """Pairs that cannot be looked at, whose vectors are one but for rounding."""
    known = looked.known
    unseen = ~(known[candidates.first] & known[candidates.second])
    for place in np.flatnonzero(unseen & (candidates.similarities >= 1 - ROUNDING)).tolist():
        yield Link(*candidates.pair(place), "equal embeddings", candidates.similarity(place))


def _look_alike(archive: Archive, candidates: MaybeCopies, looked: Looked) -> Iterator[Link]:
    known = looked.known
    seen = np.flatnonzero(known[candidates.first] & known[candidates.second])
    for start in range(0, len(seen), _AT_ONCE):
        part = seen[start : start + _AT_ONCE]
        first, second = candidates.first[part], candidates.second[part]
        apart, turns = compare_frequencies(looked.frequencies[first], looked.frequencies[second])
        for at in np.flatnonzero(apart <= NEAR_BITS).tolist():
            one, other = candidates.pair(int(part[at]))
            similarity = candidates.similarity(int(part[at]))
            if one in looked.pixels and looked.pixels[one] == looked.pixels.get(other):
                yield Link(one, other, "equal pixels", similarity, 0)
            elif not _are_frames(archive, one, other):
                turn = list(TURNS)[turns[at]]
                yield Link(one, other, "near copy", similarity, int(apart[at]), turn)


def _are_frames(archive: Archive, first: int, second: int) -> bool:
    """Whether two images are different pictures of one file."""
    one, other = ((archive.identities[row] or "").partition("#")[0] for row in (first, second))
    return bool(one) and one == other and archive.identities[first] != archive.identities[second]


def _holds(archive: Archive, link: Link, limits: tuple[float, float] | None) -> bool:
    if link.how != "near copy" or link.bits is None:
        return True
    if limits is None:  # nothing says what is usual
        return link.bits <= SAME_BITS
    own, other = archive.patients[[link.first, link.second]].tolist()
    are_kin = own == other and own >= 0
    few, half = limits
    return (link.similarity > half and link.bits <= SAME_BITS) or (
        link.similarity > few and not are_kin
    )


def _limits(archive: Archive, known: set[tuple[int, int]]) -> tuple[float, float] | None:
    """What few, and half, of the pairs of different patients exceed that look like no copies."""
    usual = _usual(archive, known)
    if not len(usual):
        return None
    few, half = np.percentile(usual, PERCENTILES).tolist()
    return few, half


def _usual(archive: Archive, known: set[tuple[int, int]]) -> Floats:
    """The similarities of pairs of different patients of a sample, but for those that are known."""
    rows = sample_images(archive.items, _SAMPLE, 0)
    vectors = archive.vectors[rows]
    counts = np.triu(archive.are_of_different_patients(rows), 1)
    places = {int(row): place for place, row in enumerate(rows)}
    for first, second in known:
        if first in places and second in places:
            counts[places[first], places[second]] = False
    hashes: dict[str, list[int]] = {}
    for place, row in enumerate(rows.tolist()):
        if identity := archive.identities[row]:
            hashes.setdefault(identity, []).append(place)
    for same in hashes.values():
        for pair in combinations(same, 2):
            counts[pair] = False
    return np.asarray((vectors @ vectors.T)[counts], dtype=np.float64)


def _group(links: list[Link], count: int) -> Integers:
    """The number of each image's group, from 1 in the order of their first images."""
    chiefs = np.arange(count)
    for each in links:
        join(chiefs, each.first, each.second)
    chiefs = np.array([chief_of(chiefs, row) for row in range(count)], dtype=np.int64)
    sizes = np.bincount(chiefs, minlength=count)
    numbers = np.cumsum(sizes > 1) * (sizes > 1)
    return np.asarray(numbers[chiefs], dtype=np.int64)
