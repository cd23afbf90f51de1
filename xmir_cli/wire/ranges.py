"""Which values the description of a model may have, for anybody may have written it.

All raise ValueError or TypeError that quote no more than a word of what was found.
"""

import re
import sys
from collections.abc import Mapping, Sequence

LARGEST_INPUT = 4096  # pixels of a side
LARGEST_RESIZE = 8192  # pixels of a side
LARGEST_HEAD = 65_536
_TINIEST, _HUGE = 1e-6, 1e6  # of a deviation; of a mean or a deviation
LARGEST_GREY = 1e12
_NAME_LIMIT = 4096  # characters of a path
_WORD = 40  # characters that are quoted
_SEED = re.compile(r"random:[+-]?[0-9]{1,19}")
_SEEDS = 2**63  # what torch takes
_SHA256 = re.compile(r"[0-9a-f]{0,64}")  # empty: not loaded yet
Triple = tuple[float, float, float]


def check_mean(mean: Triple) -> Triple:
    """The mean, when single precision can take it off; else ValueError."""
    if not all(abs(value) <= _HUGE for value in mean):
        raise ValueError(f"mean: expected numbers between -{_HUGE:g} and {_HUGE:g}")
    return mean


def check_std(std: Triple) -> Triple:
    """The deviation, when one can divide by it; else ValueError."""
    if not all(_TINIEST <= value <= _HUGE for value in std):
        raise ValueError(f"std: expected numbers above 0, from {_TINIEST:g} to {_HUGE:g}")
    return std


def refuse_unknown(name: str, found: Mapping[str, object], known: Sequence[str]) -> None:
    """Raise ValueError for a key that is not known: without it the rest would mean another."""
    if unknown := [key for key in found if key not in known]:
        raise ValueError(f"{name}: {unknown[0][:_WORD]!r} is not known; made by a later xmir?")


def read_word(value: object, allowed: tuple[str, ...]) -> str:
    """One of the words."""
    if value not in allowed:
        raise ValueError(f"expected {' or '.join(allowed)}, found {_quote(value)}")
    return str(value)


def read_whole(name: str, value: object, largest: int) -> int:
    """A whole number from 1 to the largest."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected a whole number, found {_quote(value)}")
    if not 1 <= value <= largest:
        raise ValueError(f"{name}: expected 1 to {largest}, found {_quote(value)}")
    return value


def read_triple(name: str, value: object) -> Triple:
    """Three finite numbers."""
    if not isinstance(value, list | tuple) or len(value) != 3 or not all(map(_is_number, value)):
        raise TypeError(f"{name}: expected three numbers, found {_quote(value)}")
    first, second, third = value
    return float(first), float(second), float(third)


def _is_number(value: object) -> bool:
    """Whether it is one that a float can hold; comparing also sorts out NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max


def read_name(name: str, value: object) -> str:
    """A text as long as a path may be."""
    if not isinstance(value, str) or not 1 <= len(value) <= _NAME_LIMIT or "\0" in value:
        raise ValueError(f"{name}: expected a name, found {_quote(value)}")
    return value


def read_weights(value: object) -> str:
    """imagenet, random:SEED, or the name of a file."""
    name = read_name("weights", value)
    if name.startswith("random:") and not (
        _SEED.fullmatch(name) and abs(int(name.removeprefix("random:"))) < _SEEDS
    ):
        raise ValueError(f"weights: expected random:SEED, found {_quote(name)}")
    return name


def read_sha256(value: object) -> str:
    """A hash in hexadecimal, or nothing."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError(f"weights_sha256: expected hexadecimal digits, found {_quote(value)}")
    return value


def _quote(value: object) -> str:
    """No more than a word of what was found."""
    try:
        text = repr(value)
    except ValueError:  # thousands of digits
        return "a number too large"
    return text if len(text) <= _WORD else f"{text[:_WORD]}..."
