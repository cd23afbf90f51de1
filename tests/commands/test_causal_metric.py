import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.images.decode import decode
from xmir_cli.metrics.protocol import Protocol, score_maps
from xmir_cli.model.loader import load_embedder, make_spec
from xmir_cli.store.checkpoint import write_tensors

SIDE = 32  # of the tiny network's input


@pytest.fixture
def embedder(tiny_arch):
    return load_embedder(make_spec(None, tiny_arch, "random:0", None, None, None, None), "cpu")


@pytest.fixture
def pair(tmp_path):
    """Two images that differ from each other, as paths."""
    paths = []
    for seed in (0, 1):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        path = tmp_path / f"{seed}.png"
        Image.fromarray(pixels).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture
def make_record(embedder, pair, tmp_path):
    """A record as 'xmir saliency' writes it, around a map of our own."""

    def make(saliency=None, method="hand", **changes):
        if saliency is None:
            saliency = np.random.default_rng(7).random((SIDE, SIDE))
        path = tmp_path / f"{method}-{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, np.asarray(saliency, dtype=np.float32))
        record = {
            "schema": "xmir.saliency/1",
            "query": pair[0],
            "retrieved": pair[1],
            "rank": 1,
            "method": method,
            "settings": {},
            "explains": "retrieved",
            "saliency": str(path),
            "model": embedder.spec.to_json(),
            "note": "kept",
        }
        return json.loads(json.dumps({**record, **changes}))

    return make


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def input_of(embedder, path):
    return embedder.to_input(embedder.view(decode(path)))


def test_every_record_gets_its_areas_and_curves(xmir, make_record, embedder, pair):
    record = make_record()
    result = xmir("causal-metric", stdin=lines(record))
    assert (result.code, result.stderr) == (0, "")
    (found,) = result.records()
    added = {"schema": "xmir.causal/1", "steps": SIDE, "tied_fraction": 0}
    assert {**found, **record, **added} == found
    target, image = (embedder.embed(input_of(embedder, path)[None])[0] for path in pair)
    assert found["deletion_curve"][0] == pytest.approx(float(target @ image), abs=1e-5)
    assert found["insertion_curve"][-1] == found["deletion_curve"][0]
    for name in ("insertion", "deletion"):
        curve = found[f"{name}_curve"]
        assert len(curve) == SIDE + 1
        assert len(set(curve)) > 10
        assert found[name] == pytest.approx(np.trapezoid(curve, dx=1 / SIDE), abs=1e-6)


def test_the_parameters_of_the_paper_are_in_the_record(xmir, make_record, embedder):
    (found,) = xmir("causal-metric", stdin=lines(make_record())).records()
    assert found["causal"] == {
        "preset": "paper",
        "blur_kernel": 51,
        "blur_sigma": pytest.approx(50**0.5),
        "blur_padding": "zero",
        "substrate": "gray",
        "fill": [123.7, 116.3, 103.5],
        "step": SIDE,
        "order": "morf",
        "ties": "row",
        "seed": 0,
        "weights_sha256": embedder.spec.weights_sha256,
    }


def test_the_record_has_the_numbers_of_the_core_functions(xmir, make_record, embedder, pair):
    saliency = np.random.default_rng(3).random((SIDE, SIDE), dtype=np.float32)
    (found,) = xmir(
        "causal-metric", "--preset", "rise", stdin=lines(make_record(saliency))
    ).records()
    target = embedder.embed(input_of(embedder, pair[0])[None])[0]
    image = input_of(embedder, pair[1])
    (causal,) = score_maps(embedder, target, image, [torch.from_numpy(saliency)], Protocol("rise"))
    assert found["insertion"] == pytest.approx(causal.insertion.auc, abs=1e-6)
    assert found["deletion"] == pytest.approx(causal.deletion.auc, abs=1e-6)
    assert found["causal"]["blur_kernel"] == 11


def test_a_map_of_the_query_is_scored_on_the_query(xmir, make_record, pair):
    there = make_record()
    back = {**there, "query": pair[1], "retrieved": pair[0], "explains": "query"}
    first, second = xmir("causal-metric", stdin=lines(there, back)).records()
    assert first["insertion_curve"] == second["insertion_curve"]


def test_maps_of_one_pair_come_out_in_order_as_if_alone(xmir, make_record, pair):
    rng = np.random.default_rng(0)
    records = [make_record(rng.random((SIDE, SIDE)), f"m{index}") for index in range(3)]
    other = make_record(method="other", query=pair[1])
    together = xmir("causal-metric", "--batch", "3", stdin=lines(*records, other)).records()
    assert [record["method"] for record in together] == ["m0", "m1", "m2", "other"]
    (alone,) = xmir("causal-metric", stdin=lines(records[2])).records()
    assert together[2]["deletion_curve"] == pytest.approx(alone["deletion_curve"], abs=1e-5)


def test_steps_make_the_curve_shorter(xmir, make_record):
    (found,) = xmir("causal-metric", "--steps", "7", stdin=lines(make_record())).records()
    assert (found["steps"], len(found["deletion_curve"]), found["causal"]["step"]) == (7, 8, 147)


def test_records_are_read_from_a_file_too(xmir, make_record):
    Path("maps.jsonl").write_text(lines(make_record()))
    assert xmir("causal-metric", "maps.jsonl").code == 0


def test_curves_are_written_as_array_and_picture(xmir, make_record):
    (found,) = xmir("causal-metric", "--curves", "curves", stdin=lines(make_record())).records()
    fractions, insertion, deletion = np.load(found["curves"])
    assert fractions.tolist() == pytest.approx(np.linspace(0, 1, SIDE + 1))
    assert insertion.tolist() == pytest.approx(found["insertion_curve"], abs=1e-6)
    assert deletion.tolist() == pytest.approx(found["deletion_curve"], abs=1e-6)
    with Image.open(found["curves_plot"]) as plot:
        assert plot.size[0] > 300


def test_a_flat_map_is_scored_with_a_warning_that_counts(xmir, make_record):
    flat = make_record(np.zeros((SIDE, SIDE)))
    result = xmir("causal-metric", stdin=lines(flat, make_record(), flat))
    assert [record["tied_fraction"] for record in result.records()] == [1, 0, 1]
    assert result.stderr == (
        "xmir: warning: 2 of 3 maps have more than 1 % tied pixels; "
        "the order of ties, not the map, decides part of their numbers\n"
    )


def test_the_summary_has_mean_deviation_and_count_by_method(xmir, make_record, pair):
    rng = np.random.default_rng(0)
    some = [
        make_record(rng.random((SIDE, SIDE)), method, query=query)
        for query in pair
        for method in ("a", "b")
    ]
    single = xmir("causal-metric", stdin=lines(*some)).records()
    a, b = xmir("causal-metric", "--summary", stdin=lines(*some)).records()
    for row, records in ((a, single[::2]), (b, single[1::2])):
        values = [record["insertion"] for record in records]
        assert (row["schema"], row["n"], row["queries"]) == ("xmir.causal-summary/1", 2, 2)
        assert row["insertion"] == pytest.approx(np.mean(values), abs=1e-6)
        assert row["insertion_sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-6)
        assert row["insertion_low"] <= row["insertion"] <= row["insertion_high"]
    assert (a["method"], b["method"]) == ("a", "b")


def test_one_method_with_two_settings_makes_two_rows(xmir, make_record):
    records = [make_record(settings={"window": window}) for window in (8, 16)]
    rows = xmir("causal-metric", "--summary", stdin=lines(*records)).records()
    assert [row["settings"] for row in rows] == [{"window": 8}, {"window": 16}]
    assert [row["insertion_sd"] for row in rows] == [None, None]


def test_a_gate_fails_the_run_after_the_output(xmir, make_record):
    stdin = lines(make_record(method="a"), make_record(method="b"))
    result = xmir("causal-metric", "--summary", "--min", "insertion=2", stdin=stdin)
    assert (result.code, len(result.records())) == (4, 2)
    (a, _) = result.records()
    assert result.stderr.splitlines()[0] == (
        f"xmir: error: a: gate --min insertion=2: found {a['insertion']:.6g}"
    )
    assert len(result.stderr.splitlines()) == 2


def test_gates_that_are_met_are_quiet(xmir, make_record):
    gates = ("--min", "insertion=0", "--max", "deletion=1")
    result = xmir("causal-metric", *gates, stdin=lines(make_record()))
    assert (result.code, result.stderr) == (0, "")


def test_a_gate_on_an_unknown_number_is_refused_before_any_work(xmir):
    result = xmir("causal-metric", "--min", "accuracy=1", stdin="")
    assert (result.code, result.stderr) == (
        2,
        "xmir: error: --min accuracy=1: no such number; there are insertion and deletion\n",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"saliency": None}, "bad-input: line 2: saliency: expected a string, found nothing"),
        ({"query": 5}, "bad-input: line 2: query: expected a string, found int"),
        (
            {"model": {}},
            "bad-input: line 2: model: not the description of a model ('preprocessing')",
        ),
        ({"similarity": 0.123}, "changed: the similarity is "),
        ({"saliency": "no.npy"}, "bad-input: no.npy"),
        ({"retrieved": "gone.png"}, "missing: no such file (gone.png)"),
        ({"query": "gone.png"}, "missing: no such file (gone.png)"),
    ],
)
def test_a_record_that_cannot_be_scored_is_skipped_by_its_line(xmir, make_record, change, reason):
    good = make_record()
    result = xmir("causal-metric", stdin=lines(good, {**good, **change}, good))
    assert (result.code, len(result.records())) == (3, 2)
    skipped, total = result.stderr.splitlines()
    assert skipped.startswith(f"xmir: warning: skipped line 2: {reason}")
    code = reason.split(":")[0]
    assert total == f"xmir: note: 2 scored, 1 skipped (1 {code})"


def test_the_recorded_similarity_is_checked(xmir, make_record, embedder, pair):
    target, image = (embedder.embed(input_of(embedder, path)[None])[0] for path in pair)
    record = make_record(similarity=float(target @ image))
    assert xmir("causal-metric", stdin=lines(record)).code == 0


@pytest.mark.parametrize(
    "saliency",
    [np.zeros((SIDE, SIDE + 1)), np.zeros((3, SIDE, SIDE)), np.full((SIDE, SIDE), np.nan)],
)
def test_a_map_that_does_not_fit_is_never_scored(xmir, make_record, saliency):
    result = xmir("causal-metric", stdin=lines(make_record(saliency)))
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr.endswith("xmir: error: none of 1 records could be scored\n")


def test_retrievals_without_maps_say_what_is_missing(xmir, make_record):
    record = make_record()
    del record["saliency"]
    result = xmir("causal-metric", stdin=lines(record))
    assert result.code == 5
    assert "no-map: the record names no saliency map; 'xmir saliency' makes them" in result.stderr


def test_no_records_are_an_error(xmir):
    result = xmir("causal-metric", stdin="")
    assert (result.code, result.stderr) == (5, "xmir: error: no records on standard input\n")


def test_another_checkpoint_may_score_the_maps_and_says_so(xmir, make_record, tiny_arch):
    other = load_embedder(make_spec(None, tiny_arch, "random:1", None, None, None, None), "cpu")
    metadata = {"xmir.model": json.dumps(other.spec.to_json())}
    write_tensors(Path("other.safetensors"), other.network.state_dict(), metadata)
    record = make_record(similarity=0.0)  # is not checked: the networks differ
    result = xmir("causal-metric", "--model", "other.safetensors", stdin=lines(record))
    assert result.stderr == (
        "xmir: warning: the maps were made with another network than --model, which scores them\n"
    )
    (found,) = result.records()
    assert found["causal"]["weights_sha256"] == other.spec.weights_sha256
