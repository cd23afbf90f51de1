import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

PART = "corners:25%"  # 8 of 32 pixels


def write_images(folder, planted, hidden=None, count=36, seed=0):
    """Random pictures of 32 pixels, two of a patient; with a marker that goes with a label."""
    random = np.random.default_rng(seed)
    Path(folder).mkdir(exist_ok=True)
    rows = ["path,label,patient"]
    for number in range(count):
        label = "ab"[number // 2 % 2]
        picture = random.integers(60, 120, (32, 32), dtype=np.uint8)
        picture[12:20, 12:20] += np.uint8(random.integers(0, 100))
        if planted and label == "a":
            picture[1:7, 1:7] = 255
        if hidden is not None:
            picture[hidden] = 0
        Image.fromarray(picture).save(f"{folder}/{number}.png")
        rows.append(f"{number}.png,{label},p{number // 2}")
    Path(folder, "labels.csv").write_text("\n".join(rows) + "\n")
    return f"{folder}/labels.csv"


@pytest.fixture
def network(tiny_arch):
    return ("--arch", tiny_arch, "--weights", "random:1", "--device", "cpu")


@pytest.fixture
def shortcut(xmir, network):
    def run(table, *arguments):
        return xmir("shortcut", table, *network, "--suspect", PART, "--draws", "199", *arguments)

    return run


def corners():
    outer = np.r_[np.ones(8, bool), np.zeros(16, bool), np.ones(8, bool)]
    return np.logical_and.outer(outer, outer)


def test_a_planted_marker_raises_the_alarm(shortcut):
    result = shortcut(write_images("planted", planted=True))
    assert result.code == 0, result.stderr
    records = {each["test"]: each for each in result.records()}
    assert list(records) == ["object", "suspect", "saliency"]
    for record in records.values():
        assert record["schema"] == "xmir.shortcut/1"
        assert record["labels"] == {"a": 18, "b": 18}
        assert record["p_holm"] >= record["p"]
    assert records["object"]["verdict"] == "alarm"
    assert records["object"]["part"] == "all but corners:25%"
    assert records["object"]["map"] > 0.9
    assert "alarm" in result.stderr
    assert records["object"]["meaning"] in result.stderr


@pytest.mark.parametrize("seed", range(3))
def test_without_a_marker_there_is_none(shortcut, seed):
    result = shortcut(write_images("bare", planted=False, seed=seed), "--seed", seed)
    assert [each["verdict"] for each in result.records()] == ["none"] * 3
    assert "alarm" not in result.stderr


def test_what_is_hidden_is_as_if_the_pictures_were_painted_over(shortcut, xmir, network):
    whole = write_images("whole", planted=True)
    painted = {
        "object": write_images("object", planted=True, hidden=~corners()),
        "suspect": write_images("suspect", planted=True, hidden=corners()),
        "whole": whole,
    }
    numbers = {}
    for name, table in painted.items():
        assert xmir("embed", table, *network, "-o", f"{name}.parquet").code == 0
        scored = xmir("retrieval-metric", f"{name}.parquet", "--exclude-same", "patient")
        numbers[name] = scored.records()[0]
    found = shortcut(whole, "--fill", "black", "--test", "object,suspect").records()
    for record in found:
        assert record["map"] == pytest.approx(numbers[record["test"]]["map"], abs=1e-5)
        assert record["map_whole"] == pytest.approx(numbers["whole"]["map"], abs=1e-5)
    assert found[0]["p_at_1"] == pytest.approx(numbers["object"]["p_at_1"])
    drop = numbers["whole"]["map"] - numbers["suspect"]["map"]
    assert found[1]["map_drop"] == pytest.approx(drop, abs=1e-5)


def test_masks_hide_in_every_image_what_they_cover_in_any(shortcut, xmir, network):
    table = write_images("whole", planted=True)
    for name, rows in {"m0": slice(0, 8), "m1": slice(24, 32)}.items():
        mask = np.zeros((32, 32), np.uint8)
        mask[rows, :8] = 255
        mask[rows, 24:] = 255
        Image.fromarray(mask).save(f"{name}.png")
    lines = Path(table).read_text().splitlines()
    cells = ["mask", "m0.png", "m1.png", *[""] * 34]
    Path(table).write_text("".join(f"{a},{b}\n" for a, b in zip(lines, cells, strict=True)))
    Path("whole/m0.png").write_bytes(Path("m0.png").read_bytes())
    shape = shortcut(table).records()
    masks = xmir("shortcut", table, *network, "--suspect", "mask", "--draws", "199").records()
    for one, other in zip(shape, masks, strict=True):
        assert one["area"] == other["area"]
        assert one["effect"] == other["effect"]
        assert other["part"].endswith("mask")


def test_gates_fail_the_run_and_stand_in_junit(shortcut):
    table = write_images("planted", planted=True)
    result = shortcut(
        table, "--test", "object", "--gate", "--max", "p_at_1=0.5", "--junit", "j.xml"
    )
    assert result.code == 4
    assert len(result.records()) == 1
    assert "object: alarm: images of one label are found" in result.stderr
    assert "object: --max p_at_1=0.5: gate --max p_at_1=0.5: found" in result.stderr
    suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    bare = write_images("bare", planted=False)
    passed = shortcut(bare, "--test", "object", "--gate", "--junit", "j.xml", "--force")
    assert passed.code == 0


def test_an_alarm_needs_an_effect(shortcut):
    table = write_images("planted", planted=True)
    (record,) = shortcut(table, "--test", "object", "--effect", "0.9").records()
    assert (record["verdict"], record["p_holm"] < 0.05) == ("none", True)


def test_the_same_seed_gives_the_same_records(shortcut):
    table = write_images("planted", planted=True)
    assert shortcut(table, "--seed", "3").stdout == shortcut(table, "--seed", "3").stdout


def test_a_table_shows_what_stands_beside_what(shortcut):
    result = shortcut(write_images("planted", planted=True), "--format", "table")
    assert "permuted labels" in result.stdout
    assert "worst elsewhere" in result.stdout
    assert "a, right (" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--draws", "50"), "--draws: expected more: with 3 tests the smallest p is 0.059"),
        (("--suspect", "border:30%"), "--suspect: it covers 86% of what the network sees: there"),
        (("--suspect", "corners:60%"), "--suspect: expected corners:N%, above 0% and below 50%"),
        (("--object", "center:0%"), "--object: expected center:N%"),
        (("--test", "objects"), "--test objects: expected some of object, suspect, saliency"),
        (("--max", "mapp=1"), "--max mapp=1: no such number"),
        (("--exclude-same", "label"), "--exclude-same: images that share a label"),
        (("--exclude-same", "who"), "--exclude-same: no column 'who'; there are label, patient"),
    ],
)
def test_what_cannot_be_asked_is_refused(shortcut, arguments, message):
    result = shortcut(write_images("bare", planted=False, count=8), *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert message in result.stderr


def test_data_without_two_labels_are_refused(shortcut):
    table = write_images("bare", planted=False, count=8)
    text = Path(table).read_text()
    Path(table).write_text(text.replace(",b,", ",a,"))
    assert "all 8 images have one label" in shortcut(table).stderr
    Path(table).write_text(text.replace(",b,", ",,"))
    result = shortcut(table)
    assert result.code == 5
    assert "4 of 8 images have no label" in result.stderr
    Path(table).write_text(text.replace(",patient", ",who"))
    assert "no patient is known" in shortcut(table, "--test", "object").stderr


def test_what_cannot_be_read_is_skipped(shortcut):
    table = write_images("bare", planted=False, count=12)
    Path("bare/3.png").write_bytes(b"")
    result = shortcut(table)
    assert result.code == 3
    assert result.records()[0]["images"] == 11
    assert "11 embedded, 1 skipped (1 empty)" in result.stderr
    assert json.loads(result.stdout.splitlines()[2])["test"] == "saliency"
