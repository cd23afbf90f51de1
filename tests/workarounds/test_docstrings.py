"""Every workaround says why it is there, what it was seen with and which test fails without it."""

import ast
import re
from pathlib import Path

import pytest

import xmir_cli.workarounds

TESTS = Path(__file__).parent.parent
FOLDER = Path(xmir_cli.workarounds.__file__).parent
FUNCTIONS = [
    pytest.param(node, id=f"{path.stem}.{node.name}")
    for path in sorted(FOLDER.rglob("*.py"))
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_workaround_names_its_reason_a_version_and_a_test_that_exists(function):
    text = ast.get_docstring(function)
    assert "\nWhy: " in text
    assert re.search(r"\nSeen with: .*\w \d+\.\d+", text)
    file, name = re.search(r"\nFails without: tests/(\S+)\s+(test_\w+)", text).groups()
    assert f"def {name}(" in (TESTS / file).read_text()
