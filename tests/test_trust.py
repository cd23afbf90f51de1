"""The script that asks whether maps tell the truth: its numbers, its networks, a tiny run."""

import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

TRUST = Path(__file__).parent.parent / "examples" / "trust"
TINY_NETWORK = Path(__file__).parent / "networks" / "tiny.py"
ENDS = ("", "_low", "_high")
MODULES = ("truth", "summary", "networks", "figure", "depend", "closing", "skin")
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
        {"network": "cnn", "seed": seed, "variant": method, "question": asked, "retrieved": image,
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


def test_the_closing_table_has_gains_places_and_verdicts_beside_one_another(scripts, tmp_path):
    def scored(method, gain, **settings):
        numbers = {"insertion": 0.9, "deletion": 0.5}
        found = {f"{name}{end}": value for name, value in numbers.items() for end in ENDS}
        for name in numbers:
            gains = zip(ENDS, (gain, gain - 0.03, gain + 0.03), strict=True)
            found |= {f"{name}_gain{end}": {"center": value} for end, value in gains}
        return {"method": method, "settings": settings, "n": 11 if settings else 12, **found}

    def placed(method, hit, **settings):
        numbers = {"hit": hit, "energy": 0.25, "auroc": 1.0}
        found = {f"{name}{end}": value for name, value in numbers.items() for end in ENDS}
        return {"method": method, "settings": settings, "energy_chance": 0.05, **found}

    def asked(method, test, value, verdict):
        return {"method": method, "test": test, "spearman": value, "verdict": verdict}

    masks, none = tmp_path / "small_cnn-0", tmp_path / "radiographs"
    files = {
        "causal": [scored("activation", 0.05), scored("activation", -0.01, center="abc")],
        "retrieval": [{"map": 0.987}],
        "sanity-plain": [
            asked("activation", "query", 0.96, "fail"),
            asked("activation", "model", 0.3, None),  # a stage
            asked("activation", "model", -0.25, "pass"),
            asked("rollout", "query", None, "undefined"),
        ],
        "sanity-center": [asked("activation", "query", 0.5, "pass")],
        "sanity-black": [],
    }
    truth = [placed("activation", 0.75), placed("activation", 0.5, center="abc")]
    for folder, more in ((masks, {"truth": truth}), (none, {})):
        (folder / "closing").mkdir(parents=True)
        for name, records in (files | more).items():
            text = "".join(f"{json.dumps(record)}\n" for record in records)
            (folder / "closing" / f"{name}.jsonl").write_text(text)
    lines = scripts["closing"].table(masks).splitlines()
    assert lines[0] == "### small cnn-0"
    assert lines[2] == "12 pairs; mAP .99; chance of hit and energy .05."
    assert lines[6] == (
        "| `activation` | .90 (.90, .90) | .50 (.50, .50) | **+.050** (+.020, +.080) "
        "| **+.050** (+.020, +.080) | .75 (.75, .75) | .25 (.25, .25) | 1.00 (1.00, 1.00) "
        "| **.96** | -.25 |"
    )
    assert lines[7].startswith("| `activation --center`, 11 maps | .90 (.90, .90) |")
    assert "| -.010 (-.040, +.020) | .50 (.50, .50) |" in lines[7]
    assert lines[7].endswith("| .50 | - |")
    bare = scripts["closing"].table(none).splitlines()
    assert bare[2] == "12 pairs; mAP .99."
    assert bare[6].endswith("|  |  |  | **.96** | -.25 |")


def test_skin_is_drawn_the_same_again_with_lesions_darker_than_the_skin_around(scripts, tmp_path):
    skin = scripts["skin"]
    for name in ("a", "b"):
        assert skin.write(tmp_path / name, 30, 48, 0) == 30
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 61
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    for image in sorted((tmp_path / "a" / "images").iterdir()):
        with Image.open(image) as picture, Image.open(tmp_path / "a/masks" / image.name) as mask:
            pixels, inside = np.asarray(picture, float), np.asarray(mask) > 0
        assert pixels.shape == (48, 48, 3)
        assert 0.02 < inside.mean() < 0.25
        seen = ~inside & (pixels.max(axis=2) > 60)  # neither hair nor the dark corners
        assert pixels[inside].mean() < pixels[seen].mean()


@pytest.mark.slow
@pytest.mark.parametrize("table", ["phantoms", "pictures of one's own"])
def test_the_closing_table_is_made_in_one_go_and_a_second_one_does_nothing_anew(
    warm, tmp_path, table
):
    knobs = {"COUNT": "60", "EPOCHS": "1", "PAIRS": "3", "MASKS": "8", "STEPS": "4"}
    words = [tmp_path / "out"]
    if table == "phantoms":
        knobs["NETWORKS"] = "convolutions"
    else:
        knobs |= {"NETWORKS": "", "XRAY_EPOCHS": "1", "XRAY_SIDE": "48", "XRAY_PAIRS": "3",
                  "XRAY_FROZEN": "0", "ARCH": f"{TINY_NETWORK}:network"}  # fmt: skip
        draw = [sys.executable, TRUST / "skin.py", tmp_path / "own", "--count", "90"]
        subprocess.run([*draw, "--size", "48"], check=True, stdout=subprocess.DEVNULL)
        words += [tmp_path / "own", "random:0"]
    call = ["bash", TRUST / "closing.sh", *words]
    kept = {**os.environ, "XMIR_VENV": str(warm), "XMIR_NETWORKS": str(TINY_NETWORK.parent)}
    done = subprocess.run(call, env=kept | knobs, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("### convolutions-0" if table == "phantoms" else "### radiograph")
    rows = [line for line in done.stdout.splitlines() if line.startswith("| `")]
    assert len(rows) >= 10
    assert {line.count("|") for line in rows} == {11}
    for name in ("activation", "activation --center", "occlusion --fill black", "center"):
        assert any(line.startswith(f"| `{name}`") for line in rows), name
    assert (tmp_path / "out" / "closing.md").read_text() == done.stdout
    again = subprocess.run(call, env=kept | knobs, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, "")
