"""A hash of what the network sees of an image that copies share: 64 bits of a cosine transform.

Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010 (its DCT
hash: 32 x 32 greys, the 8 x 8 lowest frequencies beside the constant ones, against their median).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xmir_cli.arrays import Booleans, Floats, Integers

_AT_ONCE = 2048  # images that are compared with all at a time
_SIDE, _LOWEST = 32, 8  # of the greys, and of the frequencies
_GREY = np.array([0.299, 0.587, 0.114])  # of ITU-R BT.601
_SIGNS = (-1.0) ** np.arange(1, _LOWEST + 1)  # of frequencies, where an axis runs the other way
Greys = NDArray[np.float32]

TURNS = {  # what a copy may have been turned by: the signs of its frequencies [8, 8]
    "": np.ones((_LOWEST, _LOWEST)),
    "mirrored": np.tile(_SIGNS, (_LOWEST, 1)),
    "upside down": np.tile(_SIGNS[:, None], (1, _LOWEST)),
    "turned by 180 degrees": np.outer(_SIGNS, _SIGNS),
}


def frequencies_of(view: np.ndarray) -> Floats:
    """The lowest frequencies [8, 8] of a view [S, S, 3] of 0..255."""
    greys = Image.fromarray((view @ _GREY).astype(np.float32))
    small = np.asarray(greys.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64)
    places = np.arange(1, _LOWEST + 1)[:, None] * (2 * np.arange(_SIDE) + 1)[None]
    waves = np.cos(np.pi * places / (2 * _SIDE))  # [8, 32]
    return np.asarray(waves @ small @ waves.T)


def compare_frequencies(first: Greys, second: Greys) -> tuple[Integers, Integers]:
    """In how many bits the hashes of pairs of images differ [n], and in which of the TURNS [n].

    Args:
        first: The frequencies of the one image of each pair [n, 8, 8].
        second: Those of the other.

    Returns:
        The least of all turns; of equally unlike ones the first.
    """
    own = _bits(first)
    apart = np.stack([(own != _bits(second * signs)).sum(axis=1) for signs in TURNS.values()])
    return apart.min(axis=0), apart.argmin(axis=0)


def list_alike(frequencies: Greys, most: int) -> Iterator[tuple[Integers, Integers]]:
    """Pairs of images whose hashes differ in at most `most` bits in any of the TURNS.

    All N images are compared with all, those without frequencies (NaN) left out; the first of a
    pair comes before the second. A pair may come more than once.
    """
    known = np.flatnonzero(np.isfinite(frequencies[:, 0, 0]))
    signed = [
        np.where(_bits(frequencies[known] * signs), 1, -1).astype(np.float32)
        for signs in TURNS.values()
    ]  # [n, 64]; of two, the product is 64 less twice the bits in which they differ
    bound = signed[0].shape[1] - 2 * most
    for start in range(0, len(known), _AT_ONCE):
        own = signed[0][start : start + _AT_ONCE]
        for turned in signed:
            one, other = np.nonzero(own @ turned.T >= bound)
            before = one + start < other
            yield known[one[before] + start], known[other[before]]


def _bits(frequencies: Greys | Floats) -> Booleans:
    flat = frequencies.reshape(len(frequencies), _LOWEST**2)
    return np.asarray(flat > np.median(flat, axis=1, keepdims=True))
