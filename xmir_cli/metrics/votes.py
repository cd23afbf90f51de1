"""How the labels of an image's nearest images become probabilities.

Each of the k nearest votes for its labels with the weight `softmax(similarity / temperature)`, and
a share `doubt` of every vote goes to the labels as frequent as they are, for a label is possible
that none of the k has. Both numbers are the most likely ones for images whose labels are known,
each asked about by its nearest images of other patients. Where images have one label each, the
likelihood is that of the label that an image has. Where some have several, each label is a question
of its own, and those that an image does not have count, too; the log-odds of all answers are then
stretched and shifted to the most likely ones, for a label that few neighbours share is rarer than
their share.

Source: soft votes as of Goldberger et al., Neighbourhood Components Analysis, NIPS 2004; a
temperature by likelihood and the calibration error as of Guo et al., ICML 2017; slope and shift as
of Platt, Probabilistic outputs for support vector machines, 1999.
"""

from typing import NamedTuple

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers

TEMPERATURES = 10.0 ** np.arange(-3, 1.05, 0.1)  # in units of similarity; 10: all weigh the same
DOUBTS = np.append(10.0 ** np.arange(-3, -0.25, 0.1), [0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999])
_FITTED = 20_000  # images by which a rule is chosen, evenly out of more
_FEWEST = 1000  # of which it is chosen at least, however many labels there are
_BINS = 10  # of probabilities, with as many images each
_CELLS = 1 << 22  # probabilities in memory at a time
_ASKED = 1 << 18  # probabilities by which a rule is chosen where each label is a question
_STEPS, _RIDGE = 20, 1.0  # of Newton, and how much it is held where it is
_FAR = 500.0  # log-odds whose exponential is a number
_SURE = 1e-12  # how near to 0 or 1 a probability is taken to be at most


class Ballots(NamedTuple):
    """The nearest images of some [n, k], in whatever order."""

    similarities: Floats  # NaN where there is none
    kinds: Integers  # which labels each has, as LabelSets counts them; -1: none, so it has no vote


class VoteRule(NamedTuple):
    """How votes are weighed."""

    temperature: float
    doubt: float  # in (0, 1)
    slope: float = 1.0  # of the log-odds
    shift: float = 0.0  # of what they are then

    @property
    def is_stretched(self) -> bool:
        """Whether the log-odds become others."""
        return (self.slope, self.shift) != (1.0, 0.0)

    @property
    def told(self) -> dict[str, float]:
        """The numbers that were fitted."""
        names = self._fields if self.is_stretched else self._fields[:2]
        return {name: getattr(self, name) for name in names}


def vote(ballots: Ballots, holds: Booleans, frequencies: Floats, rule: VoteRule) -> Floats:
    """The probability [n, L] that an image has each label; unstretched, of one each, the sum is 1.

    Args:
        ballots: The nearest images; where none of them has a vote, the frequencies are the answer.
        holds: Which kind of images has which label [C, L].
        frequencies: The share of all images that has each label [L].
        rule: How they are weighed.
    """
    weights = _weights(ballots, rule.temperature)
    votes = np.zeros((len(weights), len(frequencies)))
    for place in range(weights.shape[1]):
        votes += weights[:, place, None] * holds[ballots.kinds[:, place]]
    has_votes = weights.sum(axis=1) > 0
    return np.where(
        has_votes[:, None], _stretched(_doubted(votes, frequencies, rule), rule), frequencies
    )


def fit_votes(
    ballots: Ballots, own: Integers, holds: Booleans, frequencies: Floats
) -> VoteRule | None:
    """The rule under which the own labels of some images are most likely.

    Args:
        ballots: Their nearest images [n, k], of other patients, so that each is asked about as a
            new patient would be.
        own: Which labels each has [n], as a kind; -1 where nobody knows.
        holds: Which kind of images has which label [C, L].
        frequencies: The share of all images that has each label [L].

    Returns:
        None where no image has both labels and a neighbour that votes.
    """
    usable = np.flatnonzero((own >= 0) & (_weights(ballots, 1.0).sum(axis=1) > 0))
    if not len(usable):
        return None
    several = have_several(holds[own[usable]])
    likelihoods_of = _likelihoods_of_each if several else _likelihoods
    most = max(_FEWEST, _ASKED // len(frequencies)) if several else _FITTED
    chosen = usable[np.linspace(0, len(usable) - 1, min(len(usable), most)).astype(np.int64)]
    asked = Ballots(ballots.similarities[chosen], ballots.kinds[chosen])
    best, largest = VoteRule(1.0, 0.5), -np.inf
    for temperature in TEMPERATURES.tolist():
        likelihoods = likelihoods_of(asked, own[chosen], holds, frequencies, temperature)
        if likelihoods.max() > largest:
            largest = float(likelihoods.max())
            best = VoteRule(temperature, float(DOUBTS[likelihoods.argmax()]))
    return _stretch(best, asked, own[chosen], holds, frequencies) if several else best


def have_several(own: Booleans) -> bool:
    """Whether an image [n, L] has more than one label."""
    return bool((own.sum(axis=1) > 1).any())


def calibration_error(probabilities: Floats, own: Booleans, several: bool) -> float:
    """How far probabilities are from how often they are right; see `mean_miscalibration`.

    Args:
        probabilities: Of each label [n, L], n at least 1.
        own: Which labels each image has [n, L].
        several: Whether images may have several, see `judged`.
    """
    return mean_miscalibration(*judged(probabilities, own, several))


def judged(probabilities: Floats, own: Booleans, several: bool) -> tuple[Floats, Booleans]:
    """The probabilities that are judged, and whether each is right.

    Of images with one label each those of the likeliest label [n]; where there are `several`, those
    of all labels [n * L], each of which is a question of its own.
    """
    if several:
        return probabilities.ravel(), own.ravel()
    first, rows = probabilities.argmax(axis=1), np.arange(len(probabilities))
    return probabilities[rows, first], own[rows, first]


def mean_miscalibration(told: Floats, right: Booleans) -> float:
    """How far probabilities [n] are from how often they are right [n], n at least 1.

    They are put in tenths by their size; the mean over all of the distance, in each tenth, of the
    mean probability to the share that is right.
    """
    parts = np.array_split(np.argsort(told, kind="stable"), min(_BINS, len(told)))
    distances = [abs(told[part].mean() - right[part].mean()) * len(part) for part in parts]
    return float(sum(distances) / len(told))


def _weights(ballots: Ballots, temperature: float) -> Floats:
    """The weight of each vote [n, k]; those of an image add up to 1, or to 0 where none votes."""
    votes = np.isfinite(ballots.similarities) & (ballots.kinds >= 0)
    similarities = np.where(votes, ballots.similarities, -np.inf)
    nearest = similarities.max(axis=1, initial=-2.0, keepdims=True)
    weights = np.where(votes, np.exp((similarities - nearest) / temperature), 0.0)
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1.0))


def _doubted(votes: Floats, frequencies: Floats, rule: VoteRule) -> Floats:
    mixed = (1 - rule.doubt) * votes + rule.doubt * frequencies
    return np.minimum(mixed, 1.0)  # what rounding adds


def _stretched(probabilities: Floats, rule: VoteRule) -> Floats:
    if not rule.is_stretched:
        return probabilities
    return _expit(rule.slope * _log_odds(probabilities) + rule.shift)


def _expit(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -_FAR, _FAR))))


def _log_odds(probabilities: Floats) -> Floats:
    inside = np.clip(probabilities, _SURE, 1 - _SURE)
    return np.asarray(np.log(inside / (1 - inside)))


def _likelihoods(
    ballots: Ballots, own: Integers, holds: Booleans, frequencies: Floats, temperature: float
) -> Floats:
    """The sum of the log-probabilities of the own labels, for each of the DOUBTS."""
    sums = np.zeros(len(DOUBTS))
    size = max(1, _CELLS // len(frequencies))
    for start in range(0, len(own), size):
        part = slice(start, start + size)
        asked = Ballots(ballots.similarities[part], ballots.kinds[part])
        votes = vote(asked, holds, frequencies, VoteRule(temperature, 0.0))
        has = holds[own[part]]
        rows, labels = np.nonzero(has)
        shares = 1 / has.sum(axis=1)[rows]
        agreed, usual = votes[rows, labels], frequencies[labels]
        for place, doubt in enumerate(DOUBTS.tolist()):
            sums[place] += (shares * np.log((1 - doubt) * agreed + doubt * usual)).sum()
    return sums


def _likelihoods_of_each(
    ballots: Ballots, own: Integers, holds: Booleans, frequencies: Floats, temperature: float
) -> Floats:
    """The sum over images and labels of the log-probability that a label is there, or is not."""
    sums = np.zeros(len(DOUBTS))
    has = holds[own]
    votes = vote(ballots, holds, frequencies, VoteRule(temperature, 0.0))
    agreed, usual = np.where(has, votes, 1 - votes), np.where(has, frequencies, 1 - frequencies)
    for place, doubt in enumerate(DOUBTS.tolist()):
        mixed = (1 - doubt) * agreed + doubt * usual
        sums[place] = np.log(np.maximum(mixed, _SURE)).sum()
    return sums


def _stretch(
    rule: VoteRule, ballots: Ballots, own: Integers, holds: Booleans, frequencies: Floats
) -> VoteRule:
    """The rule with the most likely slope, at least 0, and shift of the log-odds, by Newton."""
    odds = _log_odds(vote(ballots, holds, frequencies, rule)).ravel()
    right = holds[own].ravel()
    columns = np.stack([odds, np.ones_like(odds)])
    numbers = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        told = _expit(numbers @ columns)
        slope = columns @ (right - told) - _RIDGE * (numbers - [1.0, 0.0])
        curve = (columns * (told * (1 - told))) @ columns.T + _RIDGE * np.eye(2)
        numbers += np.linalg.solve(curve, slope)
    return rule._replace(slope=max(float(numbers[0]), 0.0), shift=float(numbers[1]))
