"""The fault table's rows of `train` and of reports: classes of any name, and what is written."""

import csv
import io
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from xmir_cli.labels import parse_labels

EVIL = ["=cmd|' /C calc'!A0", "<script>alert(1)</script>", "[/bold]\x1b[31m", "a\nb", "../../x"]


def pictures(labels: list[str], same: bool = False) -> None:
    """Two pictures of each class, or the same one everywhere."""
    with Path("labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        for number, label in enumerate([*labels, *labels]):
            values = np.random.default_rng(0 if same else number)
            name = f"{number}.png"
            Image.fromarray(values.integers(0, 256, (40, 40), dtype=np.uint8)).save(name)
            rows.writerow([name, label])


@pytest.fixture
def train(xmir, tiny_arch: str):
    def run(*arguments: object):
        model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")
        few = ("--per-class", 2, "--epochs", 1, "--classes-per-batch", 2)
        return xmir("train", "labels.csv", *model, *few, "-o", "n.safetensors", *arguments)

    return run


def test_an_empty_folder(xmir, tiny_arch: str):
    Path("empty").mkdir()
    result = xmir("train", "empty", "--arch", tiny_arch, "--weights", "random:0", "-o", "n.st")
    assert (result.code, len(result.stderr.splitlines())) == (5, 1)


@pytest.mark.parametrize(("labels", "same"), [(["a"], False), (["a", "b"], True)])
def test_nothing_to_tell_apart(train, labels: list[str], same: bool):
    pictures(labels, same)
    result = train()
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr.count("xmir: error: ") == 1
    assert not list(Path().glob("n.*"))


def test_classes_of_any_name(train, xmir):
    pictures(EVIL)
    result = train()
    assert result.code == 0
    lines = (result.stdout + result.stderr).splitlines()
    assert all(character.isprintable() for line in lines for character in line)
    asked = xmir("info", "n.safetensors").records()[0]["training"]["asked"]
    assert list(asked["classes"]) == sorted(frozenset.union(*map(parse_labels, EVIL)))
    model = ("-m", "n.safetensors", "--device", "cpu", "--method", "activation")
    drawn = xmir("diff-saliency", "labels.csv", *model, "-o", "diff")
    assert drawn.code == 0
    assert {path.parent for path in Path("diff").rglob("*")} == {Path("diff")}
    for form in ("table", "tsv"):
        shown = xmir("diff-saliency", "labels.csv", *model, "--force", "-o", "d", "--format", form)
        assert "\x1b" not in shown.stdout or form == "tsv"


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", EVIL)
def test_no_name_is_a_formula_or_breaks_out_of_its_cell_or_attribute(xmir, name: str):
    record = json.loads(Path("saliency.jsonl").read_text().splitlines()[0])
    lines = json.dumps({**record, "method": name, "query_label": name, "meta": {"id": name}})
    flags = ("causal-metric", "--curve-steps", 2, "--device", "cpu")
    result = xmir(*flags, "--junit", "cases.xml", "--format", "csv", stdin=lines)
    assert result.code == 0
    row = next(iter(csv.DictReader(io.StringIO(result.stdout))))
    assert row["method"].lstrip("'") == name
    assert not row["method"].startswith(tuple("=+-@\t\r"))
    xmir(*flags, "--junit", "gates.xml", "--min", "insertion=-2", stdin=lines)
    for file in ("cases.xml", "gates.xml"):
        tree = ElementTree.parse(file)  # noqa: S314 # our own
        assert {element.tag for element in tree.iter()} <= {
            "testsuites", "testsuite", "testcase", "failure", "error", "skipped",
        }  # fmt: skip
    assert xmir("montage", "-o", "page.png", stdin=lines).code == 0


def test_a_broken_image_and_one_in_two_classes_are_left_out_and_counted(train):
    pictures(["a", "b", "c"])
    Path("0.png").write_bytes(b"broken")
    shutil.copy("1.png", "2.png")  # of b and c
    result = train()
    assert result.code in {3, 5}
    assert "skipped 0.png: not-an-image" in result.stderr
    assert result.stderr.count("two-classes") >= 2
