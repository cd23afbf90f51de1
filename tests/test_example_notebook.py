"""examples/explore.ipynb: what is stored in it, and every cell of it on a small archive.

With Jupyter it runs in a kernel in tests/extras/test_notebook.py.
"""

import ast
import base64
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "explore.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[dict]:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def outputs_of(cells):
    return [output for cell in cells for output in cell.get("outputs", [])]


def test_it_has_the_form_of_a_notebook(cells):
    whole = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert whole["nbformat"] == 4
    assert whole["metadata"]["kernelspec"]["name"] == "python3"
    assert {cell["cell_type"] for cell in cells} == {"code", "markdown"}
    assert len({cell["id"] for cell in cells}) == len(cells)
    numbers = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    assert numbers == list(range(1, len(numbers) + 1))  # stored from one run, from top to bottom


def test_what_is_stored_is_small_tells_of_no_machine_and_has_pictures(cells):
    assert NOTEBOOK.stat().st_size < 1_000_000
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert (
        re.findall(r"[\s\"'(](?:/(?:home|root|tmp|work|Users|var|opt)\b|[A-Z]:\\)[^\s\"]*", text)
        == []
    )
    found = outputs_of(cells)
    assert {each["output_type"] for each in found} <= {"stream", "execute_result"}
    assert {each["name"] for each in found if each["output_type"] == "stream"} == {"stdout"}
    pictures = [each["data"]["image/png"] for each in found if "image/png" in each.get("data", {})]
    assert len(pictures) == 4  # the archive, the maps of a query, both models' maps, what is found
    for picture in pictures:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as opened:
            assert min(opened.size) > 100


def run_cells(cells) -> tuple[dict, list]:
    """The names after all cells, and the value of each cell that ends in one."""
    names, values = {}, []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, NOTEBOOK.name, "exec"), names)  # noqa: S102 # ours
        if last is not None:
            values.append(eval(compile(ast.Expression(last.value), "end", "eval"), names))  # noqa: S307
    return names, values


@pytest.mark.slow
def test_every_cell_runs_and_finds_what_is_planted(cells, tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name, value in {"COUNT": "60", "EPOCHS": "1", "XMIR_NETWORKS": ""}.items():
        monkeypatch.setenv(name, value)
    names, values = run_cells(cells)
    assert len([each for each in values if isinstance(each, Image.Image)]) == 4
    pairs = {
        frozenset((each["meta"]["id"], each["query_meta"]["id"]))
        for each in names["found"].records
        if each["finding"] == "duplicate"
    }
    assert frozenset(("images/again.jpg", names["copied"]["path"])) in pairs
    assert {each["side"] for each in names["both"].records} == {"old", "new"}
    assert len(names["maps"].records) == len(names["hits"].records) == 3
    assert "of the map in" in capsys.readouterr().out
    assert (tmp_path / "explore-out" / "leave-out.jsonl").is_file()
