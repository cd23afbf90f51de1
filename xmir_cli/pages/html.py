"""A page as one HTML file: the template filled, and what a browser may do with it."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xmir_cli.errors import DataError

if TYPE_CHECKING:
    from jinja2 import Template

COMMON = Path(__file__).parent / "page.css"  # what all pages look like
# between two elements: a browser would keep them all, a third of what it has to build
_BREAKS = re.compile(r"(?<=[>}])\s*\n\s*(?=[<{])")
# the marks by which HTML could end a script, and JavaScript a line
_MARKS = {mark: f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class PageFiles:
    """What a page is made of; its scripts become one, and so do its styles."""

    template: Path
    scripts: Sequence[Path]
    styles: Sequence[Path]


def load_template(files: PageFiles) -> "Template":
    """The page's template; raises DataError without Jinja2."""
    try:
        from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 # an extra
    except ModuleNotFoundError:
        raise DataError("a page needs the package Jinja2", "pip install 'xmir[report]'") from None
    source = files.template.read_text(encoding="utf-8")
    made = Environment(autoescape=True, undefined=StrictUndefined)
    return made.from_string(_BREAKS.sub("", source))


def fill(
    template: "Template",
    files: PageFiles,
    values: Mapping[str, object],
    data: Mapping[str, object],
) -> bytes:
    """The page: `values` escaped into the template, `data` as JSON for its script.

    Only the page's own script and style run, by their hashes; nothing is loaded from anywhere.
    """
    from markupsafe import Markup  # noqa: PLC0415 # comes with Jinja2

    script, style = _join(files.scripts), _join(files.styles)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    text = template.render(
        **values,
        policy=policy,
        script=Markup(script),  # noqa: S704 # our own file
        style=Markup(style),  # noqa: S704 # the same
        data=Markup(_json(data)),  # noqa: S704 # without any mark of HTML
    )
    return text.encode()


def _join(files: Iterable[Path]) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(data: Mapping[str, object]) -> str:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark, code in _MARKS.items():
        text = text.replace(mark, code)
    return text


def told_size(count: int) -> str:
    """So many bytes, for people."""
    megabytes = count / (1 << 20)
    return f"{megabytes:.1f} MB" if megabytes >= 0.1 else f"{count / 1024:.0f} KB"
