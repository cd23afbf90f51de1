"""Plain text becomes the lines of a man page: headings, paragraphs, lists of terms, code."""

import re
from collections.abc import Iterable, Iterator

from xmir_cli import __version__

_SECTIONS = {"1": "User Commands", "5": "File Formats", "7": "Concepts"}
_CODE = re.compile(r"`([^`]+)`")


def heading(page: str, summary: str) -> list[str]:
    """The first lines of the page `NAME.SECTION`."""
    name, _, section = page.rpartition(".")
    title = f'.TH "{name.upper()}" "{section}" "" "xmir {__version__}" "{_SECTIONS[section]}"'
    return [title, ".SH NAME", f"{name} \\- {plain(summary)}"]


def paragraph(text: str) -> list[str]:
    """A paragraph, its `code` bold."""
    return [".PP", mark_up(text)]


def terms(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A list of terms, each with what it means."""
    for term, meaning in pairs:
        yield from (".TP", f"\\fB{plain(term)}\\fR", mark_up(meaning))


def verbatim(text: str) -> list[str]:
    """Lines that are printed as they stand, indented."""
    return [".PP", ".RS 4", ".nf", *(plain(line) for line in text.splitlines()), ".fi", ".RE"]


def see_also(pages: Iterable[str]) -> list[str]:
    """The last section: other pages, by file name."""
    names = (page.rpartition(".") for page in pages)
    return [".SH SEE ALSO", ", ".join(f"\\fB{plain(name)}\\fR({part})" for name, _, part in names)]


def plain(text: str) -> str:
    """Text that troff prints as it stands."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in {".", "'"} else escaped


def mark_up(text: str) -> str:
    """Text on one line, for troff fills lines itself; its `code` bold."""
    return _CODE.sub(r"\\fB\1\\fR", plain(" ".join(text.split())))
