"""Names of files that are written another way than the files are called."""

import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache


def find_spelled(path: str) -> str | None:
    r"""The file that an absolute path means when there is none of that very name; None for none.

    Tried are `\` for `/`, names without white space around them, the other Unicode forms of the
    same letters, and UTF-8 for Latin-1.
    """
    return next((found for each in _spellings(path) if (found := _find(each)) is not None), None)


def may_differ(path: str) -> bool:
    """Whether a path can be written another way at all."""
    return "\\" in path or "\r" in path or not path.isascii() or path != path.strip()


def spelling_hint(path: str) -> str:
    """What is to be said of a file that is not there, whose name can be written another way."""
    if may_differ(path) and (found := find_spelled(os.path.abspath(path))) is not None:  # noqa: PTH100 # Path.resolve would follow links
        return f" (is it {found}?)"
    if "\\" in path:
        return " (a path of Windows? here folders are separated by /)"
    if not path.isascii():
        return " (under no Unicode form of its letters, NFC or NFD)"
    return ""


def _spellings(path: str) -> Iterator[str]:
    yield path
    slashed = path.replace("\\", "/")
    decoded = slashed.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    for spelled in (slashed, slashed.strip(), decoded):
        if spelled != path:
            yield os.path.normpath(spelled)


def _find(path: str) -> str | None:
    """The path with each of its names as it stands on the disk."""
    if os.path.lexists(path):
        return path
    place = "/"
    for name in path.strip("/").split("/"):
        exact = os.path.join(place, name)  # noqa: PTH118 # a Path would refuse some names
        if not os.path.lexists(exact):
            alike = _names_in(place).get(unicodedata.normalize("NFC", name), ())
            if len(alike) != 1:
                return None
            exact = os.path.join(place, alike[0])  # noqa: PTH118
        place = exact
    return place


@lru_cache(16)
def _names_in(folder: str) -> dict[str, list[str]]:
    """The names in a folder by their composed form, those that are not ASCII."""
    found: dict[str, list[str]] = {}
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return found
    for name in names:
        if not name.isascii():
            found.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    return found
