"""The pages that people write: a small part of Markdown becomes the lines of a man page.

A text starts with `# NAME: SUMMARY`. It has `##` and `###` headings, paragraphs, lists of items
that start with `- `, fenced code, and `code` in a line. An item that starts with code and has a
colon is a term and its meaning. `<!-- NAME -->` is where lines made elsewhere belong.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from xmir_cli.manual.roff import heading, mark_up, paragraph, see_also, terms, verbatim

_BLOCK = re.compile(r"```\w*\n(?P<code>.*?)\n```|(?P<text>\S.*?)(?=\n\n|\Z)", re.DOTALL)
_TERM = re.compile(r"((?:`[^`]+`(?:, )?)+): (.+)", re.DOTALL)
_PLACE = re.compile(r"<!-- ([a-z-]+) -->")


def text_page(page: str, text: str, made: Mapping[str, Iterable[str]], pages: Iterable[str]) -> str:
    """The man page of a text; `made` holds the lines for each of its places."""
    title, _, body = text.strip().partition("\n")
    lines = heading(page, title.partition(": ")[2])
    for found in _BLOCK.finditer(body):
        lines += _block(found, made)
    lines += see_also(other for other in pages if other != page)
    return "\n".join(lines) + "\n"


def _block(found: re.Match[str], made: Mapping[str, Iterable[str]]) -> Iterator[str]:
    code, text = found["code"], found["text"]
    if code is not None:
        yield from verbatim(code)
    elif place := _PLACE.fullmatch(text):
        yield from made[place[1]]
    elif text.startswith("## "):
        yield f".SH {mark_up(text[3:].upper())}"
    elif text.startswith("### "):
        yield f".SS {mark_up(text[4:])}"
    elif text.startswith("- "):
        yield from _items(text)
    else:
        yield from paragraph(text)


def _items(text: str) -> Iterator[str]:
    for item in re.split(r"\n- ", text[2:]):
        if term := _TERM.fullmatch(item):
            yield from terms([(term[1].replace("`", ""), term[2])])
        else:
            yield from (".IP \\(bu 2", mark_up(item))
