import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model


@pytest.fixture
def record(tiny_arch, tmp_path):
    """A retrieval record of two images of our own."""
    for seed in (0, 1):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
    spec = load_embedder(
        resolve_model(ModelChoice(architecture=tiny_arch, weights="random:7", head=8)), "cpu"
    ).spec
    return {
        "schema": "xmir.retrieval/1",
        "query": str(tmp_path / "0.png"),
        "retrieved": str(tmp_path / "1.png"),
        "rank": 1,
        "similarity": 0.5,
        "model": spec.to_json(),
    }


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def test_a_seed_that_gives_the_network_itself_is_refused(xmir, record):
    result = xmir("sanity-check", "--seeds", "3,7", stdin=lines(record))
    assert (result.code, result.stdout, result.stderr.splitlines()) == (
        2,
        "",
        [
            "xmir: error: --seeds 7: the network has these weights already",
            "xmir: hint: Name another seed.",
        ],
    )


def test_an_image_path_needs_a_network_that_this_command_can_name(xmir):
    result = xmir("sanity-check", stdin="0.png\n")
    assert result.code == 2
    assert result.stderr.splitlines()[1] == (
        "xmir: hint: Name it with --model, or pipe in the records of 'xmir query'."
    )


def test_every_stage_of_every_method_makes_a_record(xmir, record):
    flags = ("--method", "activation,edges")
    result = xmir("sanity-check", *flags, stdin=lines(record))
    assert (result.code, result.stderr) == (0, "")
    found = result.records()
    assert [(row["method"], row["stage"]) for row in found] == [
        (method, stage)
        for stage in ("none", "head", "features.3+features.4", "all")
        for method in ("activation", "edges")
    ]
    assert found[-1]["randomized"] == ["features.0+features.1", "features.3+features.4", "head"]
    assert {row["schema"] for row in found} == {"xmir.sanity/1"}
    assert all(row["model"] == record["model"] for row in found)


def test_before_anything_is_random_the_maps_agree(xmir, record):
    row = xmir("sanity-check", stdin=lines(record)).records()[0]
    assert (row["spearman"], row["spearman_abs"], row["ssim"]) == pytest.approx((1, 1, 1))
    assert (row["verdict"], row["threshold"], row["n"]) == (None, 0.5, 1)


def test_a_map_of_edges_fails_for_it_never_sees_the_network(xmir, record):
    *_, last = xmir("sanity-check", "--method", "edges", stdin=lines(record)).records()
    assert (last["spearman"], last["verdict"]) == (pytest.approx(1), "fail")


def test_a_constant_map_has_no_verdict(xmir, record):
    *_, last = xmir("sanity-check", "--method", "uniform", stdin=lines(record)).records()
    assert (last["spearman"], last["undefined"], last["verdict"]) == (None, 1, "undefined")


def test_the_threshold_decides_the_verdict(xmir, record):
    flags = ("--mode", "full", "--threshold", "1")
    *_, last = xmir("sanity-check", *flags, stdin=lines(record)).records()
    assert (last["verdict"], last["mode"], last["position"]) == ("pass", "full", 1)


def test_several_seeds_are_averaged(xmir, record):
    def spearman(seeds):
        flags = ("--mode", "full", "--seeds", seeds)
        row = xmir("sanity-check", *flags, stdin=lines(record)).records()[-1]
        return row["spearman"], row["n"], row["seeds"]

    one, two, both = spearman("1"), spearman("2"), spearman("1,2")
    assert both == (pytest.approx((one[0] + two[0]) / 2), 2, 2)
    assert spearman("1") == one


def test_independent_stages_end_with_the_random_network_too(xmir, record):
    found = xmir("sanity-check", "--mode", "independent", stdin=lines(record)).records()
    assert [len(row["randomized"]) for row in found] == [0, 1, 1, 1, 3]
    cascading = xmir("sanity-check", stdin=lines(record)).records()
    assert found[-1]["spearman"] == pytest.approx(cascading[-1]["spearman"])


def test_a_gate_fails_after_the_output(xmir, record):
    flags = ("--method", "edges", "--max", "spearman=0.3")
    result = xmir("sanity-check", *flags, stdin=lines(record))
    assert (result.code, len(result.records())) == (4, 4)
    assert result.stderr == "xmir: error: edges: model: gate --max spearman=0.3: found 1\n"


def test_pairs_that_come_once_a_method_are_checked_once(xmir, record):
    result = xmir("sanity-check", stdin=lines(record, {**record, "method": "x"}))
    assert result.records()[0]["n"] == 1


def test_a_pair_without_its_image_is_skipped(xmir, record):
    result = xmir("sanity-check", stdin=lines(record, {**record, "retrieved": "gone.png"}))
    assert result.code == 3
    assert result.stderr == (
        "xmir: warning: skipped line 2: missing: no such file (gone.png)\n"
        "xmir: note: 1 checked, 1 skipped (1 missing)\n"
    )


def test_nothing_to_check_is_an_error(xmir, record):
    assert xmir("sanity-check", stdin="").stderr == "xmir: error: no records on standard input\n"
    gone = xmir("sanity-check", stdin=lines({**record, "query": "gone.png"}))
    assert gone.code == 5
    assert gone.stderr.endswith("xmir: error: none of 1 records could be checked\n")
    bad = xmir("sanity-check", stdin="{}\n")
    assert bad.stderr.endswith("xmir: error: none of 1 records could be checked\n")


def test_two_networks_at_once_are_refused(xmir, record):
    other = {**record, "model": {**record["model"], "weights": "random:1", "weights_sha256": ""}}
    result = xmir("sanity-check", stdin=lines(record, other))
    assert result.code == 5
    assert "the records come from more than one network" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--seeds", "1,x"),
            "--seeds: expected whole numbers up to 4294967295 with commas, found 1,x",
        ),
        (
            ("--seeds", "0,4294967296"),
            "--seeds: expected whole numbers up to 4294967295 with commas, found 0,4294967296",
        ),
        (("--max", "map=1"), "--max map=1: no such number"),
    ],
)
def test_flags_that_make_no_sense_are_refused(xmir, flags, message):
    result = xmir("sanity-check", *flags, stdin="")
    assert (result.code, result.stderr.splitlines()[0]) == (2, f"xmir: error: {message}")


def test_the_plot_shows_all_methods(xmir, record):
    flags = ("--method", "activation,uniform,edges", "--plot", "sanity.png")
    assert xmir("sanity-check", *flags, stdin=lines(record)).code == 0
    with Image.open("sanity.png") as plot:
        assert plot.size[0] > 300
    assert xmir("sanity-check", *flags, stdin=lines(record)).code == 7
    table = xmir("sanity-check", *flags, "-f", "--format", "table", stdin=lines(record))
    assert (table.code, table.stdout.splitlines()[-1]) == (0, "plot: sanity.png")


def test_a_plot_may_be_an_svg_and_is_named_by_its_records(xmir, record):
    flags = ("--mode", "full", "--plot", "sanity.SVG", "--threshold", "0.25")
    records = xmir("sanity-check", *flags, stdin=lines(record)).records()
    assert [each["plot"] for each in records] == ["sanity.SVG"] * 2
    svg = Path("sanity.SVG").read_text()
    assert f">activation: {records[1]['verdict']}<" in svg
    assert ">threshold 0.25<" in svg
    assert ">which weights are random<" in svg


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        ("sanity.pdf", "--plot sanity.pdf: expected a file that ends in .png or .svg"),
        ("nowhere/sanity.png", "nowhere: no such folder"),
        ("/proc/sanity.png", "/proc/sanity.png: cannot be written there"),
    ],
)
def test_a_place_without_a_plot_is_found_before_the_work(xmir, plot, message):
    result = xmir("sanity-check", "--plot", plot, stdin="")  # no records: another error
    assert result.stderr.splitlines()[0] == f"xmir: error: {message}"


def test_the_mean_of_the_images_is_taken_off_under_each_network(xmir, record, tmp_path):
    pixels = np.random.default_rng(2).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "2.png")
    other = {**record, "retrieved": str(tmp_path / "2.png"), "rank": 2}
    asked = lines(record, other)
    flags = ("sanity-check", "--mode", "full", "--method", "activation,bilrp")
    plain, centred = xmir(*flags, stdin=asked), xmir(*flags, "--center", stdin=asked)
    assert (centred.code, centred.stderr) == (0, "")
    for before, after in zip(plain.records(), centred.records(), strict=True):
        assert after["settings"] == {**before["settings"], "center": True}
        assert (after["spearman"] == before["spearman"]) == (after["stage"] == "none")


def test_two_images_have_no_mean_worth_taking_off(xmir, record):
    result = xmir("sanity-check", "--center", stdin=lines(record))
    assert (result.code, result.stdout, result.stderr) == (
        2,
        "",
        "xmir: error: --center: expected records of 3 images or more, whose mean is taken off\n",
    )


def test_a_method_that_shares_nothing_out_cannot_be_centred(xmir, record):
    result = xmir("sanity-check", "--center", "--method", "gradcam", stdin=lines(record))
    assert (result.code, result.stderr.splitlines()[0]) == (
        2,
        "xmir: error: --center: the map of gradcam does not share out a similarity",
    )
