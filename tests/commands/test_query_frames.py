"""Several pictures in one file: each is an image, known by the file's hash and its number."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# three frames of one TIFF, and another picture of the last one's patient
LABELS = {"t.tif#frame=1": "normal", "t.tif#frame=2": "covid", "t.tif#frame=3": "pneumonia"}
PATIENTS = {"t.tif#frame=1": "p1", "t.tif#frame=2": "p2", "t.tif#frame=3": "p3"}
FRAMES = list(LABELS)
ALONE = "d.png"


def draw(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6), dtype=np.uint8)
    return Image.fromarray(coarse).resize((48, 40), Image.Resampling.BICUBIC)


@pytest.fixture
def index(xmir, tiny_arch):
    """Three frames and a picture; a.xmir has feature maps."""
    first, *rest = [draw(seed) for seed in range(3)]
    first.save("t.tif", save_all=True, append_images=rest)
    draw(3).save(ALONE)
    rows = [f"{name},{LABELS[name]},{PATIENTS[name]}" for name in FRAMES]
    Path("m.csv").write_text("\n".join(["path,label,patient", *rows, f"{ALONE},covid,p3", ""]))
    network = ("--arch", tiny_arch, "--weights", "random:0", "--features")
    assert xmir("embed", "m.csv", *network, "-o", "a.parquet").code == 0
    assert xmir("index", "a.parquet", "-o", "a.xmir").code == 0
    return Path("a.xmir").absolute()


def hash_of(name):
    return hashlib.sha256(Path(name).read_bytes()).hexdigest()


def ids(result):
    assert result.code == 0, result.stderr
    return [record["meta"]["id"] for record in result.records()]


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("how", ["image", "id"])
def test_a_frame_finds_itself_and_has_its_own_label(xmir, name, how):
    ask = [name] if how == "image" else ["--id", name]
    first, *others = xmir("query", *ask, "--top", "9").records()
    assert (first["meta"]["id"], first["similarity"]) == (name, pytest.approx(1, abs=1e-6))
    assert (first["query_label"], first["retrieved_label"]) == (LABELS[name], LABELS[name])
    assert first["match"] is True
    assert [record["match"] for record in others].count(True) == (name == FRAMES[1])


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("name", FRAMES)
def test_without_itself_a_frame_finds_the_others(xmir, name):
    left = sorted({*FRAMES, ALONE} - {name})
    assert sorted(ids(xmir("query", name, "--no-self"))) == left
    assert sorted(ids(xmir("query", "--id", name, "--no-self"))) == left
    strangers = [other for other in left if (name, other) != (FRAMES[2], ALONE)]
    for ask in ([name], ["--id", name]):
        assert sorted(ids(xmir("query", *ask, "--exclude-same", "patient"))) == strangers


@pytest.mark.usefixtures("index")
def test_every_item_of_all_leaves_out_itself_alone(xmir):
    records = xmir("query", "--all", "--no-self", "--top", "9").records()
    assert len(records) == 4 * 3
    assert all(record["query"] != record["retrieved"] for record in records)


@pytest.mark.usefixtures("index")
def test_a_copy_of_the_file_has_the_same_frames(xmir):
    shutil.copy("t.tif", "copy.tif")
    first = xmir("query", "copy.tif#frame=2", "--top", "1").records()[0]
    assert (first["meta"]["id"], first["query_label"]) == (FRAMES[1], "covid")
    left = ids(xmir("query", "copy.tif#frame=2", "--no-self"))
    assert sorted(left) == sorted({FRAMES[0], FRAMES[2], ALONE})


@pytest.mark.usefixtures("index")
def test_examples_that_are_frames_leave_out_themselves_alone(xmir):
    shutil.copy("t.tif", "copy.tif")
    for like in (FRAMES[1], "copy.tif#frame=2"):
        left = ids(xmir("query", FRAMES[0], "--like", like))
        assert sorted(left) == sorted({FRAMES[0], FRAMES[2], ALONE})


@pytest.mark.usefixtures("index")
def test_examples_may_be_several_frames_by_one_name(xmir):
    shutil.copy("t.tif", "copy.tif")
    for place in ("t.tif", "copy.tif"):  # indexed or not
        for flag in ("--like", "--unlike"):
            one = xmir("query", ALONE, flag, f"{place}#frame=1-2")
            each = xmir("query", ALONE, flag, f"{place}#frame=1", flag, f"{place}#frame=2")
            assert (one.code, one.records()) == (0, each.records())
    bad = xmir("query", ALONE, "--like", "t.tif#frame=2-1")
    assert (bad.code, "--like t.tif#frame=2-1: frame: expected" in bad.stderr) == (2, True)


@pytest.mark.usefixtures("index")
def test_records_say_which_images_they_are_of(xmir):
    shutil.copy("t.tif", "copy.tif")
    file = hash_of("t.tif")
    known = {FRAMES[0]: file, FRAMES[1]: f"{file}#frame=2", FRAMES[2]: f"{file}#frame=3"}
    known[ALONE] = hash_of(ALONE)
    for name, identity in known.items():
        for ask in ([name], ["--id", name], [name.replace("t.tif", "copy.tif")]):
            for record in xmir("query", *ask).records():
                assert list(record)[1:5] == [
                    "query",
                    "retrieved",
                    "query_identity",
                    "retrieved_identity",
                ]
                assert record["query_identity"] == identity
                assert record["retrieved_identity"] == known[record["meta"]["id"]]
    np.save("q.npy", np.eye(16, dtype=np.float32)[0])
    for record in xmir("query", "--vector", "q.npy").records():
        assert record["query_identity"] is None
        assert record["retrieved_identity"] == known[record["meta"]["id"]]


@pytest.mark.usefixtures("index")
def test_the_first_picture_of_a_file_has_one_identity_however_it_is_named(xmir):
    identity = {
        record["query_identity"]
        for name in (ALONE, f"{ALONE}#frame=1", f"{ALONE}#frame=01")
        for record in xmir("query", name, "--top", "1").records()
    }
    assert identity == {hash_of(ALONE)}
    assert ALONE not in ids(xmir("query", f"{ALONE}#frame=1", "--no-self"))


@pytest.mark.usefixtures("index")
def test_frames_are_no_copies_of_each_other(xmir):
    record = xmir("retrieval-metric", "a.xmir").records()[0]
    assert record["near_duplicates"]["queries_same_file"] == 0
    shutil.copy("t.tif", "copy.tif")
    text = Path("m.csv").read_text() + "copy.tif#frame=2,covid,p2\n"
    Path("m.csv").write_text(text)
    model = xmir("info", "a.xmir").records()[0]["model"]
    network = ("--arch", model["architecture"], "--weights", "random:0")
    assert xmir("embed", "m.csv", *network, "-o", "more.parquet").code == 0
    record = xmir("retrieval-metric", "more.parquet").records()[0]
    assert record["near_duplicates"]["queries_same_file"] == 2


@pytest.mark.usefixtures("index")
def test_a_frame_of_another_label_is_a_negative(xmir):
    own = xmir("query", FRAMES[0], "--top", "1").stdout
    ranks = xmir("query", FRAMES[0], "--no-self").records()
    flags = ("--method", "attention", "--tuple", "quadruplet", *["--negative", "auto"] * 2)
    found = xmir("saliency", *flags, stdin=own)
    assert found.code == 0, found.stderr
    assert found.records()[0]["negatives"] == [record["retrieved"] for record in ranks[:2]]


@pytest.mark.usefixtures("index")
def test_an_index_lends_each_frame_its_own_map(xmir):
    shutil.copy("t.tif", "copy.tif")
    flags = ("saliency", "--method", "activation", "--no-overlay")
    for number, name in enumerate([*FRAMES, "copy.tif#frame=2"]):
        [record] = xmir("query", name, "--top", "1").records()
        away = {key: value for key, value in record.items() if key != "index"}
        [lent] = xmir(*flags, "-o", f"lent{number}", stdin=json.dumps(record)).records()
        [made] = xmir(*flags, "-o", f"made{number}", stdin=json.dumps(away)).records()
        one, other = np.load(lent["saliency"]), np.load(made["saliency"])
        assert np.abs(one - other).max() <= 2e-3 * np.abs(other).max()
        provenance = json.loads(Path(lent["saliency"]).with_suffix(".json").read_text())
        assert provenance["made_of"]["stored_features"] == ["query", "retrieved"]


def test_a_file_that_is_really_called_so_finds_itself(xmir, tiny_arch):
    draw(0).save("odd.png")
    Path("odd.png").rename("odd.png#frame=2")
    draw(1).save("other.png")
    Path("m.csv").write_text("path,label\nodd.png#frame=2,odd\nother.png,other\n")
    network = ("--arch", tiny_arch, "--weights", "random:0")
    assert xmir("embed", "m.csv", *network, "-o", "o.parquet").code == 0
    assert xmir("index", "o.parquet", "-o", "o.xmir").code == 0
    result = xmir("query", "odd.png#frame=2", "-i", "o.xmir", "--top", 1)
    (record,) = result.records()
    assert record["query_label"] == record["retrieved_label"] == "odd"
    assert record["query_identity"] == record["retrieved_identity"]
    assert ids(xmir("query", "odd.png#frame=2", "-i", "o.xmir", "--no-self")) == ["other.png"]
    assert xmir("saliency", "--method", "activation", stdin=result.stdout).code == 0
