"""The script that asks whether maps tell the truth: its numbers, its networks, a tiny run."""

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

TRUST = Path(__file__).parent.parent / "examples" / "trust"
MODULES = ("truth", "summary", "networks", "figure", "depend")
TINY = ["--seeds", "0", "--count", "60", "--per-class", "4", "--epochs", "2", "--pairs", "2"]


@pytest.fixture(scope="module")
def scripts() -> dict[str, ModuleType]:
    """The modules of the folder, under their own names as the script has them."""
    before = dict(sys.modules), list(sys.path)
    sys.path[:0] = [str(TRUST), str(TRUST.parent)]
    found = {name: importlib.import_module(name) for name in MODULES}
    yield found
    sys.path[:] = before[1]
    for name in set(sys.modules) - set(before[0]):
        if name in found:
            del sys.modules[name]


def test_a_map_is_scored_by_peak_energy_and_rank(scripts):
    score = scripts["truth"].score
    mask = np.array([[True, False], [False, False]])
    found = score(np.array([[3, 1], [-5, 0]], dtype=np.float32), mask)
    assert (found.peak, found.energy, found.auroc) == (1, 0.75, 1)
    found = score(np.array([[1, 1], [0, 2]], dtype=np.float32), mask)
    assert (found.peak, found.energy, found.auroc) == (0, 0.25, 0.5)
    found = score(np.full((2, 2), -1, dtype=np.float32), mask)
    assert (found.peak, found.energy, found.auroc) == (0.25, 0, 0.5)


def test_the_rank_number_is_the_one_of_scikit_learn(scripts):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    values = rng.integers(0, 9, (20, 20)).astype(np.float32)  # many ties
    mask = rng.random((20, 20)) < 0.1
    expected = metrics.roc_auc_score(mask.ravel(), values.ravel())
    assert scripts["truth"].score(values, mask).auroc == pytest.approx(expected, abs=1e-12)


def test_every_network_takes_its_pictures_and_gives_a_vector(scripts):
    networks = scripts["networks"]
    images = torch.linspace(-1, 1, 2 * 3 * 80 * 80).sin().reshape(2, 3, 80, 80)
    for name, side, prefixes in (
        ("class_token", 10, 1),
        ("registers", 10, 5),
        ("mean_of_tokens", 10, 0),
        ("attention_pooling", 10, 0),
        ("convolutions", 5, 0),
    ):
        made = getattr(networks, name)()
        maps = made.features.eval()(images)
        width = 128 if name == "convolutions" else networks.WIDTH * (1 + prefixes)
        assert maps.shape == (2, width, side, side), name
        if made.head is not None:
            assert made.head(maps).shape == (2, made.channels), name


def rows(method: str, auroc: float, **more: object) -> list[dict[str, object]]:
    """Two pairs of two seeds, each asked in three ways."""
    gains = {"random": 0.1, "center": -0.1}
    return [
        {"network": "cnn", "seed": seed, "variant": method, "asked": asked, "retrieved": image,
         "area": 0.05, "peak": 1.0, "energy": 0.5, "auroc": auroc - 0.1 * place - 0.02 * seed,
         "like_right": 1 - place / 4, "insertion_gain": gains, "deletion_gain": gains, **more}
        for seed in (0, 1)
        for image in "ab"
        for place, asked in enumerate(("right", "wrong query", "reset weights"))
    ]  # fmt: skip


def test_a_method_is_summed_up_over_seeds_and_against_center(scripts):
    summary = scripts["summary"]
    refused = {"network": "cnn", "seed": 0, "variant": "bilrp", "refused": "no such form"}
    found = [
        summary.cell(group)
        for group in summary.groups([*rows("activation", 0.9), *rows("center", 0.7), refused])
    ]
    first, center, last = found
    assert (first["n"], first["seeds"]) == (4, 2)
    assert first["auroc"] == pytest.approx(0.89)
    assert (first["auroc_low"], first["auroc_high"]) == pytest.approx((0.88, 0.9))
    assert first["auroc wrong query"] == pytest.approx(0.79)
    assert first["auroc reset weights"] == pytest.approx(0.69)
    assert first["over_center"]["mean"] == pytest.approx(0.2)
    assert center["over_center"] == {"mean": 0, "low": 0, "high": 0}
    assert last["refused"] == "no such form"
    text = summary.markdown(found, {"cnn": [0.9, 0.95]})
    assert "4 maps a method, 2 seeds; mAP 0.90, 0.95; chance of peak and energy 0.050." in text
    assert "| activation | 1.00 | 0.50 | 0.89 (0.88 to 0.90) | +0.20 (+0.20 to +0.20) |" in text
    assert "| bilrp | refused: no such form |" in text
    draw = scripts["figure"].draw
    assert draw(found).height > draw(found[:1]).height


def test_without_masks_there_is_agreement_and_no_truth(scripts):
    summary = scripts["summary"]
    left = [
        {name: value for name, value in row.items() if name not in ("area", "peak", "auroc")}
        for row in rows("activation", 0.9)
    ]
    (found,) = map(summary.cell, summary.groups(left))
    assert (found["like wrong query"], found["like reset weights"]) == (0.75, 0.5)
    text = summary.markdown([found], {"cnn": [0.9]})
    assert "| activation | 0.75 | 0.50 | +0.100 (+0.100 to +0.100) | -0.100" in text
    assert "peak" not in text


@pytest.mark.slow
def test_a_tiny_run_scores_every_question_and_a_second_one_does_nothing_anew(tmp_path):
    asked = [*TINY, "--networks", "convolutions", "--methods", "activation", "center"]
    call = [sys.executable, TRUST / "run.py", tmp_path / "out", *asked]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = [json.loads(line) for line in (tmp_path / "out/table.jsonl").read_text().splitlines()]
    assert [row["method"] for row in table] == ["activation", "center"]
    for row in table:
        assert row["n"] == 2
        numbers = [row[f"auroc{each}"] for each in ("", " wrong query", " reset weights")]
        assert all(0 <= number <= 1 and math.isfinite(number) for number in numbers)
    assert table[1]["auroc"] == table[1]["auroc wrong query"]
    assert (tmp_path / "out" / "table.md").read_text() in done.stdout
    with Image.open(tmp_path / "out" / "figure.png") as picture:
        assert min(picture.size) > 100
    again = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, "")


def test_pairs_to_depend_on_are_of_one_label_each_image_once_labels_in_turn(scripts):
    def hit(query, retrieved, label, match=True):
        return {"query": query, "retrieved": retrieved, "query_label": label, "match": match}

    hits = [
        hit("a", "a", "x"),
        hit("a", "b", "x"),
        hit("c", "b", "x"),
        hit("d", "e", "x"),
        hit("f", "g", "y", match=False),
        hit("h", "i", "y"),
    ]
    chosen = scripts["depend"].choose(hits, 9)
    assert [(each["query"], each["retrieved"]) for each in chosen] == [
        ("a", "b"),
        ("h", "i"),
        ("d", "e"),
    ]
    assert scripts["depend"].choose(hits, 2) == chosen[:2]


def test_fails_and_gains_that_are_sure_are_bold(scripts):
    controls = scripts["depend"].CONTROLS
    gains = {
        f"{measure}_gain{end}": dict.fromkeys(controls, value)
        for measure, sign in (("insertion", 1), ("deletion", -1))
        for end, value in (("", sign * 0.5), ("_low", sign * 0.25))
    }
    rows = [
        {
            "method": "a",
            "query": {"value": 0.25, "verdict": "pass"},
            "noise": {"value": None, "verdict": "undefined"},
            "repeat": {"value": -0.5, "verdict": "fail"},
            "gray": gains,
        },
        {"method": "b", "refused": "no map"},
    ]
    table = scripts["depend"].markdown(rows, 3).splitlines()
    assert table[2].startswith("| method | query | repeat | noise | insertion over shuffled |")
    assert table[4].startswith("| `a` | 0.25 | **-0.50** | - | **+0.500** |")
    assert table[4].endswith("| -0.500 |")
    assert table[5].startswith("| `b` | refused | ")
    assert len({line.count("|") for line in table[2:]}) == 1
