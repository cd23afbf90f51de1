"""sanity-check --test: planted maps that must pass or fail each of the questions."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.metrics.sanity import spearman
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, load_network, resolve_model
from xmir_cli.saliency import load_method
from xmir_cli.saliency.sample import make_samples
from xmir_cli.scoring.inputs import read_input
from xmir_cli.scoring.sanity.noise import disturb
from xmir_cli.store.runs import Run, write_checkpoint

OTHER = """
from torch import nn
from xmir_cli.model.architectures import Architecture
from xmir_cli.records import Preprocessing

def network():
    features = nn.Sequential(nn.Conv2d(3, 16, 4, stride=4), nn.ReLU())
    return Architecture(features, 16, Preprocessing(input_size=24, resize=32))
"""


def spec_of(architecture, seed, head=8):
    choice = ModelChoice(architecture=architecture, weights=f"random:{seed}", head=head)
    return load_embedder(resolve_model(choice), "cpu").spec


def save_network(path, spec):
    write_checkpoint(Path(path), load_network(spec).state_dict(), spec, Run({"epochs": 0}))


@pytest.fixture
def records(tiny_arch, tmp_path):
    """Hits of two labels: each query found the picture of its label, each picture is its own."""
    spec = spec_of(tiny_arch, 7)
    for seed in range(4):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        pixels[10 * seed : 10 * seed + 10] //= 4
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
    return [
        {
            "schema": "xmir.retrieval/1",
            "query": str(tmp_path / f"{query}.png"),
            "retrieved": str(tmp_path / f"{query + 1}.png"),
            "rank": 1,
            "similarity": 0.5,
            "query_label": label,
            "retrieved_label": label,
            "model": spec.to_json(),
        }
        for query, label in ((0, "a"), (2, "b"))
    ]


@pytest.fixture
def check(xmir, records):
    def run(*flags, given=None):
        stdin = "".join(json.dumps(each) + "\n" for each in given or records)
        return xmir("sanity-check", *flags, stdin=stdin)

    return run


def verdicts(result):
    return {row["method"]: row["verdict"] for row in result.records()}


def test_a_map_that_stays_with_another_query_fails(check):
    flags = ("--test", "query", "--method", "center,edges,occlusion", "--window-size", "8")
    result = check(*flags)
    assert verdicts(result) == {"center": "fail", "edges": "fail", "occlusion": "pass"}
    assert (result.code, result.stderr) == (0, "")
    table = check(*flags, "--format", "table")
    assert "the same whatever image asks" in table.stdout
    assert table.stderr == (
        "xmir: note: center, edges: query: fail: its map is the same whatever image asks. It says "
        "nothing about the pair: take off what all images share with --center (activation, "
        "bilrp), or use occlusion.\n"
    )
    first = result.records()[0]
    assert (first["meaning"], first["threshold"]) == ("the same whatever image asks", 0.9)
    assert first["advice"].startswith("It says nothing about the pair")
    assert result.records()[2]["meaning"] is None


def test_the_pair_form_of_attention_stays_where_weights_hardly_differ(check, records, tiny_arch):
    spec = spec_of(tiny_arch, 7, head=None)
    given = [{**each, "model": spec.to_json()} for each in records]
    result = check("--test", "query", "--method", "attention", given=given)
    assert verdicts(result) == {"attention": "fail"}


def test_the_map_is_compared_with_that_of_the_only_other_query(check, records, tiny_arch):
    """Of two labels with three images: 3.png alone may ask in place of 0.png, and 2.png."""
    given = [records[0], {**records[1], "query_label": "a", "retrieved_label": "b"}]
    (row,) = check("--test", "query", "--seeds", "0,1,2", given=given).records()
    assert (row["test"], row["n"], row["seeds"]) == ("query", 3, 3)
    assert row["other_query"] == "another label"
    embedder = load_embedder(spec_of(tiny_arch, 7), "cpu")
    paths = [records[0]["query"], records[0]["retrieved"], records[1]["retrieved"]]
    samples = make_samples(embedder, [read_input(embedder, path).input for path in paths])
    method = load_method("activation", {})
    maps = [
        method(embedder, samples[query], samples[1]).saliency.double().numpy() for query in (0, 2)
    ]
    assert row["spearman"] == pytest.approx(spearman(*maps))


def test_without_labels_any_other_image_may_ask(check, records):
    plain = [{**each, "query_label": None, "retrieved_label": None} for each in records]
    (row,) = check("--test", "query", given=plain).records()
    assert row["other_query"] == "another image"


def test_labels_are_taken_from_wherever_a_record_says_them(check, records, tiny_arch):
    """Of bare images beside their path; and a record without a label takes none away."""
    bare = [
        {"path": records[0]["query"], "label": "a"},
        {"path": records[0]["retrieved"], "label": "a"},
        {"path": records[1]["query"], "label": "b"},
    ]
    save_network("net.safetensors", spec_of(tiny_arch, 7))
    (row,) = check("--test", "query", "--model", "net.safetensors", given=bare).records()
    assert (row["other_query"], row["n"]) == ("another label", 3)
    again = [*records, {**records[0], "retrieved": records[1]["retrieved"], "query_label": None}]
    (row,) = check("--test", "query", given=again).records()
    assert row["other_query"] == "another label"


def test_a_pair_without_another_query_is_skipped(check, records):
    alike = [{**each, "query_label": "a", "retrieved_label": "a"} for each in records]
    result = check("--test", "query", given=alike)
    assert result.code == 5
    assert "the records have no image that could ask in place of a query" in result.stderr
    # of the first label there is another, of the second, which holds both, there is none
    both = [records[0], {**records[1], "query_label": "a|b"}]
    result = check("--test", "query", given=both)
    assert (result.code, result.records()[0]["n"]) == (3, 1)
    assert "skipped line 2: no-contrast: the records have no image of another label" in (
        result.stderr
    )


def test_what_is_drawn_anew_fails_where_the_same_map_is_wanted(check, tiny_arch):
    save_network("other.safetensors", spec_of(tiny_arch, 8))
    methods = "random,center,edges"
    result = check("--test", "repeat", "--against", "other.safetensors", "--method", methods)
    assert verdicts(result) == {"random": "fail", "center": "pass", "edges": "pass"}
    row = result.records()[0]
    assert (row["test"], row["threshold"]) == ("repeat", 0.5)
    assert row["against"]["architecture"] == tiny_arch
    assert row["meaning"] == "another one after another training"


def test_another_architecture_is_reproduce_and_sees_the_picture_in_its_own_way(check):
    Path("other.py").write_text(OTHER)
    save_network("other.safetensors", spec_of("other.py:network", 1))
    flags = ("--test", "repeat", "--against", "other.safetensors")
    result = check(*flags, "--method", "center,edges,activation")
    assert [row["test"] for row in result.records()] == ["reproduce"] * 3
    assert result.records()[1]["spearman"] > 0.5  # of the same edges, seen by 32 and by 24 pixels
    assert verdicts(result)["edges"] == "pass"


def test_the_same_code_elsewhere_is_another_training(check, tiny_arch):
    file, function = tiny_arch.rsplit(":", 1)
    Path("copy").mkdir()
    place = Path("copy", Path(file).name)
    place.write_bytes(Path(file).read_bytes())
    save_network("copy.safetensors", spec_of(f"{place}:{function}", 1))
    (row,) = check("--test", "repeat", "--against", "copy.safetensors").records()
    assert row["test"] == "repeat"


def test_the_network_of_the_maps_is_no_other_one(check, tiny_arch):
    save_network("same.safetensors", spec_of(tiny_arch, 7))
    result = check("--test", "repeat", "--against", "same.safetensors")
    assert (result.code, result.stderr.splitlines()[0]) == (
        2,
        "xmir: error: --against same.safetensors: it is the network that the maps are of",
    )


def test_noise_is_measured_as_worked_out_by_hand(check, records, tiny_arch):
    flags = ("--test", "noise", "--noise", "0.1", "--draws", "3", "--seeds", "4")
    (row,) = check(*flags).records()
    embedder = load_embedder(spec_of(tiny_arch, 7), "cpu")
    method = load_method("activation", {})
    changes = []
    for each in records:
        inputs = [read_input(embedder, each[key]) for key in ("query", "retrieved")]
        query, shown = make_samples(embedder, [image.input for image in inputs])
        before = method(embedder, query, shown).saliency.double()
        found = []
        for draw in range(3):
            noisy = disturb(embedder, inputs[1], 0.1, f"4 {draw}")
            scale = torch.tensor(embedder.recipe.std)[:, None, None]
            moved = (noisy - inputs[1].input) * scale
            assert 0.09 < float(moved.abs().max()) <= 0.1 + 1e-6
            assert abs(float(moved.mean())) < 0.01
            after = method(embedder, query, make_samples(embedder, [noisy])[0]).saliency.double()
            found.append(float((after - before).norm() / before.norm()))
        changes.append(found)
    assert row["change"] == pytest.approx(np.mean(changes), rel=1e-4)
    assert row["change_max"] == pytest.approx(np.mean([max(each) for each in changes]), rel=1e-4)
    assert (row["n"], row["noise"], row["draws"]) == (6, 0.1, 3)


def test_without_noise_nothing_changes_and_a_random_map_moves(check):
    flags = ("--test", "noise", "--method", "activation,center,random")
    still = check(*flags, "--noise", "0")
    moved = [row["change_max"] for row in still.records()]
    assert moved == pytest.approx([0, 0, 0], abs=1e-6)  # a processor may round batches otherwise
    assert set(verdicts(still).values()) == {"pass"}
    assert verdicts(check(*flags)) == {"activation": "pass", "center": "pass", "random": "fail"}


def test_several_tests_make_one_table(check):
    result = check("--test", "query,model,noise", "--mode", "full", "--format", "table")
    assert result.code == 0
    head = result.stdout.splitlines()
    assert "verdict" in "".join(head[:3])
    tests = [
        row["test"] for row in check("--test", "query,model,noise", "--mode", "full").records()
    ]
    assert tests == ["query", "model", "model", "noise"]


def test_a_gate_makes_verdicts_count(check):
    flags = ("--test", "query,noise", "--method", "center,occlusion", "--window-size", "8")
    result = check(*flags, "--gate", "--junit", "tests.xml")
    assert result.code == 4
    assert result.stderr.splitlines()[-1] == (
        "xmir: error: center: query: fail: its map is the same whatever image asks"
    )
    suite = ElementTree.parse("tests.xml").getroot()[0]  # noqa: S314 # our own
    assert dict(suite.items()) == {
        "name": "xmir sanity-check",
        "tests": "4",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
    }
    assert [case.get("name") for case in suite] == ["query: verdict"] * 2 + ["noise: verdict"] * 2
    told = check(*flags, "--junit", "tests.xml", "--force")
    suite = ElementTree.parse("tests.xml").getroot()[0]  # noqa: S314 # our own
    assert (told.code, suite.get("failures")) == (0, "0")
    assert suite[0][0].tag == "system-out"
    assert suite[0][0].text == "fail: its map is the same whatever image asks"
    passing = ("--test", "query", "--method", "occlusion", "--window-size", "8")
    assert check(*passing, "--gate").code == 0


def test_a_run_is_compared_with_an_earlier_one(check):
    """Of query less is better, of a map without an order nothing is worse; others are not met."""
    flags = ("--test", "query", "--method", "center,occlusion,uniform", "--window-size", "8")
    before = check(*flags).records()
    assert [each["verdict"] for each in before] == ["fail", "pass", "undefined"]
    better = [{**each, "spearman": (each["spearman"] or 0) - 0.1} for each in before]
    gone = {**before[0], "method": "rollout"}
    Path("same.jsonl").write_text("".join(json.dumps(each) + "\n" for each in before))
    Path("better.jsonl").write_text("".join(json.dumps(each) + "\n" for each in [*better, gone]))
    assert check(*flags, "--baseline", "same.jsonl").code == 0
    worse = check(*flags, "--baseline", "better.jsonl", "--junit", "tests.xml")
    assert worse.code == 4
    assert "note: 1 of 4 records of better.jsonl not met" in worse.stderr
    assert "worse than before: center: query: spearman 0.9000 -> 1.0000" in worse.stderr
    assert "worse than before: uniform: query: spearman -0.1000 -> nan" in worse.stderr
    assert "3 of 3 tests are worse than in better.jsonl by more than 0.01" in worse.stderr
    suite = ElementTree.parse("tests.xml").getroot()[0]  # noqa: S314 # our own
    cases = [(each.get("classname"), each.get("name")) for each in suite]
    assert cases[3:] == [
        *(("center", "query: baseline"), ("occlusion", "query: baseline")),
        *(("uniform", "query: baseline"), ("rollout", "query: baseline")),
    ]
    assert suite[-1][0].tag == "skipped"
    assert check(*flags, "--baseline", "better.jsonl", "--tolerance", "9").code == 4  # uniform
    less = ("--test", "query", "--method", "center")
    assert check(*less, "--baseline", "better.jsonl", "--tolerance", "0.2").code == 0


def test_a_method_that_is_refused_now_is_worse_than_before(check):
    """Rollout needs a transformer: an earlier run that had one is not met any more."""
    (row,) = check("--test", "query", "--method", "center").records()
    earlier = [row, {**row, "method": "rollout"}]
    Path("old.jsonl").write_text("".join(json.dumps(each) + "\n" for each in earlier))
    flags = ("--test", "query", "--method", "center,rollout", "--baseline", "old.jsonl")
    done = check(*flags, "--junit", "tests.xml")
    assert "worse than before: rollout: query: could not be scored any more" in done.stderr
    assert done.code == 4
    suite = ElementTree.parse("tests.xml").getroot()[0]  # noqa: S314 # our own
    assert (suite.get("failures"), suite.get("errors")) == ("0", "2")
    assert [each.get("name") for each in suite.iter("testcase")][:1] == ["rollout"]


def test_an_undefined_verdict_is_no_pass(check):
    result = check("--test", "query", "--method", "uniform", "--gate")
    assert (result.code, verdicts(result)) == (4, {"uniform": "undefined"})


def test_a_number_of_a_verdict_is_a_gate(check):
    flags = ("--test", "noise", "--method", "random")
    result = check(*flags, "--max", "change=0.01", "--min", "spearman=-1")
    assert result.code == 4
    assert result.stderr.splitlines()[-1].startswith(
        "xmir: error: random: noise: gate --max change=0.01: found "
    )
    assert check(*flags, "--max", "change=9").code == 0


def test_the_threshold_is_one_tests_own(check):
    strict = check("--test", "query", "--threshold", "0")
    assert verdicts(strict) == {"activation": "fail"}
    assert strict.records()[0]["threshold"] == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--test", "repeat"), "--against: goes with --test repeat, and --test repeat with it"),
        (("--against", "x"), "--against: goes with --test repeat, and --test repeat with it"),
        (("--test", "quary"), "--test quary: expected some of model, query, repeat, noise"),
        (
            ("--test", "query,noise", "--threshold", "1"),
            "--threshold: of several tests each has its own",
        ),
        (("--test", "query", "--plot", "a.png"), "--plot: only with --test model"),
        (("--test", "query", "--max", "change=1"), "--max change=1: no such number"),
    ],
)
def test_what_makes_no_sense_is_refused(check, flags, message):
    result = check(*flags)
    assert (result.code, result.stderr.splitlines()[0]) == (2, f"xmir: error: {message}")
