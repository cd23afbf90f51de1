"""Labels in doubt: neighbours of other patients hold another one, or a copy does.

The probability of a label is that of `metrics.votes`: votes of the nearest, calibrated on the
archive itself. Such a doubt is no proof: were every label drawn by these probabilities, as many
labels would be in doubt as `Doubts.expected` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.audit.archive import Archive
from xmir_cli.metrics.votes import (
    Ballots,
    VoteRule,
    fit_votes,
    have_several,
    judged,
    mean_miscalibration,
    vote,
)
from xmir_cli.retrieval.collection import order_of

_JUDGED = 1 << 22  # probabilities that calibration is told of where images have several labels
_ROWS = 4096  # images whose probabilities are in memory


@dataclass(frozen=True)
class Doubt:
    """An image whose neighbours hold another label than it has."""

    row: int
    other: int  # its nearest image with that label, of another patient
    label: str  # what they hold
    probability: float  # of it
    own: float  # the probability of the likeliest label that it has


@dataclass(frozen=True, eq=False)
class Votes:
    """What the neighbours of each image [N] say of its label; NaN and -1 where none votes."""

    names: list[str]  # of the labels [L]
    likeliest: Integers  # which of the labels that it does not have [N]
    probabilities: Floats  # of that one [N]
    own: Floats  # of the likeliest label that it has [N]


@dataclass(frozen=True, eq=False)
class Doubts:
    """What was found, and how far it can be trusted."""

    votes: Votes
    found: list[Doubt] | None  # the surest first; None: no label could be in doubt
    expected: float | None  # how many there would be if labels were drawn by their probabilities
    rule: VoteRule
    calibration_error: float | None  # None: no image lacks a label, so nothing was asked


def find_doubts(archive: Archive, groups: Integers, bound: float) -> Doubts | None:
    """The labels that are in doubt: another one has at least the probability `bound`.

    Copies of an image (`groups` [N], see `Copies`) have no vote on its label. None where no image
    has a label and a neighbour of another patient that has one. No label could be in doubt where
    no image lacks one that, were it that of all its neighbours, had a probability of `bound`.
    """
    labels, kinds = archive.labels, archive.kinds
    order = order_of(archive.items)  # in which a rule is fitted to some of very many
    labelled = order[kinds[order] >= 0]
    ballots = archive.ballots(groups)
    counts = np.bincount(kinds[labelled], minlength=len(labels.holds)) @ labels.holds
    frequencies = counts / max(1, len(labelled))
    asked = labelled[(ballots.kinds[labelled] >= 0).any(axis=1)]
    given = Ballots(ballots.similarities[asked], ballots.kinds[asked])
    rule = fit_votes(given, kinds[asked], labels.holds, frequencies)
    if rule is None:
        return None
    nobody = np.full(len(archive), np.nan)
    votes = Votes(labels.names, np.full(len(archive), -1), nobody, nobody.copy())
    found, expected = [], 0.0
    several = have_several(labels.holds[np.unique(kinds[asked])])
    step = -(-len(asked) * len(labels.names) // _JUDGED) if several else 1
    judgements: list[tuple[Floats, Booleans]] = []
    for start in range(0, len(asked), _ROWS):
        rows = asked[start : start + _ROWS]
        part = Ballots(ballots.similarities[rows], ballots.kinds[rows])
        probabilities = vote(part, labels.holds, frequencies, rule)
        own = labels.holds[kinds[rows]]
        judgements.append(judged(probabilities[::step], own[::step], several))
        expected += _expect(probabilities, bound, several)
        _take(votes, archive, rows, probabilities)
        found += _doubtful(archive, votes, rows, part, bound)
    lacked = _lacked(archive, votes)
    if not lacked.any():
        return Doubts(votes, None, None, rule, None)
    told, right = map(np.concatenate, zip(*judgements, strict=True))
    error = mean_miscalibration(told, right)
    if _surest(labels.holds, frequencies, rule)[lacked].max() < bound:
        return Doubts(votes, None, None, rule, error)
    found.sort(key=lambda each: -each.probability)
    return Doubts(votes, found, expected, rule, error)


def _lacked(archive: Archive, votes: Votes) -> Booleans:
    """Which labels [L] are lacked by an image whose neighbours vote."""
    asked = np.unique(archive.kinds[np.isfinite(votes.own)])
    return np.asarray((~archive.labels.holds[asked]).any(axis=0))


def _surest(holds: Booleans, frequencies: Floats, rule: VoteRule) -> Floats:
    """The probability of each label [L] where all neighbours hold it."""
    kinds = holds.argmax(axis=0)[:, None]  # of each label one that has it
    return np.diagonal(vote(Ballots(np.zeros(kinds.shape), kinds), holds, frequencies, rule))


def _expect(probabilities: Floats, bound: float, several: bool) -> float:
    """How many images [n] would lack a label that has at least `bound`, were labels drawn so."""
    lacks = np.where(probabilities >= bound, 1 - probabilities, 0.0)  # [n, L]
    any_lacks = 1 - (1 - lacks).prod(axis=1) if several else lacks.sum(axis=1)
    return float(any_lacks.sum())


def _take(votes: Votes, archive: Archive, rows: Integers, probabilities: Floats) -> None:
    """Take up the probabilities [n, L] of the labels of some images."""
    own = archive.labels.holds[archive.kinds[rows]]  # [n, L]
    others = np.where(own, -1.0, probabilities)
    lacks = ~own.all(axis=1)
    votes.own[rows] = np.where(own, probabilities, 0.0).max(axis=1)
    votes.probabilities[rows[lacks]] = others.max(axis=1)[lacks]
    votes.likeliest[rows[lacks]] = others.argmax(axis=1)[lacks]


def _doubtful(
    archive: Archive, votes: Votes, rows: Integers, ballots: Ballots, bound: float
) -> list[Doubt]:
    labels, found = archive.labels, []
    for at in np.flatnonzero(np.nan_to_num(votes.probabilities[rows], nan=-1.0) >= bound).tolist():
        row = int(rows[at])
        label = int(votes.likeliest[row])
        holders = np.flatnonzero((ballots.kinds[at] >= 0) & labels.holds[ballots.kinds[at], label])
        if not len(holders):
            continue  # the label is only common, and no neighbour doubts the own one
        nearest = holders[np.argmax(ballots.similarities[at][holders])]
        other = int(archive.around.others.rows[row, nearest])
        probability, own = float(votes.probabilities[row]), float(votes.own[row])
        found.append(Doubt(row, other, votes.names[label], probability, own))
    return found


def list_conflicts(groups: Integers, texts: Sequence[frozenset[str]]) -> list[tuple[int, int]]:
    """Images with a copy that holds other labels, each with the first such copy.

    Args:
        groups: Which images are copies of each other [N], from 1; 0: an image is alone.
        texts: The labels of each [N]; an image without any contradicts nobody.
    """
    members: dict[int, list[int]] = {}
    for row in np.flatnonzero(groups).tolist():
        if texts[row]:
            members.setdefault(int(groups[row]), []).append(row)
    found = []
    for rows in members.values():
        for row in rows:
            different = [other for other in rows if texts[other] != texts[row]]
            found += [(row, different[0])] if different else []
    return sorted(found)
