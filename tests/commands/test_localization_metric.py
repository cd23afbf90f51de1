"""Maps against masks and boxes, through the front door; the truth is planted."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from xmir_cli.metrics.localization import STEPS, chance, locate
from xmir_cli.metrics.summary import estimate
from xmir_cli.saliency.methods.center import center_map
from xmir_cli.wire.model import ModelSpec

SIDE, SIZE = 16, (64, 48)  # of a map; width and height of an image
ROI = (8.0, 0.0, 48.0, 48.0)  # the middle of it, three pixels a pixel of the map
NUMBERS = ("hit", "energy", "rank_accuracy", "auroc", "auprc", "iou")


@pytest.fixture
def make(tmp_path):
    """A record as 'xmir saliency' writes it, around a map of our own; the image need not be."""

    def make(saliency, **changes):
        path = tmp_path / f"map-{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, np.asarray(saliency, np.float32))
        record = {
            "schema": "xmir.saliency/1",
            "query": "i/q.png",
            "retrieved": "i/r.png",
            "query_identity": "a" * 64,
            "retrieved_identity": "b" * 64,
            "rank": 1,
            "method": "hand",
            "settings": {},
            "explains": "retrieved",
            "saliency": str(path),
            "roi": list(ROI),
            "image_size": list(SIZE),
            "meta": {"id": "r", "mask": "masks/r.png"},
            "note": "kept",
        }
        return json.loads(json.dumps({**record, **changes}))

    return make


@pytest.fixture
def marked():
    """What is marked on r.png: six by three pixels of the map, under the middles of its pixels."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[9:18, 23:41] = 255
    Path("masks").mkdir()
    Path("i").mkdir()
    Image.fromarray(mask).save("masks/r.png")
    seen = np.zeros((SIDE, SIDE), bool)
    seen[3:6, 5:11] = True
    return seen


def dump(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def noise(seed=0):
    return np.random.default_rng(seed).normal(size=(SIDE, SIDE)).astype(np.float32)


def test_a_map_that_is_the_mask_is_right_in_every_number(xmir, make, marked):
    done = xmir("localization-metric", "--masks", "mask", stdin=dump(make(marked)))
    assert (done.code, done.stderr) == (0, "")
    (found,) = done.records()
    assert {name: found[name] for name in NUMBERS} == dict.fromkeys(NUMBERS, 1.0)
    assert (found["schema"], found["note"]) == ("xmir.localization/1", "kept")
    assert found["mask_area"] == pytest.approx(18 / 256)
    assert found["mask_outside"] == 0
    assert found["mask_files"] == ["masks/r.png"]
    assert found["localization"] == {
        "hit_tolerance": 15.0,
        "threshold": 0.5,
        "by": None,
        "truth": "masks",
        "seed": 0,
    }


def test_the_numbers_are_those_of_the_core_with_chance_and_control_beside(xmir, make, marked):
    saliency = noise()
    asked = ("--masks", "masks", "--hit-tolerance", "0", "--threshold", "0.25")
    asked += ("--control", "center,uniform")
    (found,) = xmir("localization-metric", *asked, stdin=dump(make(saliency))).records()
    mask = marked.ravel()
    own = locate(saliency.ravel().astype(float), mask, mask, 0.25)
    middle = locate(center_map(SIDE, 0.25).double().numpy().ravel(), mask, mask, 0.25)
    for name in NUMBERS:
        assert found[name] == pytest.approx(own.numbers[name], abs=1e-7)
        assert found[f"{name}_control"]["center"] == pytest.approx(middle.numbers[name], abs=1e-7)
        gain = found[name] - found[f"{name}_control"]["center"]
        assert found[f"{name}_gain"]["center"] == pytest.approx(gain, abs=2e-7)
    for name, value in chance(mask, mask).items():
        assert found[f"{name}_chance"] == pytest.approx(value, abs=1e-7)
        assert found[f"{name}_control"]["uniform"] == pytest.approx(value, abs=1e-7)
        assert found[f"{name}_gain"]["chance"] == pytest.approx(found[name] - value, abs=2e-7)
    assert "iou_chance" not in found
    assert "chance" not in found["iou_gain"]
    assert found["found_curve"] == pytest.approx(own.found.tolist(), abs=1e-7)
    assert found["iou_curve"] == pytest.approx(own.iou.tolist(), abs=1e-7)
    assert list(found["found_control_curve"]) == ["center", "uniform"]


@pytest.mark.usefixtures("marked")
def test_the_tolerance_is_in_pixels_of_the_original(xmir, make):
    peak = np.zeros((SIDE, SIDE))
    peak[9, 7] = 1  # its middle is in row 28 of the image, the mask ends with row 17
    for tolerance, hit in ((10, 0.0), (11, 1.0)):
        asked = ("--masks", "mask", "--hit-tolerance", tolerance)
        (found,) = xmir("localization-metric", *asked, stdin=dump(make(peak))).records()
        assert found["hit"] == hit
    peak[4, 7] = 1  # of two maxima one is in the mask
    asked = ("--masks", "mask", "--hit-tolerance", 0)
    (found,) = xmir("localization-metric", *asked, stdin=dump(make(peak))).records()
    assert found["hit"] == 0.5


def test_what_is_beyond_the_network_counts_as_outside(xmir, make, marked):
    Path("b.csv").write_text("path,x,y,w,h\nr.png,0,10,16,10\n")
    (found,) = xmir("localization-metric", "--boxes", "b.csv", stdin=dump(make(noise()))).records()
    assert found["mask_outside"] == 0.5
    assert found["mask_files"] == ["b.csv"]
    # where the view reaches beyond the picture, there is nothing to be right or wrong about
    wide = make(np.pad(marked * 1.0, ((2, 2), (0, 0)))[:, :], roi=[8, -6, 48, 60])
    wide_map = np.ones((SIDE, SIDE))
    np.save(wide["saliency"], wide_map.astype(np.float32))
    asked = ("--masks", "mask", "--control", "uniform", "--hit-tolerance", 0)
    (found,) = xmir("localization-metric", *asked, stdin=dump(wide)).records()
    shown = [(-6 + (row + 0.5) * 60 / 16) for row in range(16)]
    rows = [y for y in shown if 0 <= y < 48]
    area = sum(9 <= int(y) < 18 for y in rows) * 6 / (len(rows) * 16)
    assert found["mask_area"] == pytest.approx(area, abs=1e-6)
    assert found["energy"] == found["mask_area"]


def test_a_map_of_the_query_is_held_against_the_mask_of_the_query(xmir, make, marked):
    record = make(
        marked,
        explains="query",
        query="i/r.png",
        retrieved="i/q.png",
        meta={"mask": "masks/q.png"},
        query_meta={"mask": "masks/r.png"},
    )
    for masks in ("mask", "masks"):
        (found,) = xmir("localization-metric", "--masks", masks, stdin=dump(record)).records()
        assert (found["hit"], found["mask_files"]) == (1.0, ["masks/r.png"])
    alone = {**record, "query_text": "nodule"}
    done = xmir("localization-metric", "--masks", "mask", stdin=dump(alone))
    assert "bad-record: explains: words ask, and they have no map" in done.stderr


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"saliency": None}, "no-map: the record names no saliency map"),
        ({"saliency": "no.npy"}, "bad-input: no.npy: no such file"),
        ({"roi": None}, "bad-record: roi: expected what of the image the map covers"),
        ({"roi": [0, 0, 1e-310, 9]}, "bad-record: roi: expected what of the image the map covers"),
        ({"image_size": [1e9, 1e9]}, "too-large: 1000000000 x 1000000000 pixels"),
        ({"image_size": [0, 9]}, "bad-size: 0 x 9 pixels"),
        ({"roi": [0, 0, 0, 9]}, "bad-record: roi: expected what of the image the map covers"),
        ({"roi": [900, 0, 9, 9]}, "blank-map: no value above 0"),
        ({"meta": {}}, "no-mask: nothing is known of i/r.png"),
        ({"meta": {"mask": "gone.png"}}, "missing: mask: no such file (gone.png)"),
        ({"image_size": [48, 48]}, "wrong-size: expected 48 x 48 pixels as the image, found 64 x"),
        ({"image_size": None}, "missing: no such file"),
        ({"retrieved": 5}, "bad-record: retrieved: expected a string, found 5"),
        ({"model": 5}, "bad-record: model: expected an object"),
    ],
)
@pytest.mark.usefixtures("marked")
def test_a_record_that_cannot_be_scored_is_skipped_by_its_line(xmir, make, change, reason):
    good = make(noise())
    done = xmir(
        "localization-metric", "--masks", "mask", stdin=dump(good, {**good, **change}, good)
    )
    assert (done.code, len(done.records())) == (3, 2)
    skipped, total = done.stderr.splitlines()
    assert skipped.startswith(f"xmir: warning: skipped line 2: {reason}")
    assert total == f"xmir: note: 2 scored, 1 skipped (1 {reason.split(':')[0]})"


@pytest.mark.parametrize(
    ("rows", "columns", "reason"),
    [
        (slice(0), slice(0), "empty-mask: nothing is marked (masks/r.png)"),
        (slice(0, 48), slice(0, 8), "empty-mask: the mask lies beyond the input (masks/r.png)"),
        (slice(9, 10), slice(8, 9), "empty-mask: no pixel of the input has its middle on the mask"),
        (slice(0, 48), slice(0, 64), "full-mask: (masks/r.png)"),
    ],
)
@pytest.mark.usefixtures("marked")
def test_masks_without_a_number_are_named_skips(xmir, make, rows, columns, reason):
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[rows, columns] = 1
    Image.fromarray(mask).save("masks/r.png")
    done = xmir("localization-metric", "--masks", "mask", stdin=dump(make(noise())))
    assert (done.code, done.stdout) == (5, "")
    assert f"skipped line 1: {reason}" in done.stderr
    assert "none of 1 records could be scored" in done.stderr


@pytest.mark.parametrize(
    "saliency",
    [np.zeros((SIDE, SIDE)), -np.ones((SIDE, SIDE)), np.ones((SIDE, 3)), np.full((4, 4), np.nan)],
)
@pytest.mark.usefixtures("marked")
def test_maps_without_a_number_are_named_skips(xmir, make, saliency):
    done = xmir("localization-metric", "--masks", "mask", stdin=dump(make(saliency)))
    assert (done.code, done.stdout) == (5, "")
    assert "NaN" not in done.stdout


@pytest.mark.usefixtures("marked")
def test_where_nothing_is_known_of_any_image_the_place_is_named(xmir, make):
    done = xmir("localization-metric", "--masks", "maks", stdin=dump(make(noise())))
    assert done.code == 5
    assert done.stderr.splitlines()[-1] == (
        "xmir: error: maks: neither a folder nor a column of these records; did you mean mask?"
    )
    done = xmir("localization-metric", stdin=dump(make(noise())))
    assert (done.code, "--masks or --boxes" in done.stderr) == (2, True)
    done = xmir("localization-metric", "--masks", "i", stdin=dump(make(noise())))
    assert "i: no mask has the name of an image of these records" in done.stderr


@pytest.mark.usefixtures("marked")
def test_masks_of_one_image_are_told_apart_by_a_column(xmir, make):
    Path("b.csv").write_text(
        "path,x,y,w,h,finding\nr.png,11,3,9,9,nodule\nr.png,32,30,9,9,effusion\nr.png,,,,,none\n"
    )
    record = make(noise())
    (one,) = xmir("localization-metric", "--boxes", "b.csv", stdin=dump(record)).records()
    asked = ("localization-metric", "--boxes", "b.csv", "--by", "finding")
    done = xmir(*asked, stdin=dump(record))
    assert (done.code, "skipped line 1, none: empty-mask" in done.stderr) == (3, True)
    first, second = done.records()
    assert [each["mask_name"] for each in (first, second)] == ["nodule", "effusion"]
    assert "mask_name" not in one
    assert (
        first["mask_area"] == second["mask_area"] == pytest.approx(one["mask_area"] / 2, abs=1e-6)
    )
    assert first["energy"] + second["energy"] == pytest.approx(one["energy"], abs=1e-6)
    rows = xmir(*asked, "--summary", stdin=dump(record, record)).records()
    assert [(row["mask_name"], row["n"]) for row in rows] == [("nodule", 2), ("effusion", 2)]
    done = xmir(*asked[:-1], "findings", stdin=dump(record))
    assert "bad-mask: no column 'findings'; did you mean finding?" in done.stderr


@pytest.mark.usefixtures("marked")
def test_the_patients_of_the_images_are_the_unit_of_a_summary(xmir, make):
    records = [
        make(
            noise(seed),
            retrieved_identity=str(seed),
            query_patient="q",
            meta={"mask": "masks/r.png", "patient": whose},
        )
        for seed, whose in enumerate("aaabbc")
    ]
    asked = ("localization-metric", "--masks", "mask")
    single = xmir(*asked, stdin=dump(*records)).records()
    (row,) = xmir(*asked, "--summary", stdin=dump(*records)).records()
    assert (row["schema"], row["method"]) == ("xmir.localization-summary/1", "hand")
    assert (row["n"], row["images"], row["patients"]) == (6, 6, 3)
    for name in NUMBERS:
        expected = estimate([record[name] for record in single], "aaabbc")
        assert row[name] == pytest.approx(expected.mean)
        assert row[f"{name}_sd"] == pytest.approx(expected.sd)
        found = (row[f"{name}_low"], row[f"{name}_high"])
        assert found == pytest.approx((expected.low, expected.high))
    gains = [record["energy_gain"]["center"] for record in single]
    assert row["energy_gain"]["center"] == pytest.approx(np.mean(gains))
    assert row["energy_gain"]["chance"] == pytest.approx(row["energy"] - row["energy_chance"])
    nobody = [{**record, "meta": {"mask": "masks/r.png"}} for record in records]
    (row,) = xmir(*asked, "--summary", stdin=dump(*nobody)).records()
    assert (row["images"], "patients" in row) == (6, False)


def network(letters):
    """A model as records have it."""
    return ModelSpec("tiny", "random:0", weights_sha256=letters * 32).to_json()


def test_the_maps_of_two_networks_have_a_mean_each(xmir, make, marked):
    """A gate that one of them fails is not met, though their common mean would be."""
    maps = [make(marked, model=network("ab")), make(1.0 - marked, model=network("cd"))]
    flags = ("--masks", "mask", "--summary", "--min", "auroc=0.4")
    done = xmir("localization-metric", *flags, stdin=dump(*maps))
    found = {each["variant"]: (each["n"], each["auroc"]) for each in done.records()}
    assert found == {"network abababab": (1, 1.0), "network cdcdcdcd": (1, 0.0)}
    assert done.code == 4
    assert "hand, network cdcdcdcd: gate --min auroc=0.4: found 0" in done.stderr


@pytest.mark.usefixtures("marked")
def test_a_difference_of_classes_is_refused_by_name(xmir, make):
    one = {**make(noise()), "schema": "xmir.difference/1"}
    done = xmir("localization-metric", "--masks", "mask", stdin=dump(one, make(noise())))
    assert (done.code, len(done.records())) == (3, 1)
    told = "skipped line 1: no-map: a difference of classes is a map of no image"
    assert told in done.stderr


@pytest.mark.usefixtures("marked")
def test_gates_hold_for_the_means_of_every_method(xmir, make, marked):
    records = [make(marked, method="right"), make(~marked, method="wrong")]
    asked = ("localization-metric", "--masks", "mask", "--junit", "j.xml", "--force")
    gates = ("--min", "energy=0.9", "--min", "energy_gain.chance=0.1", "--max", "iou=1")
    done = xmir(*asked, *gates, stdin=dump(*records))
    assert (done.code, len(done.records())) == (4, 2)
    assert done.stderr.splitlines() == [
        "xmir: error: wrong: gate --min energy=0.9: found 0",
        "xmir: error: wrong: gate --min energy_gain.chance=0.1: found -0.0703125",
    ]
    suite = ElementTree.parse("j.xml").getroot().find("testsuite")  # noqa: S314
    counts = [suite.attrib[name] for name in ("name", "tests", "failures")]
    assert counts == ["xmir localization-metric", "8", "2"]
    assert xmir(*asked, "--min", "hit=0", stdin=dump(*records)).code == 0
    done = xmir(*asked, "--min", "hits=0", stdin=dump(*records))
    assert (done.code, "no such number" in done.stderr) == (2, True)
    assert "Did you mean hit or hit_sd?" in done.stderr
    done = xmir(*asked, "--min", "hit_gain.random=0", stdin=dump(*records))
    assert done.stderr.endswith("hint: Score it with --control random.\n")


@pytest.mark.usefixtures("marked")
def test_a_baseline_names_the_maps_that_lie_worse(xmir, make, marked):
    asked = ("localization-metric", "--masks", "mask")
    before = xmir(*asked, stdin=dump(make(marked))).stdout
    Path("before.jsonl").write_text(before)
    assert xmir(*asked, "--baseline", "before.jsonl", stdin=dump(make(marked))).code == 0
    elsewhere = {"query": "x/q.png", "retrieved": "x/r.png", "meta": {"mask": "../masks/r.png"}}
    Path("x").mkdir()
    worse = make(~marked, **elsewhere)
    done = xmir(*asked, "--baseline", "before.jsonl", stdin=dump(worse))
    assert done.code == 4
    pair = "x/q.png -> x/r.png (hand, retrieved)"
    assert done.stderr.splitlines() == [
        f"xmir: error: worse than before: {pair}: energy 1.0000 -> 0.0000",
        "xmir: error: 1 of 1 maps are worse than in before.jsonl by more than 0.01",
    ]
    done = xmir(*asked, "--baseline", "before.jsonl", "--threshold", 0.3, stdin=dump(worse))
    assert (done.code, "scored with threshold 0.5, this run has 0.3" in done.stderr) == (5, True)
    done = xmir(
        *asked, "--baseline", "before.jsonl", "--tolerance", 2, "--seed", 3, stdin=dump(worse)
    )
    assert done.code == 0


@pytest.mark.usefixtures("marked")
def test_curves_are_written_under_names_that_say_what_made_them(xmir, make):
    record = make(noise())
    asked = ("localization-metric", "--masks", "mask", "--curves", "c")
    (found,) = xmir(*asked, stdin=dump(record)).records()
    (again,) = xmir(*asked, stdin=dump(record)).records()
    assert found["located"] == again["located"]
    shares, share_found, overlap = np.load(found["located"])
    assert len(shares) == STEPS + 1
    assert share_found.tolist() == pytest.approx(found["found_curve"], abs=1e-7)
    assert overlap.tolist() == pytest.approx(found["iou_curve"], abs=1e-7)
    with Image.open(found["located_plot"]) as plot:
        assert plot.size == (432, 492)
    (other,) = xmir(*asked, "--threshold", "0.1", stdin=dump(record)).records()
    assert other["located"] != found["located"]


@pytest.mark.usefixtures("marked")
def test_scored_records_keep_what_causal_metric_said_and_are_scored_anew(xmir, make):
    record = make(noise(), insertion=0.5, tie_effect=0.5, schema="xmir.causal/1")
    done = xmir("localization-metric", "--masks", "mask", stdin=dump(record))
    assert (done.code, done.stderr) == (0, "")  # ties count by their share here
    (found,) = done.records()
    assert found["insertion"] == 0.5
    asked = ("--masks", "mask", "--control", "uniform")
    (again,) = xmir("localization-metric", *asked, stdin=dump(found)).records()
    assert list(again["energy_control"]) == ["uniform"]
    assert again["energy"] == found["energy"]
    assert again["insertion"] == 0.5


@pytest.mark.usefixtures("marked")
def test_random_maps_are_at_chance_and_the_same_for_the_same_seed(xmir, make):
    records = [make(noise(), retrieved_identity=str(number)) for number in range(150)]
    asked = ("localization-metric", "--masks", "mask", "--control", "random", "--summary")
    (row,) = xmir(*asked, stdin=dump(*records)).records()
    assert row == xmir(*asked, stdin=dump(*records)).records()[0]
    for name in NUMBERS[:5]:
        low, high = row[f"{name}_control_low"]["random"], row[f"{name}_control_high"]["random"]
        margin = (high - low) / 2 + (0.03 if name == "auprc" else 0)  # few pixels: see the core
        assert low - margin <= row[f"{name}_chance"] <= high + margin


@pytest.mark.usefixtures("marked")
def test_what_the_record_does_not_tell_is_read_from_the_image(xmir, make):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, SIZE[::-1], np.uint8)).save("i/r.png")
    record = make(noise(), image_size=None, retrieved_identity=None, query_identity=None)
    (found,) = xmir("localization-metric", "--masks", "mask", stdin=dump(record)).records()
    assert len(found["retrieved_identity"]) == 64
    done = xmir("localization-metric", "--masks", "mask", "--control", "edges", stdin=dump(record))
    assert "model: expected" in done.stderr
    preprocessing = {"input_size": SIDE, "resize": SIDE, "interpolation": "bilinear"}
    preprocessing |= {"mean": [0.5] * 3, "std": [0.25] * 3}
    model = {"architecture": "a", "weights": "random:0", "head": None}
    model |= {"preprocessing": preprocessing, "weights_sha256": ""}
    asked = ("--masks", "mask", "--control", "edges")
    done = xmir("localization-metric", *asked, stdin=dump({**record, "model": model}))
    assert done.code == 0, done.stderr
    (found,) = done.records()
    assert found["energy_control"]["edges"] > 0
