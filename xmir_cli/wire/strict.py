"""JSON that anybody may have written: what other readers would take otherwise is refused."""

import json
import math

_LARGEST = 2**63 - 1
_WORD = 40  # characters that are quoted


class AmbiguousError(ValueError):
    """Grammatical, but not every reader would take it for the same; says why."""


def parse_json(text: str | bytes) -> object:
    """The value of a JSON text, bytes in UTF-8 with or without a mark at their start.

    Raises ValueError for what is no JSON, which NaN, infinity and endless nesting are not either;
    AmbiguousError for whole numbers beyond 64 bits, a key that is there twice and half a character.
    """
    given = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    try:
        value: object = _DECODER.decode(given)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if "\\ud" in given or "\\uD" in given:
        _refuse_halves(value)
    return value


def _refuse_halves(value: object) -> None:
    """Raise ValueError for halves of characters that do not stand for a byte of a file's name."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise AmbiguousError("half of a character") from None


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):  # 1e999 is grammatical JSON
        raise ValueError(digits)
    return number


def _whole(digits: str) -> int:
    number = int(digits)
    if abs(number) > _LARGEST:
        raise AmbiguousError("a whole number beyond 64 bits")
    return number


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise AmbiguousError(f"the key {twice[:_WORD]!r} is there twice")
    return found


_DECODER = json.JSONDecoder(
    parse_constant=_refuse, parse_float=_finite, parse_int=_whole, object_pairs_hook=_unique
)
