"""What the manual says of each saliency method: its own file says it, and this sets it in print."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from xmir_cli import saliency
from xmir_cli.flags import spell_flag
from xmir_cli.manual.roff import paragraph, plain, terms, verbatim
from xmir_cli.saliency import catalogue
from xmir_cli.saliency.source import MethodEntry, Setting

_FOLDER = Path(saliency.__file__).parent / "methods"


def method_lines() -> Iterator[str]:
    """Each method: summary, what it is fit for, formula, notes with the source, and settings."""
    for entry in catalogue().values():
        yield f".SS {plain(entry.name)}"
        yield from _method(entry)


def _method(entry: MethodEntry) -> Iterator[str]:
    formula, notes = _docstrings(entry.name)
    yield from paragraph(entry.summary)
    yield from paragraph(f"Fit for {entry.fit_for}.")
    yield from verbatim(formula)
    for note in notes:
        yield from paragraph(note)
    yield from terms((_flag(setting), _meaning(setting)) for setting in entry.settings)


def _docstrings(name: str) -> tuple[str, list[str]]:
    """The formula, which the class is described by, and the file's paragraphs after its summary."""
    tree = ast.parse((_FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8"))
    (method,) = (
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Method"
    )
    _, *notes = re.split(r"\n\n+", ast.get_docstring(tree) or "")
    return ast.get_docstring(method) or "", notes


def _flag(setting: Setting) -> str:
    flag = spell_flag(setting.name)
    if setting.kind == "bool":
        return f"{flag}, --no-{flag[2:]}"
    values = {"int": "N", "float": "X", "str": "TEXT", "choice": "|".join(setting.choices)}
    return f"{flag} {values[setting.kind]}"


def _meaning(setting: Setting) -> str:
    default = setting.default
    if isinstance(default, bool):
        default = "on" if default else "off"
    elif isinstance(default, float):
        default = f"{default:g}"
    return f"{setting.help}. Default: {'none' if default == '' else default}."
