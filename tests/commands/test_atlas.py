"""xmir atlas through the front door: the record, the files, and what is refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.atlas.test_axes import unit_vectors
from xmir_cli.atlas.axes import principal_axes, project
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.store.hashes import sha256_file
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)


def write(name="e.parquet", count=12, vectors=None, pictures=True, **columns):
    """Embeddings of small pictures, the last one there twice; labels a, b and none in turn."""
    vectors = unit_vectors(count, 6) if vectors is None else vectors
    count = len(vectors)
    for row in range(count if pictures else 0):
        Image.new("L", (30 + row, 20), 20 * (row % 12)).save(f"{row}.png")
    table = {
        "id": [f"i/{row}" for row in range(count)],
        "path": [f"{row}.png" for row in range(count)],
        "sha256": [sha256_file(f"{row}.png") if pictures else f"{row}" for row in range(count)],
        "width": pa.array([30] * count, pa.int32()),
        "height": pa.array([20] * count, pa.int32()),
        "label": pa.array([("a", "b", None)[row % 3] for row in range(count)], pa.string()),
        "patient": pa.array([None] * count, pa.string()),
        "split": pa.array([None] * count, pa.string()),
        **columns,
    }
    write_embeddings(Path(name), Embeddings(pa.table(table), vectors, MODEL))
    return vectors


def test_a_record_a_picture_and_coordinates(xmir):
    vectors = write(site=["x", "y"] * 6)
    result = xmir("atlas", "e.parquet", "-o", "a.png", "-o", "a.parquet", "--color", "site")
    assert (result.code, result.stderr) == (0, "")
    (record,) = result.records()
    axes = principal_axes(vectors, 2)
    assert record["explained"] == pytest.approx(axes.shares.tolist())
    assert (record["images"], record["dim"], record["method"]) == (12, 6, "pca")
    assert record["files"] == ["a.png", "a.parquet"]
    assert record["colors"] == ["site", "label"]
    assert [(label, each["images"]) for label, each in record["classes"].items()] == [
        ("a", 4),
        ("b", 4),
    ]
    assert record["neighbours"] == {"number": 10, "other": None, "search": "exact"}
    assert record["thumbnails"] == 2
    table = pq.read_table("a.parquet")
    places = project(vectors, axes)
    assert np.array(table["x"]) == pytest.approx(places[:, 0])
    assert np.array(table["y"]) == pytest.approx(places[:, 1])
    assert table.column_names == [
        *("id", "path", "label", "x", "y", "unlike", "outlier", "duplicates"),
        *("nearest_to_mean", "mean_x", "mean_y", "site"),
    ]
    for label, each in record["classes"].items():
        mean = vectors[[row == label for row in table["label"].to_pylist()]].mean(axis=0)
        assert each["mean_place"] == pytest.approx(project(mean[None], axes)[0], abs=1e-6)
        placed = {
            (row["mean_x"], row["mean_y"]) for row in table.to_pylist() if row["label"] == label
        }
        assert placed == {tuple(each["mean_place"])}
    assert all(row["mean_x"] is None for row in table.to_pylist() if row["label"] is None)
    stars = [each["nearest"] for each in record["classes"].values()]
    marked = table.filter(table["nearest_to_mean"])
    assert sorted(marked["id"].to_pylist()) == sorted(stars)
    with Image.open("a.png") as drawn:
        assert drawn.size[0] > 1500


def test_an_image_of_two_labels_lies_with_the_mean_of_the_more_frequent(xmir):
    write(label=["a|b", "b", "b", *["c"] * 9], pictures=False)
    (record,) = xmir("atlas", "e.parquet", "-o", "a.parquet").records()
    table = pq.read_table("a.parquet").to_pylist()
    assert [table[0]["mean_x"], table[0]["mean_y"]] == record["classes"]["b"]["mean_place"]
    assert record["classes"]["a"]["mean_place"] == [table[0]["x"], table[0]["y"]]


def test_an_index_gives_the_same_picture_as_its_embeddings(xmir):
    write()
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    for source, name in (("e.parquet", "a.png"), ("e.xmir", "b.png")):
        assert xmir("atlas", source, "-o", name).code == 0
    assert xmir("atlas", "e.parquet", "-o", "c.png").code == 0
    assert Path("a.png").read_bytes() == Path("c.png").read_bytes()
    with Image.open("a.png") as one, Image.open("b.png") as other:
        assert (np.asarray(one)[60:] == np.asarray(other)[60:]).all()  # below the title


def test_rows_that_no_index_takes_are_left_out_and_told(xmir):
    vectors = unit_vectors(12, 6)
    vectors[3, 0] = np.nan
    vectors[5] = 0
    write(vectors=vectors)
    result = xmir("atlas", "e.parquet", "-o", "a.parquet")
    assert result.code == 3
    assert "skipped i/3: bad-vector: row 3 is zero, NaN or infinite" in result.stderr
    assert "10 drawn, 2 skipped (2 bad-vector)" in result.stderr
    assert "i/3" not in pq.read_table("a.parquet")["id"].to_pylist()


def test_pictures_that_cannot_be_read_are_grey_and_told(xmir):
    write()
    Path("0.png").unlink()
    Path("1.png").write_bytes(b"another")
    for row in range(2, 12):
        Image.new("L", (9, 9), 200).save(f"{row}.png")
    result = xmir("atlas", "e.parquet", "-o", "a.png")
    assert result.code == 0
    (record,) = result.records()
    assert record["thumbnails"] == 0
    assert sum(record["unreadable"].values()) == 2
    assert "2 of 2 pictures are grey, for they cannot be read (" in result.stderr


def test_duplicates_and_outliers_are_counted_by_class(xmir):
    vectors = unit_vectors(60, 6)
    vectors[1] = vectors[0]
    vectors[7] = -vectors[7]
    write(vectors=vectors, pictures=False)
    result = xmir("atlas", "e.parquet", "-o", "a.parquet", "--format", "tsv")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0] == ["class", "images", "outliers", "duplicates", "similarity", "nearest"]
    assert [line[:4] for line in lines[1:]] == [
        ["(all)", "60", "1", "2"],
        ["a", "20", "0", "1"],
        ["b", "20", "1", "1"],
    ]
    table = pq.read_table("a.parquet").to_pylist()
    assert [row["id"] for row in table if row["outlier"]] == ["i/7"]
    assert [row["id"] for row in table if row["duplicates"] == 1] == ["i/0", "i/1"]


def test_the_nearest_of_the_same_patient_do_not_count_for_outliers(xmir):
    vectors = unit_vectors(60, 6)
    vectors[50:] = -vectors[50] + 0.01 * vectors[50:]  # far from all others, near each other
    for patients in ([None] * 60, ["p"] * 60):
        own = [str(row) for row in range(50)] + patients[50:]
        write(vectors=vectors, pictures=False, patient=own)
        (record,) = xmir(
            "atlas", "e.parquet", "-o", "a.parquet", "-f", "--outliers", "20"
        ).records()
        ringed = [row["id"] for row in pq.read_table("a.parquet").to_pylist() if row["outlier"]]
        assert record["neighbours"]["other"] == "patient"
        assert (set(ringed) >= {f"i/{row}" for row in range(50, 60)}) == (patients[0] == "p")


def test_where_and_sample_choose_what_is_drawn(xmir):
    write()
    result = xmir("atlas", "e.parquet", "-o", "a.parquet", "--where", "label=a", "--sample", "3")
    (record,) = result.records()
    assert (record["images"], record["of"]) == (3, 4)
    assert set(pq.read_table("a.parquet")["label"].to_pylist()) == {"a"}
    again = xmir("atlas", "e.parquet", "-o", "b.parquet", "--where", "label=a", "--sample", "3")
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()
    assert again.code == 0
    nothing = xmir("atlas", "e.parquet", "-o", "c.parquet", "--where", "label=c")
    assert nothing.code == 5
    assert "label" in nothing.stderr


def test_a_sample_is_of_the_same_images_whatever_the_order_of_the_rows(xmir):
    vectors = unit_vectors(12, 6)
    write("e.parquet", vectors=vectors)
    found = []
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(12)
        ids = [f"i/{row}" for row in rows]
        hashes = [sha256_file(f"{row}.png") for row in rows]
        write("moved.parquet", vectors=vectors[rows], pictures=False, id=ids, sha256=hashes)
        xmir("atlas", "moved.parquet", "-o", "a.parquet", "-f", "--sample", "5")
        found.append(set(pq.read_table("a.parquet")["id"].to_pylist()))
    assert (found, len(found[0])) == (found[:1] * 3, 5)


def test_without_labels_pictures_all_over_the_plane_stand_for_all(xmir):
    write(label=pa.array([None] * 12, pa.string()))
    result = xmir("atlas", "e.parquet", "-o", "a.png")
    assert (result.code, result.stderr) == (0, "")
    (record,) = result.records()
    assert (record["classes"], record["colors"], record["thumbnails"]) == ({}, [], 9)


def test_no_image_of_the_archive_is_written_over(xmir):
    write()
    before = Path("4.png").read_bytes()
    result = xmir("atlas", "e.parquet", "-o", "./4.png", "--force")
    assert (result.code, result.stdout) == (2, "")
    assert "--output 4.png: is an input, too" in result.stderr
    assert Path("4.png").read_bytes() == before


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_are_drawn_too(xmir, count):
    write(count=count)
    result = xmir("atlas", "e.parquet", "-o", "a.png", "-o", "a.parquet")
    assert (result.code, result.stderr) == (0, "")
    assert np.isfinite(np.array(pq.read_table("a.parquet")["x"])).all()


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        ((), 2, "--output: expected a file that ends in .png"),
        (("-o", "a.pdf"), 2, "--output a.pdf: expected a file that ends in .png"),
        (("-o", "a.png", "-o", "b.png"), 2, "--output: expected one file of each kind"),
        (("-o", "a.png", "--color", "lable"), 2, "--color: no column 'lable'; there are id"),
        (("-o", "no/a.png"), 5, "no: no such folder"),
        (("-o", "a.png", "--method", "tsne"), 2, "--method tsne: needs 5 images or more"),
        (("-o", "there.png"), 7, "there.png: exists already"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(xmir, flags, code, told):
    if "tsne" in flags:
        pytest.importorskip("sklearn")
    write(count=3)
    Path("there.png").write_bytes(b"")
    result = xmir("atlas", "e.parquet", *flags)
    assert result.code == code
    assert told in result.stderr
    assert not Path("a.png").exists()


def test_a_method_whose_library_is_missing_names_the_command(xmir, monkeypatch):
    monkeypatch.setattr("xmir_cli.atlas.projections.find_spec", lambda _: None)
    write()
    result = xmir("atlas", "e.parquet", "-o", "a.png", "--method", "umap")
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr.splitlines() == [
        "xmir: error: --method umap needs umap-learn",
        "xmir: hint: pip install 'xmir[atlas]'",
    ]


def test_tsne_of_too_many_images_says_what_to_do(xmir, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr("xmir_cli.atlas.projections._TSNE_MOST", 10)
    write()
    result = xmir("atlas", "e.parquet", "-o", "a.png", "--method", "tsne")
    assert result.code == 2
    assert "--method tsne: takes hours for 12 images; the limit is 10" in result.stderr
    assert "draw some of the images with --sample 5." in result.stderr


def test_tsne_keeps_clusters_together_and_its_seed_gives_the_same_picture(xmir):
    pytest.importorskip("sklearn")
    centres = np.repeat(unit_vectors(3, 8, seed=4), 10, axis=0)
    write(vectors=(centres + 0.02 * unit_vectors(30, 8)).astype(np.float32), pictures=False)
    tables = []
    for name in ("a.parquet", "b.parquet"):
        result = xmir("atlas", "e.parquet", "-o", name, "--method", "tsne", "--seed", "5")
        tables.append(pq.read_table(name))
    assert tables[0].equals(tables[1])
    assert json.loads(result.stdout)["settings"]["perplexity"] == pytest.approx(29 / 3)
    places = np.stack([tables[0]["x"], tables[0]["y"]], axis=1).reshape(3, 10, 2)
    spread = np.linalg.norm(places - places.mean(axis=1, keepdims=True), axis=2).max()
    apart = np.linalg.norm(places.mean(axis=1)[[0, 0, 1]] - places.mean(axis=1)[[1, 2, 2]], axis=1)
    assert apart.min() > spread


def test_a_page_holds_no_patient_and_shows_dicom(xmir, tmp_path):
    pydicom = pytest.importorskip("pydicom")
    pytest.importorskip("jinja2")
    write(count=3, patient=["JOHN DOE"] * 3, note=["a secret"] * 3)
    slice_ = pydicom.dataset.FileDataset(
        "0.dcm", {}, file_meta=pydicom.dataset.FileMetaDataset(), preamble=b"\0" * 128
    )
    slice_.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    slice_.PatientName, slice_.Modality = "DOE^JOHN", "CR"
    slice_.SOPClassUID = pydicom.uid.ComputedRadiographyImageStorage
    slice_.file_meta.MediaStorageSOPClassUID = slice_.SOPClassUID
    slice_.Rows, slice_.Columns, slice_.SamplesPerPixel = 20, 24, 1
    slice_.PhotometricInterpretation, slice_.PixelRepresentation = "MONOCHROME2", 0
    slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit = 16, 12, 11
    slice_.PixelData = np.linspace(0, 4000, 480).astype("<u2").tobytes()
    slice_.save_as("0.dcm")
    paths = ["0.dcm", "1.png", "2.png"]
    hashes = [sha256_file(path) for path in paths]
    write(count=3, patient=["JOHN DOE"] * 3, note=["a secret"] * 3, path=paths, sha256=hashes)
    result = xmir("atlas", "e.parquet", "-o", "a.html", "-o", "a.png")
    assert result.code == 0
    assert result.records()[0]["thumbnails"] == 3
    assert "unreadable" not in result.records()[0]
    text = Path("a.html").read_text()
    assert "DOE" not in text
    assert "secret" not in text
    assert str(tmp_path) not in text


def test_a_page_that_grows_too_large_says_what_to_do(xmir):
    pytest.importorskip("jinja2")
    write(count=1, site=["x" * 2_000_000])
    result = xmir("atlas", "e.parquet", "-o", "a.html", "--color", "site", "--limit", "1")
    assert result.code == 2
    error, hint = result.stderr.splitlines()
    assert error == "xmir: error: --limit: the page would hold 2 MB or more"
    assert hint.startswith("xmir: hint: Draw fewer pictures with --thumbnails (now 2000), fewer ")
    assert hint.endswith("images with --sample, or raise --limit.")
    assert not Path("a.html").exists()


def test_without_jinja_a_page_says_what_it_needs_before_any_work(xmir, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = xmir("atlas", "gone.parquet", "-o", "a.html")
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr.splitlines() == [
        "xmir: error: a page needs the package Jinja2",
        "xmir: hint: pip install 'xmir[report]'",
    ]


def test_names_that_are_no_utf8_are_read_and_their_ids_ask_an_index(xmir, tiny_arch):
    for row in range(3):
        Image.new("L", (40, 40), 60 * row).save(b"scan\xff%d.png" % row)
    asked = ("--arch", tiny_arch, "--weights", "random:0", "-o", "e.parquet")
    assert xmir("embed", ".", *asked).code == 0
    result = xmir("atlas", "e.parquet", "-o", "a.png", "-o", "a.parquet")
    assert (result.code, result.stderr) == (0, "")
    assert result.records()[0]["thumbnails"] == 3
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    ids = pq.read_table("a.parquet")["id"].to_pylist()
    lines = "".join(f"{each}\n" for each in ids).encode()
    found = xmir("query", "--id", "-", "--index", "e.xmir", "--top", "1", stdin=lines)
    assert [each["meta"]["id"] for each in found.records()] == ids
