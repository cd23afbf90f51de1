import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.scoring.shortcut.images import hide
from xmir_cli.wire.model import Preprocessing

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


def test_of_too_few_images_there_is_no_verdict(shortcut):
    table = write_images("few", planted=True, count=8)  # of four patients: three partitions
    result = shortcut(table, "--gate", "--junit", "j.xml", "--plot", "p.svg")
    assert result.code == 4
    for record in result.records():
        assert record["p"] >= record["p_least"] >= 0.01
        assert (record["verdict"], record["meaning"]) == (
            "undefined",
            "too few patients or images for an alarm, whatever they hold",
        )
    assert "error: object: undefined: too few patients or images" in result.stderr
    assert 'failures="3"' in Path("j.xml").read_text()
    assert shortcut(table).code == 0


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
    assert "xmir: error: object: gate --max p_at_1=0.5: found" in result.stderr
    suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    Path("planted/0.png").unlink()
    told = shortcut(table, "--test", "object", "--junit", "j.xml", "--force")
    suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    assert (told.code, suite.get("failures"), suite.get("errors")) == (3, "0", "1")
    lost, verdict = suite
    assert (Path(lost.get("name")).name, lost[0].tag) == ("0.png", "error")
    assert verdict[0].text.startswith("alarm: images of one label are found")
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


def boxes_of(numbers):
    """The corners as boxes of two images, as COCO has them."""
    sides = [(0, 0), (24, 0), (0, 24), (24, 24)]
    images = [{"id": each, "file_name": f"{each}.png"} for each in numbers]
    found = [
        {"image_id": numbers[place % 2], "bbox": [*side, 8, 8]} for place, side in enumerate(sides)
    ]
    return {"images": images, "annotations": found}


def test_boxes_hide_in_every_image_what_they_cover_in_any(xmir, network, shortcut):
    table = write_images("whole", planted=True)
    Path("boxes.json").write_text(json.dumps(boxes_of([3, 5])))
    rows = ["path,x,y,w,h", "3.png,0,0,8,8", "3.png,24,0,8,8", "5.png,0,24,8,8", "5.png,24,24,8,8"]
    Path("boxes.csv").write_text("\n".join(rows) + "\n")
    (shape,) = shortcut(table, "--test", "suspect").records()
    for name in ("boxes.json", "boxes.csv"):
        flags = ("--suspect", name, "--test", "suspect", "--draws", "199")
        (found,) = xmir("shortcut", table, *network, *flags).records()
        assert found == {**shape, "part": name}


def test_a_table_of_neither_masks_nor_boxes_is_refused(shortcut):
    result = shortcut(write_images("bare", planted=False, count=8), "--suspect", "bare/labels.csv")
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr.endswith(
        "bare/labels.csv: expected a column 'mask', or x, y, w, h; there are path, label, patient\n"
    )


@pytest.mark.parametrize("fill", ["black", "mean", "road", "#ff8000"])
def test_a_fill_tells_nothing_of_what_it_hides(fill):
    recipe = Preprocessing(input_size=16, resize=16)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    hidden = torch.zeros(16, 16, dtype=torch.bool)
    hidden[2:9, 3:12] = True
    left = hide(images, hidden, fill, recipe)
    assert torch.equal(left[:, :, ~hidden], images[:, :, ~hidden])
    other = torch.where(hidden, torch.rand(images.shape), images)
    torch.testing.assert_close(hide(other, hidden, fill, recipe), left, atol=2e-3, rtol=0)
    if fill == "mean":
        expected = images[1, 2][~hidden].mean()
        assert left[1, 2, 5, 5] == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("name", ["f.png", "f.svg"])
def test_a_figure_shows_all_tests_and_the_table_names_it(shortcut, name):
    table = write_images("planted", planted=True)
    result = shortcut(table, "--plot", name, "--format", "table")
    assert (result.code, result.stdout.splitlines()[-1]) == (0, f"plot: {name}")
    if name.endswith(".svg"):
        told = Path(name).read_text()
        for words in ("ALARM", "labels permuted", "elsewhere, worst", "a, right (18)"):
            assert words in told
    else:
        with Image.open(name) as picture:
            assert picture.size[0] == 1800
    again = shortcut(table, "--plot", name)
    assert (again.stdout, name in again.stderr) == ("", True)


def test_a_run_is_compared_with_an_earlier_one(shortcut):
    bare = shortcut(write_images("bare", planted=False), "--test", "object,suspect")
    Path("bare.jsonl").write_text(bare.stdout)
    table = write_images("planted", planted=True)
    worse = shortcut(table, "--test", "object", "--baseline", "bare.jsonl", "--junit", "j.xml")
    assert worse.code == 4
    assert "xmir: error: worse than before: object: effect " in worse.stderr
    assert "1 of 1 tests are worse than in bare.jsonl by more than 0.01" in worse.stderr
    assert "note: 1 of 2 records of bare.jsonl not met" in worse.stderr
    cases = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    assert [(each.get("name"), [told.tag for told in each]) for each in cases] == [
        ("object: verdict", ["system-out"]),
        ("object: baseline", ["failure"]),
        ("suspect: baseline", ["skipped"]),
    ]
    flags = ("--test", "object", "--baseline", "bare.jsonl")
    assert shortcut(table, *flags, "--tolerance", "1").code == 0
    assert shortcut("bare/labels.csv", *flags).code == 0
    other = shortcut("bare/labels.csv", *flags, "--fill", "black")
    assert other.code == 5
    assert "bare.jsonl: scored with fill gray, this run has black" in other.stderr
    Path("none.jsonl").write_text('{"schema": "xmir.sanity/1"}\n')
    wrong = shortcut(table, "--baseline", "none.jsonl")
    assert "none.jsonl: line 1: expected a record of shortcut" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--draws", "50"), "--draws: expected more: with 3 tests the smallest p is 0.059"),
        (("--suspect", "border:30%"), "--suspect: it covers 86% of what the network sees: there"),
        (("--suspect", "corners:60%"), "--suspect: expected corners:N%, above 0% and below 50%"),
        (("--object", "center:0%"), "--object: expected center:N%"),
        (("--test", "objects"), "--test objects: expected some of object, suspect, saliency"),
        (("--max", "mapp=1"), "--max mapp=1: no such number"),
        (("--test", "object", "--max", "changed=1"), "--max changed=1: no such number"),
        (("--fill", "blur"), "--fill blur: expected gray, black, mean, road or a colour #RRGGBB"),
        (("--plot", "f.pdf"), "--plot f.pdf: expected a file that ends in .png or .svg"),
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
