"""Every metric is a gate in the same way: one row a command, the same flags, words, exit codes."""

import json
import shutil
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

FLAGS = ("minimum", "maximum", "baseline", "tolerance", "junit", "summary", "per_query", "force")


@dataclass(frozen=True)
class Row:
    """How a command is asked, a number that it has, and how that becomes better."""

    command: str
    asked: tuple[str, ...]
    number: str
    better: float  # the sign: 1 where more is better
    compared: str = ""  # the number that a baseline goes by, where it is another
    saved: tuple[str, ...] = ()  # the flags with which a baseline is made
    queries: int = 6  # records that tell of one query, at least


ROWS = [
    Row("retrieval-metric", ("e.parquet",), "map", 1),
    Row("causal-metric", ("maps.jsonl", "--curve-steps", "4"), "insertion", 1),
    Row("localization-metric", ("maps.jsonl", "--masks", "masks"), "energy", 1),
    Row(
        "sanity-check",
        ("hits.jsonl", "--test", "query", "--method", "activation", "--threshold", "1"),
        *("spearman", -1),
    ),
    Row(
        "shortcut",
        ("images/labels.csv", "--model", "m.safetensors", "--test", "object", "--draws", "50"),
        *("map", -1, "effect"),
    ),
    Row(
        "compare",
        ("e.parquet", "other.parquet"),
        *("map_difference", 1),
        saved=("--summary",),
    ),
    Row(
        "audit",
        ("e.parquet", "--neighbors", "2"),
        *("suspect_labels", -1),
        saved=("--summary",),
    ),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, tiny_arch):
    """Images of two labels with masks, a network, embeddings of two, hits and maps."""
    from xmir_cli.main import execute
    from xmir_cli.model.choice import ModelChoice
    from xmir_cli.model.loader import load_embedder, load_network, resolve_model
    from xmir_cli.store.runs import Run, write_checkpoint

    folder = tmp_path_factory.mktemp("metrics")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    rows, random = ["path,label,patient"], np.random.default_rng(0)
    for number in range(8):
        picture = random.integers(0, 255, (32, 32), dtype=np.uint8)
        mask = np.zeros((32, 32), np.uint8)
        mask[8:20, 8:20] = 255
        picture[8:20, 8:20] //= 2 + number % 2
        Image.fromarray(picture).save(folder / f"images/{number}.png")
        Image.fromarray(mask).save(folder / f"masks/{number}.png")
        rows.append(f"{number}.png,{'ab'[number % 2]},p{number // 2}")
    (folder / "images/labels.csv").write_text("\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, seed in (("m", 1), ("n", 2)):
            choice = ModelChoice(architecture=tiny_arch, weights=f"random:{seed}")
            spec = load_embedder(resolve_model(choice), "cpu").spec
            write_checkpoint(
                Path(f"{name}.safetensors"), load_network(spec).state_dict(), spec, Run({})
            )
        for line in (
            "embed images/labels.csv --model m.safetensors -o e.parquet",
            "embed images/labels.csv --model n.safetensors -o other.parquet",
            "index e.parquet -o e.xmir",
        ):
            assert execute(line.split()) == 0, line
    return folder


@pytest.fixture
def here(prepared, tmp_path, monkeypatch, xmir):
    """A copy of it, with hits and maps that name its own files."""
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    names = [f"images/{number}.png" for number in range(6)]
    hits = xmir("query", *names, "--top", "2", "--no-self", "-i", "e.xmir")
    labels = {name: "ab"[number % 2] for number, name in enumerate(names)}
    known = [{**each, "query_label": labels[each["query"]]} for each in hits.records()]
    Path("hits.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in known))
    maps = xmir("saliency", "hits.jsonl", "--method", "activation", "--no-overlay")
    Path("maps.jsonl").write_text(maps.stdout)
    return tmp_path / "here"


def value_of(record, name):
    for part in name.split("."):
        record = record[part]
    return record


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_a_metric_is_a_gate_like_all_others(row, here, xmir, tmp_path, monkeypatch):
    asked = (row.command, *row.asked)
    whole = xmir(*asked, "--summary")
    assert whole.code == 0, whole.stderr
    found = value_of(whole.records()[0], row.number)
    each = xmir(*asked, "--per-query")
    assert each.code == 0, each.stderr
    assert len({record["query"] for record in each.records()}) >= row.queries
    both = xmir(*asked, "--summary", "--per-query")
    assert (both.code, both.stderr.splitlines()[0]) == (
        2,
        "xmir: error: --per-query: --summary prints something else; give one of them",
    )
    met = xmir(*asked, "--min", f"{row.number}=-9", "--max", f"{row.number}=9", "--junit", "j.xml")
    assert met.code == 0, met.stderr
    for flag, bound in (("--min", 9), ("--max", -9)):
        unmet = xmir(*asked, flag, f"{row.number}={bound}")
        assert unmet.code == 4
        assert f"gate {flag} {row.number}={bound}: found {found:.6g}"[:40] in unmet.stderr
    suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    assert (suite.get("name"), suite.get("failures")) == (f"xmir {row.command}", "0")
    assert any(f"--min {row.number}=-9" in case.get("name") for case in suite)
    again = xmir(*asked, "--junit", "j.xml")
    assert (again.code, xmir(*asked, "--junit", "j.xml", "--force").code) == (7, 0)

    before = xmir(*asked, *row.saved).records()
    moved = tmp_path / "moved"
    shutil.copytree(here, moved)
    Path("same.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in before))
    name = row.compared or row.number
    for record in before:
        record[name] = record[name] + row.better / 2
    Path("better.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in before))
    for file in ("same.jsonl", "better.jsonl"):
        shutil.copy(file, moved)
    if row.asked[0] in {"hits.jsonl", "maps.jsonl"}:  # as they are written there
        text = Path(moved, row.asked[0]).read_text().replace(f"{here}/", f"{moved}/")
        Path(moved, row.asked[0]).write_text(text)
    shutil.rmtree(here)
    monkeypatch.chdir(moved)
    same = xmir(*asked, "--baseline", "same.jsonl")
    assert same.code == 0, same.stderr
    worse = xmir(*asked, "--baseline", "better.jsonl", "--junit", "k.xml")
    assert worse.code == 4
    assert "xmir: error: worse than before: " in worse.stderr
    assert "worse than in better.jsonl by more than 0.01" in worse.stderr
    suite = ElementTree.parse("k.xml").getroot()[0]  # noqa: S314 # our own
    assert int(suite.get("failures")) >= 1
    assert xmir(*asked, "--baseline", "better.jsonl", "--tolerance", "1").code == 0


@pytest.mark.parametrize("command", [row.command for row in ROWS])
def test_every_metric_has_every_flag(command):
    module = import_module(f"xmir_cli.commands.{command.replace('-', '_')}")
    described = vars(module)["".join(part.title() for part in command.split("-"))]
    assert set(FLAGS) <= {field.name for field in fields(described)}
