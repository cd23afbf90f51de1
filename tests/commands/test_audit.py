"""xmir audit through the front door, on an archive with planted faults."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.atlas.test_axes import unit_vectors
from tests.images.conftest import make_dicom
from xmir_cli.audit import copies
from xmir_cli.metrics import votes as metrics_votes
from xmir_cli.pages.captions import hit_lines, short_names
from xmir_cli.pages.columns import Hit
from xmir_cli.pages.entries import entry_of
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.store.hashes import sha256_file
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
COUNT = 40
KINDS = ["duplicate", "leak", "label", "outlier", "hub"]


def draw(row):
    """A smooth grey picture of its own."""
    rng = np.random.default_rng(row)
    small = Image.fromarray(rng.integers(0, 255, (6, 6), dtype=np.uint8))
    return small.resize((80, 64), Image.Resampling.BICUBIC)


class Archive:
    """Pictures with embeddings, of which a test changes what it wants before it writes them."""

    def __init__(self, count=COUNT, dim=8):
        Path("images").mkdir(exist_ok=True)
        self.vectors = list(unit_vectors(count, dim))
        self.rows = [
            {"label": "ab"[row % 2], "patient": f"p{row}", "split": "train"} for row in range(count)
        ]
        if self.rows:
            self.rows[-1]["split"] = "test"
        self.paths = [f"images/{row}.png" for row in range(count)]
        for row, path in enumerate(self.paths):
            draw(row).save(path)

    def add(self, path, like, lacks=0.001, **columns):
        """Another image at `path`, whose similarity to an earlier one lacks so much to 1."""
        own = self.vectors[like].astype(np.float64)
        other = np.random.default_rng(len(self.paths)).normal(size=len(own))
        other -= own * (other @ own)
        other *= np.sqrt(1 - (1 - lacks) ** 2) / np.linalg.norm(other)
        self.vectors.append(((1 - lacks) * own + other).astype(np.float32))
        self.rows.append({**self.rows[like], "patient": f"p{len(self.paths)}", **columns})
        self.paths.append(path)

    def write(self, name="e.parquet"):
        texts = {
            column: pa.array([row[column] for row in self.rows], pa.string())
            for column in ("label", "patient", "split")
        }
        table = {
            "id": [Path(path).stem for path in self.paths],
            "path": [str(Path(path).absolute()) for path in self.paths],
            "sha256": [sha256_file(path.partition("#")[0]) for path in self.paths],
            "width": pa.array([80] * len(self.paths), pa.int32()),
            "height": pa.array([64] * len(self.paths), pa.int32()),
            **texts,
        }
        write_embeddings(Path(name), Embeddings(pa.table(table), np.stack(self.vectors), MODEL))


@pytest.fixture
def archive():
    return Archive()


def told(result, finding):
    """The names of the images of findings of a kind: what it is about, and what is beside it."""
    return [
        (Path(each["query"]).stem, Path(each["retrieved"]).stem)
        for each in result.records()
        if each["finding"] == finding
    ]


def summed(xmir, *arguments):
    result = xmir("audit", "e.parquet", "--summary", *arguments)
    (record,) = result.records()
    return record


def test_nothing_is_found_where_nothing_is_wrong(xmir, archive):
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "duplicates,leaks,outliers")
    assert (result.code, result.stdout) == (0, "")
    assert result.stderr == "xmir: note: 40 images: duplicates 0, leaks 0, outliers 0\n"


@pytest.mark.parametrize(
    ("name", "save", "why"),
    [
        ("same", lambda path: shutil.copy("images/3.png", path), "equal bytes"),
        ("pixels", lambda path: draw(3).convert("RGB").save(path), "equal pixels"),
        ("jpeg", lambda path: draw(3).save(path.replace("png", "jpg"), quality=50), "near copy"),
        ("small", lambda path: draw(3).resize((48, 38)).save(path), "near copy"),
        ("light", lambda path: draw(3).point(lambda x: x * 0.8 + 9).save(path), "near copy"),
        (
            "mirror",
            lambda path: draw(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path),
            "near copy, mirrored",
        ),
        (
            "flip",
            lambda path: draw(3).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(path),
            "near copy, upside down",
        ),
        (
            "turn",
            lambda path: draw(3).transpose(Image.Transpose.ROTATE_180).save(path),
            "near copy, turned by 180 degrees",
        ),
    ],
)
def test_a_copy_is_found_however_it_was_made(name, save, why, xmir, archive):
    path = f"images/{name}.{'jpg' if name == 'jpeg' else 'png'}"
    save(f"images/{name}.png")
    exact = why.startswith("equal")
    archive.add(path, 3, lacks=1e-9 if exact else 0.002)
    archive.write()
    (record,) = xmir("audit", "e.parquet", "--test", "duplicates").records()
    assert (record["finding"], record["why"]) == ("duplicate", why)
    assert (Path(record["query"]).stem, Path(record["retrieved"]).stem) == (name, "3")
    assert record["leave_out"] is True
    assert record["similarity"] == pytest.approx(1 if exact else 0.998, abs=1e-6)
    assert (record["hash_bits"] is None) == (why == "equal bytes")
    assert record["query_meta"] == {"id": name, "patient": "p40", "split": "train"}
    assert record["meta"] == {"id": "3", "patient": "p3", "split": "train"}


def test_a_copy_that_the_network_sees_otherwise_and_a_look_alike_are_none(xmir, archive):
    draw(3).save("images/far.png", compress_level=1)
    archive.add("images/far.png", 3, lacks=1.3)  # looks alike, and is embedded elsewhere
    archive.add("images/5.png", 5, lacks=0.002)
    archive.paths[-1] = "images/other.png"  # is embedded alike, and does not look so
    draw(99).save("images/other.png")
    archive.write()
    assert xmir("audit", "e.parquet", "--test", "duplicates").stdout == ""


def test_a_copy_that_looks_the_same_is_found_though_it_is_no_neighbour(xmir, archive):
    draw(3).resize((56, 45)).save("images/small.png")
    archive.add("images/small.png", 3, lacks=0.4)
    archive.write()
    (record,) = xmir("audit", "e.parquet", "--test", "duplicates", "--neighbors", "1").records()
    assert (record["why"], Path(record["retrieved"]).stem) == ("near copy", "3")
    assert record["hash_bits"] <= 2
    assert record["similarity"] == pytest.approx(0.6, abs=1e-6)
    assert record["similarity"] < summed(xmir)["similarity_limit"]


@pytest.mark.parametrize(("patient", "found"), [("p3", 0), ("other", 1), (None, 1)])
def test_images_of_one_patient_that_only_look_alike_are_none(
    patient, found, xmir, archive, monkeypatch
):
    monkeypatch.setattr(copies, "SAME_BITS", -1)
    draw(3).save("images/later.jpg", quality=50)
    archive.add("images/later.jpg", 3, lacks=0.002, patient=patient)
    archive.write()
    assert len(xmir("audit", "e.parquet", "--test", "duplicates").records()) == found


def test_a_dicom_file_that_was_exported_anew_has_equal_pixels(xmir, archive):
    pytest.importorskip("pydicom")
    values = np.asarray(draw(70), dtype=np.uint16) * 16
    for name, patient in (("first", "A"), ("anew", "B")):
        Path(f"images/{name}.dcm").write_bytes(make_dicom(values, PatientID=patient))
    archive.add("images/first.dcm", 7, lacks=0.5)
    archive.add("images/anew.dcm", len(archive.paths) - 1, lacks=1e-9)
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "duplicates")
    assert told(result, "duplicate") == [("anew", "first")]
    assert [each["why"] for each in result.records()] == ["equal pixels"]


def test_frames_of_one_file_are_no_near_copies_of_each_other(xmir, archive):
    frames = [draw(70), draw(70).point(lambda x: x * 0.9)]
    frames[0].save("images/cine.tif", save_all=True, append_images=frames[1:])
    archive.add("images/cine.tif#frame=1", 7, lacks=0.5)
    archive.add("images/cine.tif#frame=2", len(archive.paths) - 1, lacks=0.002)
    archive.write()
    assert xmir("audit", "e.parquet", "--test", "duplicates").stdout == ""


def test_a_leak_leaves_the_training_side_and_copies_stay_in_the_test_set(xmir, archive):
    for row, (patient, split) in {1: ("x", "train"), 2: ("x", "test"), 6: ("x", "train")}.items():
        archive.rows[row].update(patient=patient, split=split)
    shutil.copy("images/8.png", "images/again.png")
    archive.add("images/again.png", 8, lacks=1e-9, split="test")
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "duplicates,leaks")
    assert told(result, "leak") == [("1", "2"), ("6", "2"), ("8", "again")]
    assert told(result, "duplicate") == [("8", "again")]
    assert [each["why"] for each in result.records() if each["finding"] == "leak"] == [
        "one patient in train and test",
        "one patient in train and test",
        "copies in train and test",
    ]
    record = summed(xmir)
    assert (record["leaks"], record["leaked_patients"]) == (3, 1)
    assert record["splits"] == {"test": 3, "train": 38}


@pytest.mark.parametrize("command", ["embeddings", "index"])
def test_a_patient_with_a_blank_is_the_same_one(command, xmir, archive):
    archive.rows[1].update(patient=" p7", split="train ")
    archive.rows[7].update(patient="p7", split=" test")
    archive.write()
    if command == "index":
        xmir("index", "e.parquet", "-o", "e.xmir")
    source = "e.parquet" if command == "embeddings" else "e.xmir"
    (record,) = xmir("audit", source, "--no-images", "--summary").records()
    assert (record["patients"], record["leaked_patients"]) == (39, 1)
    assert record["splits"] == {"test": 2, "train": 38}
    result = xmir("audit", source, "--no-images", "--test", "leaks")
    assert told(result, "leak") == [("1", "7")]


def shuffled(archive, seed):
    """The archive with its rows in another order, as `seed.parquet`."""
    rows = np.random.default_rng(seed).permutation(len(archive.paths))
    for name in ("vectors", "rows", "paths"):
        setattr(archive, name, [getattr(archive, name)[row] for row in rows])
    archive.write(f"{seed}.parquet")
    return f"{seed}.parquet"


def test_no_similarity_is_above_one_by_rounding(xmir):
    archive = Archive(100)
    archive.vectors = list(np.repeat(unit_vectors(5, 300), 20, axis=0))
    archive.write()
    assert summed(xmir, "--test", "duplicates", "--no-images")["similarity_limit"] == 1


def test_of_a_sample_bounds_are_the_same_whatever_the_order_of_the_rows(xmir, archive, monkeypatch):
    monkeypatch.setattr(copies, "_SAMPLE", 12)
    for row in range(20):
        draw(row).point(lambda x: x * 0.9).save(f"images/copy{row}.jpg", quality=30)
        archive.add(f"images/copy{row}.jpg", row, lacks=0.2 + 0.02 * row)
    found = []
    for seed in range(3):
        name = shuffled(archive, seed)
        told = xmir("audit", name, "--test", "duplicates").records()
        (summary,) = xmir("audit", name, "--test", "duplicates", "--summary").records()
        pairs = {frozenset((each["query"], each["retrieved"])) for each in told}
        found.append((pairs, round(summary["similarity_limit"], 6)))
    assert 0 < len(found[0][0]) < 20
    assert found == found[:1] * 3


def test_a_rule_of_votes_is_fitted_to_the_same_images_whatever_the_order_of_the_rows(
    xmir, monkeypatch
):
    for name in ("_FEWEST", "_ASKED"):
        monkeypatch.setattr(metrics_votes, name, 15)
    archive = clustered(flipped=(7, 20, 33))
    for number, row in enumerate(archive.rows):
        row["label"] += "|c" * (number % 3 == 0)
    found = []
    for seed in range(3):
        name = shuffled(archive, seed)
        result = xmir("audit", name, "--no-images", "--test", "labels", "--summary")
        (record,) = result.records()
        numbers = [*record["votes"].values(), record["suspect_labels_expected"]]
        found.append((record["suspect_labels"], [round(each, 6) for each in numbers]))
    assert found == found[:1] * 3


def test_splits_and_patients_may_have_other_names(xmir, archive):
    for row in archive.rows:
        row["label"], row["split"] = row["split"], "ab"[len(row["patient"]) % 2]
    archive.rows[4].update(label="test", patient="p3")
    archive.write()
    assert xmir("audit", "e.parquet", "--test", "leaks").stdout == ""
    failed = xmir("audit", "e.parquet", "--split", "label")
    assert "--split: the labels are what is in doubt" in failed.stderr
    failed = xmir("audit", "e.parquet", "--split", "spilt")
    assert (failed.code, "no column 'spilt'" in failed.stderr) == (2, True)
    result = xmir("audit", "e.parquet", "--test", "leaks", "--exclude-same", "split")
    assert result.stdout == ""


def clustered(flipped=()):
    """Two kinds of images that lie apart, with labels; of some it is the other one."""
    archive = Archive(0, 8)
    rng = np.random.default_rng(4)
    middles = np.eye(8)[:2]
    for row in range(60):
        vector = middles[row % 2] + 0.15 * rng.normal(size=8)
        archive.vectors.append((vector / np.linalg.norm(vector)).astype(np.float32))
        label = "ab"[(row + (row in flipped)) % 2]
        archive.rows.append({"label": label, "patient": f"p{row}", "split": "train"})
        archive.paths.append(f"images/{row}.png")
        draw(row).save(archive.paths[-1])
    return archive


def test_flipped_labels_are_in_doubt_and_no_others(xmir):
    clustered(flipped=(7, 20)).write()
    result = xmir("audit", "e.parquet", "--test", "labels")
    assert sorted(query for query, _ in told(result, "label")) == ["20", "7"]
    for each in result.records():
        assert each["likely_label"] == each["retrieved_label"] != each["query_label"]
        assert each["why"] == f"neighbours are {each['likely_label']}"
        assert each["probability"] >= 0.9 > each["own_probability"]
        assert each["leave_out"] is False
    record = summed(xmir)
    assert record["suspect_labels"] == 2
    assert 0 < record["suspect_labels_expected"] < 6
    assert record["calibration_error"] < 0.1


def test_only_images_whose_neighbours_vote_are_expected_in_doubt(xmir, archive):
    """Most labelled images are among unlabelled ones: nothing could put their labels in doubt."""
    archive = clustered()
    rng = np.random.default_rng(0)
    for row in range(60):
        archive.rows[row]["label"] = "a"
    archive.vectors = [np.append(each, np.zeros(24)) for each in archive.vectors]
    for alone in range(10):
        for near in range(11):
            draw(row := len(archive.paths)).save(f"images/{row}.png")
            archive.paths.append(f"images/{row}.png")
            vector = np.eye(32)[8 + alone] + 0.05 * rng.normal(size=32)
            archive.vectors.append(vector / np.linalg.norm(vector))
            label = None if near else "ab"[alone < 3]
            archive.rows.append({"label": label, "patient": f"p{row}", "split": "train"})
    archive.vectors = [each.astype(np.float32) for each in archive.vectors]
    archive.write()
    record = summed(xmir, "--no-images", "--test", "labels")
    surest = 1 - record["votes"]["doubt"] * 3 / 70  # the probability of a, where all vote for it
    assert record["suspect_labels"] == 0
    assert record["suspect_labels_expected"] == pytest.approx(60 * (1 - surest))
    assert record["calibration_error"] == pytest.approx(1 - surest)


def test_no_more_images_are_expected_in_doubt_than_there_are(xmir):
    """At a bound of 0.5 an image may lack each of several labels, and is one all the same."""
    archive = clustered()
    rng = np.random.default_rng(0)
    for row in archive.rows:
        row["label"] = "|".join(each for each in "abcdef" if rng.random() < 0.6) or "a"
    archive.write()
    record = summed(xmir, "--no-images", "--test", "labels", "--probability", "0.5")
    told = xmir("audit", "e.parquet", "--no-images", "--test", "labels", "--per-query").records()
    assert record["suspect_labels"] <= len(told) == 60
    assert 0 < record["suspect_labels_expected"] < 60


def test_patients_do_not_vote_for_themselves_nor_copies(xmir):
    archive = clustered(flipped=(7,))
    for row in (7, 9, 11, 13, 15):  # all of one patient, who would doubt it
        archive.rows[row]["patient"] = "one"
    draw(7).save("images/copy.jpg", quality=60)
    archive.add("images/copy.jpg", 7, lacks=0.001)  # a copy with the same wrong label
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "labels", "--neighbors", "3")
    (doubted, beside), (copy, _) = told(result, "label")
    assert {doubted, copy} == {"7", "copy"}
    assert beside not in {"copy", "7", "9", "11", "13", "15"}


def test_copies_of_different_labels_are_both_in_doubt_and_neither_stays(xmir, archive):
    shutil.copy("images/2.png", "images/again.png")
    archive.add("images/again.png", 2, lacks=1e-9, label="b")
    archive.write()
    result = xmir("audit", "e.parquet", "--exclude-to", "out.jsonl", "--test", "duplicates,labels")
    conflicts = [each for each in result.records() if each["finding"] == "label"]
    assert [(each["why"], each["leave_out"]) for each in conflicts][:2] == [
        ("a copy is b", True),
        ("a copy is a", True),
    ]
    left = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert sorted(Path(each["query"]).stem for each in left) == ["2", "again"]
    assert "out.jsonl: 2 images to leave out" in result.stderr


def test_foreign_images_are_outliers(xmir):
    archive = clustered()
    for row, axis in ((0, 5), (1, 6)):
        draw(200 + row).save(f"images/foreign{row}.png")
        archive.add(f"images/foreign{row}.png", 0, label="a")
        archive.vectors[-1] = np.eye(8, dtype=np.float32)[axis]
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "outliers")
    assert sorted(query for query, _ in told(result, "outlier")) == ["foreign0", "foreign1"]
    fence = summed(xmir)["fence"]
    for each in result.records():
        assert each["distance"] > fence
        assert each["percentile"] > 96


def test_hubs_and_what_nobody_finds(xmir):
    archive = Archive(0, 60)
    for row in range(40):  # all lie around the first, at right angles to each other
        vector = np.eye(60)[0] * 0.8 + np.eye(60)[row] * (0.6 if row else 0)
        archive.vectors.append((vector / np.linalg.norm(vector)).astype(np.float32))
        archive.rows.append({"label": "a", "patient": f"p{row}", "split": "train"})
        archive.paths.append(f"images/{row}.png")
        draw(row).save(archive.paths[-1])
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "hubs,unreached", "--neighbors", "1")
    first = result.records()[0]
    assert (first["finding"], first["why"]) == ("hub", "in 39 of 40 answers")
    assert len(told(result, "unreached")) == 38
    record = summed(xmir, "--neighbors", "1")
    assert (record["hubs"], record["unreached"]) == (1, 38)
    assert record["skewness"] > 5


def test_without_its_images_equal_files_and_embeddings_are_found(xmir, archive):
    shutil.copy("images/3.png", "images/same.png")
    draw(4).save("images/jpeg.jpg")
    draw(5).save("images/again.jpg")
    archive.add("images/same.png", 3, lacks=1e-9)
    archive.add("images/jpeg.jpg", 4, lacks=0.001)
    archive.add("images/again.jpg", 5, lacks=1e-12)
    archive.write()
    looked = xmir("audit", "e.parquet", "--test", "duplicates")
    assert told(looked, "duplicate") == [("same", "3"), ("jpeg", "4"), ("again", "5")]
    asked = xmir("audit", "e.parquet", "--test", "duplicates", "--no-images")
    shutil.rmtree("images")
    gone = xmir("audit", "e.parquet", "--test", "duplicates")
    for result in (asked, gone):
        assert told(result, "duplicate") == [("same", "3"), ("again", "5")]
        assert [each["why"] for each in result.records()] == ["equal bytes", "equal embeddings"]
    assert gone.code == 0
    assert "43 of 43 images cannot be looked at (43 missing)" in gone.stderr
    assert "told by equal files and equal embeddings alone" in gone.stderr
    record = summed(xmir)
    assert (record["looked_at"], record["unreadable"]) == (0, 43)
    assert record["unreadable_causes"] == {"missing": 43}
    assert "cannot be looked at" not in asked.stderr


def test_an_image_that_changed_since_is_not_looked_at(xmir, archive):
    archive.write()
    draw(80).save("images/1.png")
    assert summed(xmir)["unreadable_causes"] == {"changed": 1}


def test_the_list_leaves_images_out_of_every_index_made_after(xmir, archive):
    shutil.copy("images/3.png", "images/same.png")
    archive.add("images/same.png", 3, lacks=1e-9)
    archive.write()
    assert xmir("audit", "e.parquet", "--exclude-to", "out.jsonl").code == 0
    result = xmir("index", "e.parquet", "--exclude", "out.jsonl", "-o", "e.xmir")
    assert result.records()[0]["rows"] == 40
    assert "note: out.jsonl: 1 of 41 images are left out" in result.stderr
    assert summed(xmir)["duplicates"] == 1
    of_index = xmir("audit", "e.xmir", "--test", "duplicates,hubs", "--summary").records()[0]
    assert (of_index["images"], of_index["duplicates"]) == (40, 0)
    failed = xmir("audit", "e.parquet", "--exclude-to", "out.jsonl")
    assert (failed.code, "exists" in failed.stderr) == (7, True)


def test_the_network_never_sees_what_is_left_out(xmir, tiny_arch):
    Archive()
    network = ["--arch", tiny_arch, "--weights", "random:0"]
    shutil.copy("images/3.png", "images/same.png")
    result = xmir("embed", "images", *network, "-o", "all.parquet")
    assert result.records()[0]["rows"] == 41
    xmir("audit", "all.parquet", "--exclude-to", "out.jsonl")
    Path("images").rename("moved")
    result = xmir("embed", "moved", *network, "--exclude", "out.jsonl", "-o", "clean.parquet")
    assert (result.code, result.records()[0]["rows"]) == (0, 40)
    assert "note: out.jsonl: 1 of 41 images are left out" in result.stderr
    labels = "".join(f"moved/{row}.png,{'ab'[row % 2]}\n" for row in range(40))
    Path("t.csv").write_text(f"path,label\n{labels}moved/same.png,a\n")
    trained = [*network, "--epochs", "1", "--per-class", "4", "--device", "cpu"]
    result = xmir("train", "t.csv", *trained, "--exclude", "out.jsonl", "-o", "run.safetensors")
    assert (result.code, result.records()[-1]["rows"]) == (0, 40)
    assert "note: out.jsonl: 1 of 41 images are left out" in result.stderr


def test_gates_a_baseline_and_junit(xmir, archive):
    archive.rows[1].update(patient="p0", split="test")
    archive.write()
    passed = xmir("audit", "e.parquet", "--summary", "--max", "leaks=1", "--max", "duplicates=0")
    assert passed.code == 0
    Path("before.jsonl").write_text(passed.stdout)
    failed = xmir("audit", "e.parquet", "--max", "leaks=0", "--junit", "j.xml")
    assert failed.code == 4
    assert "error: gate --max leaks=0: found 1" in failed.stderr
    assert 'failures="1"' in Path("j.xml").read_text()
    archive.rows[2].update(patient="p0", split="train")
    archive.write()
    worse = xmir("audit", "e.parquet", "--baseline", "before.jsonl")
    assert worse.code == 4
    assert "worse than before: leaks 1.0000 -> 2.0000" in worse.stderr
    assert xmir("audit", "e.parquet", "--baseline", "before.jsonl", "--tolerance", "1").code == 0
    other = xmir("audit", "e.parquet", "--baseline", "before.jsonl", "--neighbors", "3")
    assert "scored with neighbors 10, this run has 3" in other.stderr
    unknown = xmir("audit", "e.parquet", "--test", "hubs", "--max", "leaks=0")
    assert (unknown.code, "no such number" in unknown.stderr) == (2, True)


@pytest.mark.parametrize(
    ("columns", "nulls", "why"),
    [
        ({"split": None}, ["leaks", "leaked_patients"], "no image has a split"),
        ({"split": "train"}, ["leaks", "leaked_patients"], "there is one split alone, train"),
        ({"patient": None}, ["leaked_patients"], "no patient is known"),
    ],
)
def test_where_nothing_can_leak_no_gate_takes_it_for_no_leak(columns, nulls, why, xmir, archive):
    for row in archive.rows:
        row.update(columns)
    archive.rows[1]["split"] = archive.rows[1]["split"] and "Train"
    archive.write()
    asked = ("audit", "e.parquet", "--no-images", "--test", "leaks", "--summary")
    gates = [part for name in ("leaks", "leaked_patients") for part in ("--max", f"{name}=0")]
    result = xmir(*asked, *gates)
    assert result.code == 4
    (record,) = result.records()
    assert [name for name in ("leaks", "leaked_patients") if record[name] is None] == nulls
    failures = [line for line in result.stderr.splitlines() if "error: " in line]
    assert failures == [
        f"xmir: error: gate --max {name}=0: {name} is null, for {why}" for name in nulls
    ]


def test_of_patients_of_one_split_alone_nobody_knows_whether_they_leak(xmir, archive):
    for row in archive.rows[:-2]:
        row["patient"] = None
    archive.rows[-2]["split"] = archive.rows[-1]["split"]
    archive.write()
    result = xmir("audit", "e.parquet", "--no-images", "--max", "leaked_patients=0")
    assert result.code == 4
    assert "is null, for no two splits have images of known patients" in result.stderr
    told = "38 of 40 images are of no known patient: each counts as of another, and leaks of these"
    assert f"note: {told} are of copies alone\n" in result.stderr
    archive.rows[0]["patient"] = archive.rows[-1]["patient"]
    archive.write()
    result = xmir("audit", "e.parquet", "--no-images", "--max", "leaked_patients=0")
    assert (result.code, "found 1" in result.stderr) == (4, True)


def test_images_without_a_split_are_told_of(xmir, archive):
    for row in archive.rows[:30]:
        row["split"] = None
    archive.write()
    result = xmir("audit", "e.parquet", "--no-images", "--max", "leaks=0")
    assert result.code == 0
    assert "note: 30 of 40 images have no split, and leak nothing\n" in result.stderr


@pytest.mark.parametrize(
    ("count", "nulls"),
    [(2, "ohu"), (4, "ohu"), (5, "hu"), (11, "hu"), (12, "h"), (51, "h"), (52, "")],
)
def test_of_few_images_none_could_be_an_outlier_or_a_hub_or_unreached(count, nulls, xmir):
    Archive(count).write()
    tests = "outliers,hubs,unreached"
    record = summed(xmir, "--no-images", "--test", tests)
    for name in ("outliers", "hubs", "unreached"):
        assert (record[name] is None) == (name[0] in nulls)
    gated = xmir("audit", "e.parquet", "--no-images", "--test", tests, "--max", "hubs=9")
    assert gated.code == (4 if "h" in nulls else 0)
    if count in (12, 51):
        why = "images are too few for one to be in more than five times as many answers as the mean"
        assert f"note: {why}: hubs cannot be tested" in gated.stderr
        assert f"gate --max hubs=9: hubs is null, for {why}" in gated.stderr
    if "h" in nulls:
        assert told(xmir("audit", "e.parquet", "--no-images", "--test", tests), "hub") == []


@pytest.mark.parametrize(
    ("label", "more", "why"),
    [
        ("a", (), "all labelled images have the same labels"),
        ("x|a", (), "all labelled images have the same labels"),
        (None, ("--probability", "1"), "none has a probability of 1 by them"),
    ],
)
def test_where_no_label_could_be_in_doubt_no_gate_takes_it_for_none(label, more, why, xmir):
    archive = clustered(flipped=(7,))
    for row in archive.rows[1:] if label else ():
        row["label"] = label
    archive.rows[0]["label"] = None
    archive.write()
    asked = ("audit", "e.parquet", "--no-images", "--test", "labels", *more)
    result = xmir(*asked, "--summary", "--max", "suspect_labels=5")
    (record,) = result.records()
    assert (result.code, record["suspect_labels"], record["suspect_labels_expected"]) == (
        4,
        None,
        None,
    )
    assert (record["calibration_error"] is None) == bool(label)
    assert (record["label_conflicts"] is None) == bool(label)
    assert f"{why}: labels cannot be tested" in result.stderr
    assert "gate --max suspect_labels=5: suspect_labels is null, for " in result.stderr
    assert xmir(*asked).stdout == ""
    conflicts = xmir(*asked, "--max", "label_conflicts=0")
    assert conflicts.code == (4 if label else 0)


def test_neighbours_that_know_nothing_of_labels_put_none_in_doubt_and_say_so(xmir, archive):
    """Labels drawn by a coin, whatever the images: no vote is believed, and none could be."""
    archive.write()
    result = xmir("audit", "e.parquet", "--no-images", "--test", "labels", "--summary")
    (record,) = result.records()
    surest = 1 - record["votes"]["doubt"] * 0.5
    assert (record["suspect_labels"], surest < 0.9) == (None, True)
    assert record["calibration_error"] is not None
    assert "neighbours tell so little of labels that none has a probability of 0.9" in result.stderr
    sure = f"{surest - 1e-6:.8f}"
    assert summed(xmir, "--no-images", "--probability", sure)["suspect_labels"] == 0


def test_few_images_and_one_patient_end_well(xmir, archive):
    for row in archive.rows:
        row["patient"] = "one"
    archive.write()
    record = summed(xmir)
    names = ("similarity_limit", "fence", "suspect_labels", "outliers", "hubs")
    assert [record[name] for name in names] == [None] * 5
    one = Archive(1)
    one.write()
    record = summed(xmir)
    assert (record["images"], record["duplicates"], record["hubs"]) == (1, 0, None)


def test_a_montage_shows_a_finding_and_says_why(xmir, archive):
    draw(3).save("images/jpeg.jpg", quality=40)
    archive.add("images/jpeg.jpg", 3, lacks=0.002)
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "duplicates")
    drawn = xmir("montage", "-o", "m.png", stdin=result.stdout)
    assert (drawn.code, drawn.stderr) == (0, "xmir: note: m.png: 1 query\n")
    entry = entry_of(result.records()[0])
    lines = hit_lines(Hit([entry]), short_names([entry]))
    assert lines == ["0.998  ·  correct", "b", "3", "duplicate: near copy"]


def test_a_report_shows_findings_and_takes_them_for_no_answers(xmir, archive):
    draw(3).save("images/jpeg.jpg", quality=40)
    archive.add("images/jpeg.jpg", 3, lacks=0.002)
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "duplicates")
    made = xmir("report", "-o", "r.html", stdin=result.stdout)
    assert made.code == 0, made.stderr
    page = Path("r.html").read_text()
    assert "near copy" in page
    assert "Same label" not in page


def test_a_table_for_eyes_and_a_summary_of_counts(xmir, archive):
    archive.write()
    table = xmir("audit", "e.parquet", "--summary", "--format", "table").stdout
    assert [line.split()[0] for line in table.splitlines()][:3] == [
        "what",
        "duplicates",
        "duplicate",
    ]
    assert xmir("audit", "e.parquet", "--format", "table").code == 0


def test_a_label_that_is_only_common_puts_none_in_doubt(xmir, archive):
    for row in archive.rows:
        row["label"] = "a"
    archive.rows[0]["label"] = "b"
    for number in range(12):  # all that is near the only b is without a label
        path = f"images/near-{number}.png"
        draw(100 + number).save(path)
        archive.add(path, 0, label=None)
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "labels", "--no-images")
    assert (result.code, told(result, "label")) == (0, [])


def test_a_copy_is_shown_beside_the_one_that_stays_however_they_are_linked(xmir, archive):
    """Three equal files of which the last one is in the test set, and a near copy of another."""
    for name, split in (("second", "train"), ("third", "test")):
        shutil.copy("images/3.png", f"images/{name}.png")
        archive.add(f"images/{name}.png", 3, lacks=1e-9, split=split)
    draw(3).save("images/jpeg.jpg", quality=50)
    archive.add("images/jpeg.jpg", 3, lacks=0.002)
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "duplicates", "--exclude-to", "out.jsonl")
    assert told(result, "duplicate") == [("3", "third"), ("second", "third"), ("jpeg", "third")]
    assert [each["why"] for each in result.records()] == ["equal bytes", "equal bytes", "near copy"]
    xmir("index", "e.parquet", "--exclude", "out.jsonl", "-o", "e.xmir")
    hits = xmir("query", "--id", "third", "--top", "1", "-i", "e.xmir").records()
    assert hits[0]["retrieved_identity"] == sha256_file("images/3.png")
    assert summed(xmir)["duplicates"] == 3


def test_of_two_images_one_may_be_a_copy(xmir):
    """Nothing says what the similarity of two patients is, and they look the same."""
    few = Archive(1)
    draw(0).save("images/copy.jpg", quality=60)
    few.add("images/copy.jpg", 0, lacks=0.01)
    few.write()
    assert told(xmir("audit", "e.parquet", "--test", "duplicates"), "duplicate") == [("copy", "0")]


@pytest.mark.parametrize(
    ("column", "tests", "nulls", "told", "note"),
    [
        (
            "label",
            "labels",
            ["suspect_labels", "label_conflicts", "suspect_labels_expected", "calibration_error"],
            "label_conflicts",
            "no image has a labelled neighbour of another patient but for copies of it: labels",
        ),
        (
            "patient",
            "outliers",
            ["outliers", "fence"],
            "outliers",
            "fewer than five images have a neighbour of another patient: outliers cannot be tested",
        ),
        (
            "patient",
            "hubs,unreached",
            ["hubs", "unreached", "skewness"],
            "unreached",
            "there are no more images of other patients than neighbours of one: hubs cannot",
        ),
    ],
)
def test_what_could_not_be_counted_is_null_and_no_gate_takes_it_for_none(
    column, tests, nulls, told, note, xmir, archive
):
    archive.write("known.parquet")
    known = xmir("audit", "known.parquet", "--test", tests, "--summary", "--no-images")
    Path("before.jsonl").write_text(known.stdout)
    for row in archive.rows:
        row[column] = None if column == "label" else "one"
    archive.write()
    asked = ("audit", "e.parquet", "--test", tests, "--no-images")
    result = xmir(*asked, "--summary", "--max", f"{nulls[0]}=0", "--junit", "j.xml")
    assert result.code == 4
    (record,) = result.records()
    assert [record[each] for each in nulls] == [None] * len(nulls)
    assert note in result.stderr
    wanted = f"gate --max {nulls[0]}=0: {nulls[0]} is null, for {note.partition(':')[0]}"
    assert f"xmir: error: {wanted}" in result.stderr
    assert 'failures="0" errors="1"' in Path("j.xml").read_text()
    worse = xmir(*asked, "--baseline", "before.jsonl", "--tolerance", "100")
    assert (worse.code, f"{told} " in worse.stderr, "-> nan" in worse.stderr) == (4, True, True)


def test_near_copies_are_unknown_where_nothing_was_looked_at(xmir, archive):
    archive.write()
    assert summed(xmir, "--no-images")["near_copies"] is None
    result = xmir("audit", "e.parquet", "--no-images", "--max", "near_copies=0")
    assert (result.code, "near_copies is null" in result.stderr) == (4, True)


def test_per_query_has_the_numbers_of_every_image_by_which_it_is_a_finding(xmir):
    archive = clustered(flipped=(7,))
    shutil.copy("images/9.png", "images/again.png")
    archive.add("images/again.png", 9, lacks=1e-9, split="test")
    archive.write()
    found = xmir("audit", "e.parquet").records()
    record = summed(xmir)
    result = xmir("audit", "e.parquet", "--per-query")
    each = {Path(one["query"]).stem: one for one in result.records()}
    assert (len(each), {one["schema"] for one in each.values()}) == (61, {"xmir.audit-query/1"})
    pairs = {(Path(one["query"]).stem, one["finding"]) for one in found}
    assert pairs == {(name, what) for name, one in each.items() for what in one["findings"]}
    assert each["9"]["findings"] == ["duplicate", "leak"]
    assert (each["9"]["group"], each["again"]["group"], "group" in each["8"]) == (1, 1, False)
    (doubted,) = (one for one in found if one["finding"] == "label")
    names = ("likely_label", "probability", "own_probability")
    assert [each["7"][name] for name in names] == [doubted[name] for name in names]
    doubts = [one for one in each.values() if one["probability"] >= 0.9]
    assert len(doubts) == record["suspect_labels"]
    assert sum(one["distance"] > record["fence"] for one in each.values()) == record["outliers"]
    assert sum(one["occurrences"] == 0 for one in each.values()) == record["unreached"]
    assert sum(one["occurrences"] for one in each.values()) == 61 * 10
    assert each["again"]["query_identity"] == sha256_file("images/9.png")
    few = xmir("audit", "e.parquet", "--per-query", "--test", "hubs").records()[0]
    assert not few.keys() & {"probability", "distance", "group"}
    table = xmir("audit", "e.parquet", "--per-query", "--format", "table").stdout
    assert table.split()[:2] == ["findings", "query"]
    assert sum(line.startswith("duplicate, leak  ") for line in table.splitlines()) == 1


def test_two_files_are_not_written_to_one_place(xmir, archive):
    archive.write()
    result = xmir("audit", "e.parquet", "--exclude-to", "x.jsonl", "--junit", "./x.jsonl")
    assert (result.code, Path("x.jsonl").exists()) == (2, False)
    assert "--junit x.jsonl: is written by --exclude-to, too" in result.stderr


def test_an_archive_of_which_nothing_is_known_but_its_images_is_audited(xmir, archive):
    """No labels, no patients, no splits; and only one image."""
    for row in archive.rows:
        row.update(label=None, patient=None, split=None)
    shutil.copy("images/3.png", "images/same.png")
    archive.add("images/same.png", 3, lacks=1e-9, patient=None)
    archive.write()
    result = xmir("audit", "e.parquet", "--max", "duplicates=0")
    assert (result.code, told(result, "duplicate")) == (4, [("same", "3")])
    assert "no patient is known: each image counts as of another patient" in result.stderr
    assert "labels in doubt" not in result.stderr
    alone = Archive(1)
    alone.write()
    result = xmir("audit", "e.parquet")
    assert (result.code, result.stdout) == (0, "")
    assert "note: 1 image: duplicates 0\n" in result.stderr
    (record,) = xmir("audit", "e.parquet", "--per-query").records()
    assert (record["distance"], record["occurrences"]) == (None, 0)


def test_several_labels_of_an_image_are_each_one_of_its_own(xmir):
    archive = clustered(flipped=(7,))
    for row in archive.rows:
        row["label"] = {"a": "x|a", "b": "b | x"}[row["label"]]
    archive.rows[9]["label"] = "a|b|x"
    archive.write()
    result = xmir("audit", "e.parquet", "--test", "labels", "--per-query")
    each = {Path(one["query"]).stem: one for one in result.records()}
    assert (each["7"]["findings"], each["7"]["likely_label"]) == (["label"], "b")
    assert sum(bool(one["findings"]) for one in each.values()) == 1
    assert (each["9"]["likely_label"], each["9"]["probability"]) == (None, None)


def test_findings_are_no_baseline_and_it_says_what_is(xmir, archive):
    shutil.copy("images/3.png", "images/same.png")
    archive.add("images/same.png", 3, lacks=1e-9)
    archive.write()
    Path("found.jsonl").write_text(xmir("audit", "e.parquet").stdout)
    result = xmir("audit", "e.parquet", "--baseline", "found.jsonl")
    assert "found.jsonl: line 1: expected a record of audit --summary" in result.stderr
