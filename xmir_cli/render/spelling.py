"""Which font draws which part of a text, and what is drawn for what no font has."""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from xmir_cli.render.faces import EXTENDED, find_fonts, has_glyph

Spelled = Sequence[
    tuple[Path | None, str]
]  # font files, None for Pillow's own, and what each draws


def spell(text: str) -> Spelled:
    """The parts of a text: all of it in the first font that has all of it, if there is one."""
    if text.isascii():
        return [(None, text)]
    return _spell(unicodedata.normalize("NFC", text))


@cache
def _spell(text: str) -> Spelled:
    faces = (None, EXTENDED, *find_fonts())
    for face in faces:
        if all(has_glyph(face, each) for each in text):
            return [(face, text)]
    found = groupby(_drawn(text, faces), key=lambda each: each[0])
    return [(face, "".join(part for _, part in parts)) for face, parts in found]


def _drawn(text: str, faces: Sequence[Path | None]) -> Iterator[tuple[Path | None, str]]:
    """Each letter with its marks, and its font: that of the letter before where it can be."""
    face: Path | None = None
    for letter in _letters(text):
        having = (each for each in (face, *faces) if all(has_glyph(each, one) for one in letter))
        face = next(having, None)
        known = all(has_glyph(face, one) for one in letter)
        yield face, letter if known else "".join(map(_code_point, letter))


def _letters(text: str) -> Iterator[str]:
    """The text in pieces that no font should tear: a character and the marks that follow it."""
    piece = ""
    for each in text:
        if piece and not unicodedata.category(each).startswith("M"):
            yield piece
            piece = ""
        piece += each
    yield piece


def _code_point(character: str) -> str:
    if character.isascii():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
