"""The page as one HTML file: the template filled, and what a browser may do with it."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from xmir_cli.errors import DataError

if TYPE_CHECKING:
    from jinja2 import Template

_FOLDER = Path(__file__).parent
# between two elements: a browser would keep them all, a third of what it has to build
_BREAKS = re.compile(r"(?<=[>}])\s*\n\s*(?=[<{])")
# the marks by which HTML could end a script, and JavaScript a line
_MARKS = {mark: f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def load_template() -> "Template":
    """The page's template; raises DataError without Jinja2."""
    try:
        from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 # an extra
    except ModuleNotFoundError:
        raise DataError("a page needs the package Jinja2", "pip install 'xmir[report]'") from None
    source = (_FOLDER / "report.html").read_text(encoding="utf-8")
    made = Environment(autoescape=True, undefined=StrictUndefined)
    return made.from_string(_BREAKS.sub("", source))


def fill(template: "Template", values: Mapping[str, object], data: Mapping[str, object]) -> bytes:
    """The page: `values` escaped into the template, `data` as JSON for its script.

    Only the page's own script and style run, by their hashes; nothing is loaded from anywhere.
    """
    from markupsafe import Markup  # noqa: PLC0415 # comes with Jinja2

    script, style = (
        (_FOLDER / name).read_text(encoding="utf-8") for name in ("report.js", "report.css")
    )
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


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(data: Mapping[str, object]) -> str:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark, code in _MARKS.items():
        text = text.replace(mark, code)
    return text
