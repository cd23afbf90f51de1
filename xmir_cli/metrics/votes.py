"""How the labels of an image's nearest images become probabilities.

Each of the k nearest votes for its labels with the weight `softmax(similarity / temperature)`, and
a share `doubt` of every vote goes to the labels as frequent as they are, for a label is possible
that none of the k has. Both numbers are the most likely ones for images whose labels are known,
each asked about by its nearest images of other patients.

Source: soft votes as of Goldberger et al., Neighbourhood Components Analysis, NIPS 2004; a
temperature by likelihood and the calibration error as of Guo et al., ICML 2017.
"""

from typing import NamedTuple

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers

TEMPERATURES = 10.0 ** np.arange(-3, 1.05, 0.1)  # in units of similarity; 10: all weigh the same
DOUBTS = np.append(10.0 ** np.arange(-3, -0.25, 0.1), [0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999])
_FITTED = 20_000  # images by which a rule is chosen, evenly out of more
_BINS = 10  # of probabilities, with as many images each
_CELLS = 1 << 22  # probabilities in memory at a time


class Ballots(NamedTuple):
    """The nearest images of some [n, k], in whatever order."""

    similarities: Floats  # NaN where there is none
    kinds: Integers  # which labels each has, as LabelSets counts them; -1: none, so it has no vote


class VoteRule(NamedTuple):
    """How votes are weighed."""

    temperature: float
    doubt: float  # in (0, 1)


def vote(ballots: Ballots, holds: Booleans, frequencies: Floats, rule: VoteRule) -> Floats:
    """The probability [n, L] that an image has each label; of images with one label the sum is 1.

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
    return _doubted(votes, weights.sum(axis=1) > 0, frequencies, rule.doubt)


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
        None where no image has both labels and a neighbour that votes. Several labels of an image
        count as one does, together.
    """
    usable = np.flatnonzero((own >= 0) & (_weights(ballots, 1.0).sum(axis=1) > 0))
    if not len(usable):
        return None
    chosen = usable[np.linspace(0, len(usable) - 1, min(len(usable), _FITTED)).astype(np.int64)]
    asked = Ballots(ballots.similarities[chosen], ballots.kinds[chosen])
    best, most = VoteRule(1.0, 0.5), -np.inf
    for temperature in TEMPERATURES.tolist():
        likelihoods = _likelihoods(asked, own[chosen], holds, frequencies, temperature)
        if likelihoods.max() > most:
            most = float(likelihoods.max())
            best = VoteRule(temperature, float(DOUBTS[likelihoods.argmax()]))
    return best


def calibration_error(probabilities: Floats, own: Booleans) -> float:
    """How far the probability of the likeliest label is from how often it is right.

    Args:
        probabilities: Of each label [n, L], n at least 1.
        own: Which labels each image has [n, L].

    Returns:
        See `mean_miscalibration`.
    """
    first, rows = probabilities.argmax(axis=1), np.arange(len(probabilities))
    return mean_miscalibration(probabilities[rows, first], own[rows, first])


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


def _doubted(votes: Floats, has_votes: Booleans, frequencies: Floats, doubt: float) -> Floats:
    mixed = (1 - doubt) * votes + doubt * frequencies
    # weights add up to 1 but for rounding
    return np.minimum(np.where(has_votes[:, None], mixed, frequencies), 1.0)


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
