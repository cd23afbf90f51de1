"""What was probably meant by a name that is none of those there are."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_MANY = 10_000  # names that are compared; of a gallery there may be millions


def find_near(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The names that look like this one, the likest first; case does not count."""
    by_case: dict[str, list[str]] = {}
    for each in known:
        by_case.setdefault(each.lower(), []).append(each)
    if len(by_case) > _MANY:
        return []
    if name.lower() in by_case:
        return by_case[name.lower()]
    close = get_close_matches(name.lower(), by_case, n=count, cutoff=0.6)
    return [each for key in close for each in by_case[key]][:count]


def suggest(name: str, known: Sequence[str]) -> str:
    """`did you mean ...?`, or else all that there is."""
    near = find_near(name, known)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(known)}" if known else "there are none"


def hint(name: str, known: Sequence[str]) -> str:
    """The same as a sentence."""
    text = suggest(name, known)
    return text[:1].upper() + text[1:] + ("" if text.endswith("?") else ".")


def near_hint(name: str, known: Iterable[str]) -> str:
    """`Did you mean ...?` where a name looks like this one, else nothing."""
    near = find_near(name, known)
    return hint(name, near) if near else ""
