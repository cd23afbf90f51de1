import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.metrics.protocol import Protocol, score_maps
from xmir_cli.metrics.summary import estimate
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.pictures.reading import read_image
from xmir_cli.store.checkpoint import write_tensors

SIDE = 32  # of the tiny network's input


@pytest.fixture
def embedder(tiny_arch):
    return load_embedder(
        resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0")), "cpu"
    )


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
    return read_image(path, embedder.recipe).input


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
        curve = np.array(found[f"{name}_curve"])
        assert len(curve) == SIDE + 1
        assert len(set(curve.tolist())) > 10
        assert found[name] == pytest.approx((curve[1:] + curve[:-1]).sum() / 2 / SIDE, abs=1e-6)


def test_the_parameters_of_the_paper_are_in_the_record(xmir, make_record, embedder):
    (found,) = xmir("causal-metric", stdin=lines(make_record())).records()
    assert found["causal"] == {
        "blur": "paper",
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
    (found,) = xmir("causal-metric", "--blur", "rise", stdin=lines(make_record(saliency))).records()
    target = embedder.embed(input_of(embedder, pair[0])[None])[0]
    protocol = Protocol("rise")
    ends = protocol.ends(input_of(embedder, pair[1]))
    embeddings = embedder.embed(torch.stack([ends.intact, ends.blurred, ends.substrate]))
    maps = [torch.from_numpy(saliency)]
    (causal,) = score_maps(embedder, target, (ends, embeddings), maps, protocol)
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
    (found,) = xmir("causal-metric", "--curve-steps", "7", stdin=lines(make_record())).records()
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


def test_curves_have_the_same_names_wherever_images_and_maps_lie(xmir, make_record):
    record = make_record()
    Path("moved").mkdir()
    moved = dict(record)
    for key in ("query", "retrieved", "saliency"):
        path = Path("moved") / Path(record[key]).name
        path.write_bytes(Path(record[key]).read_bytes())
        moved[key] = str(path)
    for folder, each in (("a", record), ("b", moved)):
        assert xmir("causal-metric", "--curves", folder, stdin=lines(each)).code == 0
    names = [sorted(path.name for path in Path(folder).iterdir()) for folder in ("a", "b")]
    assert names[0] == names[1]
    for name in names[0]:
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()


def test_a_flat_map_is_scored_with_a_warning_that_counts(xmir, make_record):
    flat = make_record(np.zeros((SIDE, SIDE)))
    result = xmir("causal-metric", stdin=lines(flat, make_record(), flat))
    assert [record["tied_fraction"] for record in result.records()] == [1, 0, 1]
    assert result.stderr == (
        "xmir: warning: 2 of 3 maps have ties whose order may move a number by more than 0.02; "
        "that part of it is not the map's\n"
    )


def test_many_small_ties_are_no_cause_for_a_warning(xmir, make_record):
    """Windows of a stride tie all pixels of a cell, and hardly anything hangs on their order."""
    cells = np.random.default_rng(1).random((SIDE // 2, SIDE // 2)).repeat(2, 0).repeat(2, 1)
    stdin = lines(make_record(cells))
    result = xmir("causal-metric", stdin=stdin)
    (found,) = result.records()
    assert (found["tied_fraction"], result.stderr) == (1, "")
    for seed in range(3):
        mixed = ("--ties", "random", "--seed", seed)
        (other,) = xmir("causal-metric", *mixed, stdin=stdin).records()
        assert abs(other["insertion"] - found["insertion"]) < 0.02
        assert abs(other["deletion"] - found["deletion"]) < 0.02


@pytest.mark.parametrize("order", ["morf", "lerf"])
def test_what_a_view_has_beside_the_picture_is_no_tie(xmir, tiny_arch, tmp_path, order):
    """Two thirds of these maps are zeros that say nothing; they used to be warned of."""
    yy, xx = np.mgrid[0:16, 0:48]
    for number in range(2):
        pixels = (120 + 60 * np.sin(xx / (5 + number)) + 40 * np.cos(yy / 4)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    named = ("--query", "0.png", "--arch", tiny_arch, "--weights", "random:0", "--view", "pad")
    made = xmir("saliency", "--image", "1.png", *named, "--method", "activation,random")
    scored = [
        xmir("causal-metric", "--order", order, *ties, stdin=made.stdout)
        for ties in ((), ("--ties", "random", "--seed", "1"))
    ]
    assert [each.stderr for each in scored] == ["", ""]
    for one, other in zip(*(each.records() for each in scored), strict=True):
        assert one["tied_fraction"] < 0.1
        assert one["insertion"] == pytest.approx(other["insertion"], abs=1e-4)
        assert one["deletion"] == pytest.approx(other["deletion"], abs=1e-4)


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


def test_numbers_of_an_earlier_scoring_are_left_behind(xmir, make_record):
    record = {**make_record(), "query_label": "ill"}
    first = xmir("causal-metric", "--control", "random", "--curves", "c", stdin=lines(record))
    (again,) = xmir("causal-metric", "--order", "lerf", stdin=first.stdout).records()
    (alone,) = xmir("causal-metric", "--order", "lerf", stdin=lines(record)).records()
    assert again.keys() == alone.keys()
    assert "insertion_gain" not in again
    assert "curves" not in again
    assert again["deletion_curve"] == pytest.approx(alone["deletion_curve"], abs=1e-6)
    curves = ("--control", "center", "--curves", "c")
    (once,) = xmir("causal-metric", *curves, stdin=lines(record)).records()
    (twice,) = xmir("causal-metric", *curves, stdin=lines(once)).records()
    assert twice == once


def test_a_summary_of_scored_records_scores_nothing(xmir, make_record, pair, monkeypatch):
    some = [make_record(query=query) for query in pair]
    asked = ("causal-metric", "--order", "lerf", "--control", "random")
    (expected,) = xmir(*asked, "--summary", stdin=lines(*some)).records()
    scored = xmir(*asked, stdin=lines(*some)).stdout
    for path in (*pair, *(record["saliency"] for record in some)):
        Path(path).unlink()
    monkeypatch.setattr("xmir_cli.stories.causal_metric.load_embedder", None)
    result = xmir("causal-metric", "--summary", stdin=scored)
    assert (result.code, result.stderr) == (0, "")
    assert result.records() == [expected]
    assert xmir(*asked, "--summary", stdin=scored).records() == [expected]


@pytest.mark.parametrize("key", ["insertion", "insertion_gain"])
def test_a_scored_record_with_a_number_that_no_area_has_is_left_out(xmir, make_record, key: str):
    (good,) = xmir("causal-metric", "--control", "random", stdin=lines(make_record())).records()
    bad = {**good, key: {"random": 1e300} if key.endswith("gain") else 1e300}
    result = xmir("causal-metric", "--summary", stdin=lines(good, bad, good))
    assert result.code == 3
    assert "skipped line 2: bad-record: expected areas up to 1e+06" in result.stderr
    assert result.records()[0]["n"] == 2


@pytest.mark.parametrize(
    "asked",
    [("--order", "lerf"), ("--curve-steps", "5"), ("--control", "center"), ("--blur", "rise")],
)
def test_a_summary_scores_what_was_not_scored_as_asked(xmir, make_record, asked):
    record = make_record()
    scored = xmir("causal-metric", "--control", "random", stdin=lines(record)).stdout
    (found,) = xmir("causal-metric", *asked, "--summary", stdin=scored).records()
    (expected,) = xmir("causal-metric", *asked, "--summary", stdin=lines(record)).records()
    assert found == expected


def test_numbers_scored_in_two_ways_are_not_averaged(xmir, make_record):
    stdin = lines(make_record())
    both = "".join(
        xmir("causal-metric", "--order", order, stdin=stdin).stdout for order in ("morf", "lerf")
    )
    rows = xmir("causal-metric", "--summary", stdin=both).records()
    assert [(row["n"], row["causal"]["order"]) for row in rows] == [(1, "morf"), (1, "lerf")]


def test_scored_records_whose_gains_are_none_are_skipped(xmir, make_record):
    (scored,) = xmir("causal-metric", stdin=lines(make_record())).records()
    broken = {**scored, "insertion_gain": {"random": "much"}}
    result = xmir("causal-metric", "--summary", stdin=lines(scored, broken))
    assert (result.code, result.records()[0]["n"]) == (3, 1)
    assert "skipped line 2: bad-record: insertion_gain: expected numbers" in result.stderr


def test_a_gate_of_what_one_image_of_nobody_does_not_tell_is_an_error(xmir, make_record):
    spread = "it takes two images, of two patients where these are known"
    gates = ("--min", "patients=0", "--max", "insertion_sd=9", "--junit", "j.xml")
    result = xmir("causal-metric", *gates, stdin=lines(make_record()))
    assert (result.code, len(result.records())) == (4, 1)
    assert result.stderr.splitlines() == [
        "xmir: error: hand: gate --min patients=0: patients is null, for no patient is known",
        f"xmir: error: hand: gate --max insertion_sd=9: insertion_sd is null, for {spread}",
    ]
    suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    assert [suite.get(each) for each in ("tests", "failures", "errors")] == ["3", "0", "2"]


def test_a_summary_leaves_out_what_only_some_records_were_scored_beside(xmir, make_record):
    records = [make_record(meta={"number": number}) for number in range(2)]
    swapped = {"query": records[1]["retrieved"], "retrieved": records[1]["query"]}
    scored = xmir("causal-metric", "--control", "center", stdin=lines(records[0])).stdout
    result = xmir("causal-metric", "--summary", stdin=scored + lines({**records[1], **swapped}))
    (row,) = result.records()
    assert (row["n"], row["queries"], "insertion_gain" in row) == (2, 2, False)
    assert result.stderr == (
        "xmir: note: hand: not all records have the controls center: left out of its means\n"
    )


def test_the_patients_of_the_queries_are_the_unit_of_a_summary(xmir, make_record):
    (scored,) = xmir("causal-metric", stdin=lines(make_record())).records()
    records = [
        {**scored, "query_identity": f"{number}", "insertion": number / 10, "query_patient": whose}
        for number, whose in enumerate(["a", "a", "a", "b", "b", "c"])
    ]
    (row,) = xmir("causal-metric", "--summary", stdin=lines(*records)).records()
    assert (row["queries"], row["patients"]) == (6, 3)
    values = [record["insertion"] for record in records]
    expected = estimate(values, ["a", "a", "a", "b", "b", "c"])
    assert (row["insertion_low"], row["insertion_high"]) == (expected.low, expected.high)
    nobody = [{**record, "query_patient": None} for record in records]
    (row,) = xmir("causal-metric", "--summary", stdin=lines(*nobody)).records()
    assert "patients" not in row
    itself = [
        {**r, "retrieved_identity": r["query_identity"], "meta": {"patient": "x"}} for r in nobody
    ]
    (row,) = xmir("causal-metric", "--summary", stdin=lines(*itself)).records()
    assert (row["patients"], row["insertion_low"]) == (1, None)


def test_one_method_with_two_settings_makes_two_rows(xmir, make_record):
    records = [make_record(settings={"window": window}) for window in (8, 16)]
    rows = xmir("causal-metric", "--summary", stdin=lines(*records)).records()
    assert [row["settings"] for row in rows] == [{"window": 8}, {"window": 16}]
    assert [row["insertion_sd"] for row in rows] == [None, None]


def test_what_has_one_name_in_a_summary_is_told_apart_by_its_settings(xmir, make_record):
    records = [
        make_record(method="occlusion", settings={"window_size": 8, "fill": fill})
        for fill in ("gray", "black")
    ]
    asked = ("causal-metric", "--summary", "--min", "insertion=2")
    result = xmir(*asked, stdin=lines(*records, make_record(method="b", settings={"fill": "gray"})))
    rows = result.records()
    assert [row.get("variant") for row in rows] == ["fill gray", "fill black", None]
    assert [row["method"] for row in rows] == ["occlusion", "occlusion", "b"]
    told = [line.split(": gate")[0] for line in result.stderr.splitlines()]
    assert told[-3:] == [
        f"xmir: error: {name}" for name in ("occlusion, fill gray", "occlusion, fill black", "b")
    ]
    table = xmir(*asked[:2], "--format", "tsv", stdin=lines(*records)).stdout.splitlines()
    assert [row.split("\t")[0] for row in table[1:]] == [
        "occlusion, fill gray",
        "occlusion, fill black",
    ]


def test_settings_under_their_old_names_are_the_same_in_a_summary(xmir, make_record):
    names = ({"window": 8, "clip": "mask"}, {"window_size": 8, "clip_windows": True})
    records = [make_record(method="occlusion", settings=settings) for settings in names]
    (row,) = xmir("causal-metric", "--summary", stdin=lines(*records)).records()
    assert (row["n"], row["settings"]) == (2, {"window_size": 8, "clip_windows": True})


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
    assert (result.code, result.stderr.splitlines()) == (
        2,
        [
            "xmir: error: --min accuracy=1: no such number",
            "xmir: hint: There are insertion, deletion, n, queries, patients.",
        ],
    )


def test_a_gate_on_a_number_of_a_control_names_the_control(xmir):
    result = xmir("causal-metric", "--min", "insertion_gain.random=1", stdin="")
    assert result.code == 2
    assert result.stderr.endswith("hint: Score it with --control random.\n")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"saliency": None}, "no-map: the record names no saliency map"),
        ({"query": 5}, "bad-record: query: expected a string, found 5"),
        (
            {"model": {}},
            "bad-record: model: not the description of a model ('preprocessing')",
        ),
        ({"similarity": 0.123}, "changed: similarity: expected 0.1230 as recorded, found "),
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
    other = load_embedder(
        resolve_model(ModelChoice(architecture=tiny_arch, weights="random:1")), "cpu"
    )
    metadata = {"xmir.model": json.dumps(other.spec.to_json())}
    write_tensors(Path("other.safetensors"), other.network.state_dict(), metadata)
    record = make_record(similarity=0.0)  # is not checked: the networks differ
    result = xmir("causal-metric", "--model", "other.safetensors", stdin=lines(record))
    assert result.stderr == (
        "xmir: warning: the maps were made with another network than the one that scores them\n"
    )
    (found,) = result.records()
    assert found["causal"]["weights_sha256"] == other.spec.weights_sha256


def test_controls_are_scored_beside_every_map(xmir, make_record):
    record = make_record()
    result = xmir("causal-metric", "--control", "random,center,edges,uniform", stdin=lines(record))
    (found,) = result.records()
    names = ["random", "center", "edges", "uniform"]
    for measure, sign in (("insertion", 1), ("deletion", -1)):
        controls, gains = found[f"{measure}_control"], found[f"{measure}_gain"]
        assert list(controls) == list(gains) == names
        for name in names:
            assert gains[name] == pytest.approx(sign * (found[measure] - controls[name]), abs=1e-6)


def test_a_control_has_the_numbers_of_its_map_as_a_method(xmir, make_record):
    flat = make_record(np.ones((SIDE, SIDE)))
    (found,) = xmir("causal-metric", "--control", "uniform", stdin=lines(flat)).records()
    assert found["insertion_gain"] == {"uniform": 0}
    assert found["deletion_gain"] == {"uniform": 0}


def test_the_curves_of_controls_stand_beside_the_maps_own(xmir, make_record):
    flat = make_record(np.ones((SIDE, SIDE)))
    (found,) = xmir("causal-metric", "--control", "uniform,center", stdin=lines(flat)).records()
    for measure in ("insertion", "deletion"):
        curves = found[f"{measure}_control_curve"]
        assert curves["uniform"] == found[f"{measure}_curve"]
        center = np.array(curves["center"])
        area = (center[1:] + center[:-1]).sum() / 2 / found["steps"]
        assert found[f"{measure}_control"]["center"] == pytest.approx(area, abs=1e-6)


def test_gains_turn_round_when_the_least_relevant_pixels_go_first(xmir, make_record):
    stdin = lines(make_record())
    (found,) = xmir(
        "causal-metric", "--order", "lerf", "--control", "center", stdin=stdin
    ).records()
    gain = found["insertion_control"]["center"] - found["insertion"]
    assert found["insertion_gain"]["center"] == pytest.approx(gain, abs=1e-6)


def test_the_random_model_control_is_the_method_on_random_weights(xmir, pair, tiny_arch):
    """A network whose weights are those of seed 3 is its own control under seed 3."""
    flags = ("--arch", tiny_arch, "--weights", "random:3", "--method", "activation")
    made = xmir("saliency", "--query", pair[0], "--image", pair[1], *flags)
    scored = [
        xmir("causal-metric", "--control", "random-model", "--seed", seed, stdin=made.stdout)
        for seed in (3, 4)
    ]
    (same,), (other,) = (result.records() for result in scored)
    assert same["insertion_gain"] == {"random-model": pytest.approx(0, abs=1e-6)}
    assert abs(other["insertion_gain"]["random-model"]) > 1e-6


def test_a_record_of_earlier_versions_is_repeated_as_it_was_made(xmir, pair, tiny_arch):
    """The random network of the map's own seed gives that very map, and nothing is gained."""
    network = ("--arch", tiny_arch, "--weights", "random:3", "--device", "cpu")
    images = ("--query", pair[0], "--image", pair[1])
    settings = ("--window-size", "12", "--stride", "6", "--no-clip-windows")
    (made,) = xmir("saliency", *images, *network, *settings).records()
    old = {"window": 12, "stride": 6, "clip": "none", "tolerance": 0.0}
    asked = ("causal-metric", "--control", "random-model", "--seed", "3")
    (found,) = xmir(*asked, stdin=lines({**made, "settings": old})).records()
    assert found["insertion_gain"] == {"random-model": pytest.approx(0, abs=1e-6)}
    (other,) = xmir(*asked, stdin=lines({**made, "settings": {"stride": 6}})).records()
    assert abs(other["insertion_gain"]["random-model"]) > 1e-6


def test_an_attention_map_of_an_earlier_version_is_repeated(xmir, pair, tiny_arch):
    network = ("--arch", tiny_arch, "--weights", "random:3", "--device", "cpu")
    Image.open(pair[0]).transpose(Image.Transpose.ROTATE_90).save("negative.png")
    asked = ("--query", pair[0], "--image", pair[1], "--negative", "negative.png")
    settings = ("--method", "attention", "--tuple", "triplet", "--variant", "paper")
    (made,) = xmir("saliency", *asked, *network, *settings).records()
    assert (made["settings"]["tuple"], made["settings"]["variant"]) == ("triplet", "paper")
    old = {"form": "triplet", "abs": False, "preset": "paper"}
    scored = ("causal-metric", "--control", "random-model", "--seed", "3")
    (found,) = xmir(*scored, stdin=lines({**made, "settings": old})).records()
    assert found["insertion_gain"] == {"random-model": pytest.approx(0, abs=1e-6)}
    (other,) = xmir(*scored, stdin=lines({**made, "settings": {}})).records()
    assert abs(other["insertion_gain"]["random-model"]) > 1e-6


def test_a_random_model_that_is_the_network_itself_is_warned_of(xmir, pair, tiny_arch):
    network = ("--arch", tiny_arch, "--weights", "random:3", "--method", "activation")
    made = xmir("saliency", "--query", pair[0], "--image", pair[1], *network).stdout
    asked = ("causal-metric", "--control", "random-model", "--seed")
    found = xmir(*asked, "3", stdin=made + made)
    assert found.stderr.count("the random network of the seed 3 is the one that the maps are") == 1
    assert xmir(*asked, "4", stdin=made).stderr == ""


def test_a_map_of_no_known_method_has_no_random_model_control(xmir, make_record):
    result = xmir("causal-metric", "--control", "random-model", stdin=lines(make_record()))
    assert result.code == 5
    assert "skipped line 1: no-control: hand is no method to repeat" in result.stderr


def test_a_network_without_the_map_of_a_control_skips_its_records(xmir, make_record):
    result = xmir("causal-metric", "--control", "rollout,center", stdin=lines(make_record()))
    assert result.code == 5
    assert "skipped line 1: no-control: rollout: no attention rollout of" in result.stderr


def test_an_unknown_control_is_refused(xmir):
    result = xmir("causal-metric", "--control", "random,tea", stdin="")
    assert result.code == 2
    assert result.stderr.startswith("xmir: error: --control tea: expected some of random, center")


def test_gates_may_ask_for_a_gain_over_a_control(xmir, make_record):
    gate = ("--control", "random", "--min", "insertion_gain.random=0.9")
    result = xmir("causal-metric", *gate, stdin=lines(make_record()))
    assert result.code == 4
    assert "hand: gate --min insertion_gain.random=0.9: found " in result.stderr


def test_the_summary_has_the_gains_with_their_intervals(xmir, make_record, pair):
    some = [make_record(query=query) for query in pair]
    run = ("causal-metric", "--control", "random")
    values = [r["deletion_gain"]["random"] for r in xmir(*run, stdin=lines(*some)).records()]
    (row,) = xmir(*run, "--summary", stdin=lines(*some)).records()
    assert row["deletion_gain"]["random"] == pytest.approx(np.mean(values), abs=1e-6)
    low, high = row["deletion_gain_low"]["random"], row["deletion_gain_high"]["random"]
    assert low == pytest.approx(min(values), abs=1e-6)
    assert high == pytest.approx(max(values), abs=1e-6)


@pytest.mark.parametrize("substrate", ["blur", "mean", "noise"])
def test_the_substrate_decides_where_deletion_ends(xmir, make_record, substrate):
    stdin = lines(make_record())
    (gray,) = xmir("causal-metric", stdin=stdin).records()
    (other,) = xmir("causal-metric", "--substrate", substrate, stdin=stdin).records()
    assert other["insertion_curve"] == pytest.approx(gray["insertion_curve"], abs=1e-5)
    assert other["deletion_curve"][0] == pytest.approx(gray["deletion_curve"][0], abs=1e-5)
    assert other["deletion_curve"][-1] != pytest.approx(gray["deletion_curve"][-1], abs=1e-5)
    if substrate == "blur":
        assert other["deletion_curve"][-1] == pytest.approx(other["insertion_curve"][0], abs=1e-6)
    fill = other["causal"]["fill"]
    assert (fill is None) == (substrate != "mean")
    assert fill is None or fill == pytest.approx([127, 127, 127], abs=6)


def test_the_same_run_passes_against_itself(xmir, make_record):
    stdin = lines(make_record(method="a"), make_record(method="b"))
    Path("before.jsonl").write_text(xmir("causal-metric", stdin=stdin).stdout)
    result = xmir("causal-metric", "--baseline", "before.jsonl", stdin=stdin)
    assert (result.code, result.stderr) == (0, "")


@pytest.fixture
def earlier(xmir, make_record):
    """Write records of an earlier run whose numbers are changed, return this run's input."""

    def write(**changes):
        stdin = lines(make_record(method="a"), make_record(method="b"))
        first, second = xmir("causal-metric", stdin=stdin).records()
        changed = {name: first[name] + change for name, change in changes.items()}
        Path("before.jsonl").write_text(lines({**first, **changed}, second))
        return stdin

    return write


def test_a_map_that_became_worse_fails_and_is_named(xmir, earlier, pair):
    stdin = earlier(insertion=0.03)
    result = xmir("causal-metric", "--baseline", "before.jsonl", stdin=stdin)
    assert (result.code, len(result.records())) == (4, 2)
    now = result.records()[0]["insertion"]
    assert result.stderr == (
        f"xmir: error: worse than before: {pair[0]} -> {pair[1]} (a, retrieved): "
        f"insertion {now + 0.03:.4f} -> {now:.4f}\n"
        "xmir: error: 1 of 2 maps are worse than in before.jsonl by more than 0.01\n"
    )


@pytest.mark.parametrize("changes", [{"insertion": -0.2}, {"deletion": 0.2}, {"deletion": -0.005}])
def test_better_maps_and_small_losses_pass(xmir, earlier, changes):
    stdin = earlier(**changes)
    assert xmir("causal-metric", "--baseline", "before.jsonl", stdin=stdin).code == 0


def test_a_deletion_that_rose_fails(xmir, earlier):
    stdin = earlier(deletion=-0.02)
    assert xmir("causal-metric", "--baseline", "before.jsonl", stdin=stdin).code == 4
    tolerant = ("--baseline", "before.jsonl", "--tolerance", "0.05")
    assert xmir("causal-metric", *tolerant, stdin=stdin).code == 0


def test_a_map_of_the_baseline_that_cannot_be_scored_any_more_fails(xmir, earlier):
    stdin = earlier()
    first, second = (json.loads(line) for line in stdin.splitlines())
    broken = lines({**first, "saliency": "gone.npy"}, second)
    result = xmir("causal-metric", "--baseline", "before.jsonl", stdin=broken)
    assert result.code == 4
    assert "(a, retrieved): could not be scored any more\n" in result.stderr


def test_records_missing_from_this_run_are_counted(xmir, earlier):
    stdin = earlier()
    result = xmir("causal-metric", "--baseline", "before.jsonl", stdin=stdin.splitlines()[0])
    assert (result.code, result.stderr) == (
        0,
        "xmir: note: 1 of 2 records of before.jsonl not met\n",
    )


def test_a_baseline_of_other_parameters_is_refused(xmir, earlier):
    stdin = earlier()
    result = xmir("causal-metric", "--baseline", "before.jsonl", "--blur", "rise", stdin=stdin)
    assert result.code == 5
    assert result.stderr.startswith(
        "xmir: error: before.jsonl: scored with blur paper, this run has rise\n"
    )


def test_a_baseline_names_the_blur_as_earlier_versions_did(xmir, earlier):
    stdin = earlier()
    before = Path("before.jsonl")
    before.write_text(before.read_text().replace('"blur": "paper"', '"preset": "paper"'))
    assert xmir("causal-metric", "--baseline", "before.jsonl", stdin=stdin).code == 0
    result = xmir("causal-metric", "--baseline", "before.jsonl", "--blur", "rise", stdin=stdin)
    assert "scored with blur paper, this run has rise" in result.stderr


def test_a_baseline_that_does_not_say_how_it_was_scored_is_refused(xmir, earlier):
    stdin, before = earlier(), Path("before.jsonl")
    record = json.loads(before.read_text().splitlines()[0])
    del record["causal"]
    before.write_text(lines(record))
    done = xmir("causal-metric", "--baseline", "before.jsonl", stdin=stdin)
    assert done.code == 5
    assert "before.jsonl: line 1: causal: how it was scored is not there" in done.stderr


def test_a_baseline_of_other_maps_is_refused(xmir, earlier, make_record):
    earlier()
    stdin = lines(make_record(method="c"))
    result = xmir("causal-metric", "--baseline", "before.jsonl", stdin=stdin)
    assert (result.code, result.stderr) == (
        5,
        (
            "xmir: error: before.jsonl: has none of the records of this run\n"
            "xmir: hint: Maps are matched by the SHA-256 of their images, wherever these lie, the "
            "method, which of the two is explained, and the name of a concept's file.\n"
        ),
    )


def test_a_baseline_that_is_none_is_refused(xmir, make_record):
    record = make_record()
    Path("before.jsonl").write_text(lines(record))
    result = xmir("causal-metric", "--baseline", "before.jsonl", stdin=lines(record))
    assert (result.code, result.stderr) == (
        5,
        (
            "xmir: error: before.jsonl: line 1: expected a record of causal-metric, found "
            "xmir.saliency/1\n"
            "xmir: hint: Make the baseline without --summary or --per-query.\n"
        ),
    )


def test_a_baseline_of_means_is_refused_with_what_to_do(xmir, earlier):
    stdin = earlier(insertion=0.5)
    Path("means.jsonl").write_text(xmir("causal-metric", "--summary", stdin=stdin).stdout)
    result = xmir("causal-metric", "--baseline", "means.jsonl", stdin=stdin)
    assert result.code == 5
    assert result.stderr.splitlines() == [
        (
            "xmir: error: means.jsonl: line 1: expected a record of causal-metric, found "
            "xmir.causal-summary/1"
        ),
        "xmir: hint: Make the baseline without --summary or --per-query.",
    ]


def test_junit_has_a_case_for_every_map_and_gate(xmir, earlier):
    stdin = earlier(insertion=0.5)
    first, second = (json.loads(line) for line in stdin.splitlines())
    gone = {**second, "method": "<b&>", "saliency": "gone.npy"}
    flags = ("--baseline", "before.jsonl", "--max", "deletion=1", "--junit", "checks.xml")
    assert xmir("causal-metric", *flags, stdin=lines(first, second, gone)).code == 4
    before = Path("checks.xml").read_bytes()
    refused = xmir("causal-metric", *flags, stdin=lines(first))
    assert (refused.code, Path("checks.xml").read_bytes()) == (7, before)
    assert xmir("causal-metric", *flags, "-f", stdin=lines(first, second, gone)).code == 4
    suite = ElementTree.parse("checks.xml").getroot()[0]  # noqa: S314 # our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "1", "1")
    outcomes = [(case.get("classname"), [part.tag for part in case]) for case in suite]
    assert outcomes == [("a", ["failure"]), ("b", []), ("<b&>", ["error"]), ("a", []), ("b", [])]
