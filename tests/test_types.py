"""A type has one name, and no other type has it."""

import ast
from collections import Counter
from pathlib import Path

import xmir_cli

ROOT = Path(xmir_cli.__file__).parent
# every saliency method is a Method, and what a flag takes may be called as what it becomes
APART = {*ROOT.glob("*options.py"), *(ROOT / "saliency" / "methods").iterdir()}


def types_of(path: Path) -> list[str]:
    """The public classes and aliases of types at the top of a module."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names.append(node.name)
        if isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [name for name in names if name[0].isupper() and not name.isupper()]


def test_no_two_modules_name_a_type_alike():
    counts = Counter(
        name for path in ROOT.rglob("*.py") if path not in APART for name in types_of(path)
    )
    assert [name for name, count in counts.items() if count > 1] == []
