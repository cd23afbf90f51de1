import hashlib
import json
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from xmir_cli.gallery.folder.engine import open_gallery
from xmir_cli.store.embeddings import Embeddings, write_embeddings, write_stream
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)


def _embeddings(vectors, **columns):
    count = len(vectors)
    names = [f"image-{row}" for row in range(count)]
    table = {
        "id": names,
        "path": [f"/pictures/{name}.png" for name in names],
        "sha256": [hashlib.sha256(name.encode()).hexdigest() for name in names],
        "width": pa.array([64] * count, pa.int32()),
        "height": pa.array([48] * count, pa.int32()),
        "label": pa.array([None] * count, pa.string()),
        "patient": pa.array([None] * count, pa.string()),
        "split": pa.array([None] * count, pa.string()),
        **columns,
    }
    return Embeddings(pa.table(table), np.asarray(vectors, dtype=np.float32), MODEL)


def _random(count=40, dim=8):
    vectors = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def parquet(tmp_path):
    write_embeddings(tmp_path / "cxr.parquet", _embeddings(_random()))
    return tmp_path / "cxr.parquet"


def _bytes(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_an_index_holds_the_vectors_and_the_items_and_says_so(xmir, parquet):
    result = xmir("index", parquet, "-o", "cxr.xmir")
    assert (result.code, result.stderr) == (0, "")
    manifest = Path("cxr.xmir/manifest.json").read_bytes()
    assert result.records() == [
        {
            "schema": "xmir.artifact/1",
            "kind": "index",
            "path": "cxr.xmir",
            "rows": 40,
            "dim": 8,
            "skipped": 0,
            "sha256": hashlib.sha256(manifest).hexdigest(),
        }
    ]
    assert sorted(_bytes("cxr.xmir")) == ["items.parquet", "manifest.json", "vectors.npy"]
    np.testing.assert_array_equal(np.load("cxr.xmir/vectors.npy"), _random())
    gallery = open_gallery("cxr.xmir")
    assert gallery.manifest.kind == "exact"
    assert gallery.manifest.model == MODEL
    assert gallery.items["id"].to_pylist()[:2] == ["image-0", "image-1"]
    assert "embedding" not in gallery.items.column_names


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_the_same_embeddings_give_the_same_bytes(xmir, parquet, kind):
    for name in ("a.xmir", "b.xmir"):
        assert xmir("index", parquet, "-o", name, "--kind", kind).code == 0
    assert _bytes("a.xmir") == _bytes("b.xmir")


def test_a_graph_is_measured_against_exact_search(xmir, parquet):
    result = xmir("index", parquet, "-o", "g.xmir", "--kind", "hnsw", "--m", "8", "--seed", "3")
    assert result.stderr == ("xmir: note: recall at 10 of the graph against exact search: 1.0000\n")
    manifest = json.loads(Path("g.xmir/manifest.json").read_text())
    assert manifest["recall_at_10"] == 1.0
    assert manifest["settings"] == {"m": 8, "ef_construction": 200, "ef": 64, "seed": 3}
    assert manifest["files"]["graph.hnsw"]["bytes"] == Path("g.xmir/graph.hnsw").stat().st_size


@pytest.mark.parametrize("flags", [(), ("--reproducible",)])
def test_all_processors_build_a_graph_unless_it_is_to_be_reproducible(
    xmir, parquet, monkeypatch, flags
):
    monkeypatch.setattr("xmir_cli.gallery.folder.build._ALONE", 0)
    monkeypatch.setattr("xmir_cli.commands.index.count_threads", lambda: 3)
    for name in ("a.xmir", "b.xmir"):
        result = xmir("index", parquet, "-o", name, "--kind", "hnsw", *flags)
        assert result.stderr == (
            "xmir: note: recall at 10 of the graph against exact search: 1.0000\n"
        )
    [told] = xmir("info", "a.xmir").records()
    assert told["threads"] == (1 if flags else 3)
    assert _bytes("a.xmir") == _bytes("b.xmir") or not flags


def test_vectors_may_be_kept_in_float16_and_records_say_so(xmir, tiny_arch):
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 255, (40, 40), dtype=np.uint8)).save(f"{number}.png")
    network = ("--arch", tiny_arch, "--weights", "random:0")
    assert xmir("embed", *(f"{n}.png" for n in range(4)), *network, "-o", "e.parquet").code == 0
    [told] = xmir("index", "e.parquet", "-o", "e.xmir", "--store", "float16").records()
    assert told["store"] == "float16"
    assert xmir("info", "e.xmir").records()[0]["store"] == "float16"
    query = xmir("query", "0.png", "-i", "e.xmir", "-k", 4)
    records = query.records()
    assert {record["store"] for record in records} == {"float16"}
    kept = np.load("e.xmir/vectors.npy").astype(np.float64)
    own = pq.read_table("e.parquet")["embedding"].to_pylist()[0]
    own = np.asarray(own) / np.linalg.norm(own)
    expected = {f"{row}.png": float(kept[row] @ own) for row in range(4)}
    for record in records:
        name = Path(record["retrieved"]).name
        assert record["similarity"] == pytest.approx(min(1.0, expected[name]), abs=1e-6)
    by_id = xmir("query", "--id", "2.png", "-i", "e.xmir", "-k", 1).records()[0]
    assert by_id["similarity"] == pytest.approx(min(1.0, float(kept[2] @ kept[2])), abs=1e-12)
    assert xmir("saliency", "--method", "activation", "-o", "m", stdin=query.stdout).code == 0


def test_rows_that_cannot_be_searched_are_left_out_and_counted(xmir, tmp_path):
    vectors = _random(5)
    vectors[1], vectors[3] = 0, np.nan
    write_embeddings(tmp_path / "e.parquet", _embeddings(vectors))
    result = xmir("index", "e.parquet", "-o", "e.xmir")
    assert result.code == 3
    assert result.stderr == (
        "xmir: warning: skipped image-1: bad-vector: row 1 is zero, NaN or infinite\n"
        "xmir: warning: skipped image-3: bad-vector: row 3 is zero, NaN or infinite\n"
        "xmir: note: 3 indexed, 2 skipped (2 bad-vector)\n"
    )
    assert result.records()[0]["rows"] == 3
    assert result.records()[0]["skipped"] == 2
    names = open_gallery("e.xmir").items["id"].to_pylist()
    assert names == ["image-0", "image-2", "image-4"]


@pytest.mark.parametrize("ids", ["each its own", "one twice"])
def test_a_file_parts_and_a_stream_give_the_same_index_and_the_same_words(xmir, ids):
    vectors = _random(12)
    vectors[4], vectors[9] = 0, np.nan
    names = [f"image-{row}" for row in range(12)]
    if ids == "one twice":
        names[10] = names[2]  # in another part
    whole = _embeddings(vectors, id=names)
    write_embeddings(Path("e.parquet"), whole)
    Path("parts").mkdir()
    for number, start in enumerate((0, 5, 7)):
        stop = (5, 7, 12)[number]
        part = replace(
            whole, items=whole.items.slice(start, stop - start), vectors=whole.vectors[start:stop]
        )
        write_embeddings(Path(f"parts/part-{number:06}.parquet"), part)
    with Path("e.arrow").open("wb") as stream:
        write_stream(stream, whole)
    found = [xmir("index", source, "-o", f"{source}.xmir") for source in ("e.parquet", "parts")]
    found.append(xmir("index", "-", "-o", "s.xmir", stdin=Path("e.arrow").read_bytes()))
    assert {each.code for each in found} == {3 if ids == "each its own" else 5}
    assert len({each.stderr for each in found}) == 1
    if ids == "one twice":
        assert found[0].stderr == ("xmir: error: id 'image-2': 1 ids are there more than once\n")
        assert not list(Path().glob("*.xmir"))
    else:
        assert found[0].stderr.count("bad-vector: row") == 2
        assert _bytes("e.parquet.xmir") == _bytes("parts.xmir") == _bytes("s.xmir")


def test_vectors_of_another_length_are_scaled_to_one(xmir, tmp_path):
    write_embeddings(tmp_path / "e.parquet", _embeddings(3 * _random(5)))
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    lengths = np.linalg.norm(np.load("e.xmir/vectors.npy"), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_only_zero_rows_are_no_index(xmir, tmp_path):
    write_embeddings(tmp_path / "e.parquet", _embeddings(np.zeros((3, 4))))
    result = xmir("index", "e.parquet", "-o", "e.xmir")
    assert result.code == 5
    assert result.stderr == ("xmir: error: no usable rows among 3; nothing was written\n")
    assert not Path("e.xmir").exists()


def test_duplicate_ids_are_refused(xmir, tmp_path):
    write_embeddings(tmp_path / "e.parquet", _embeddings(_random(3), id=["a", "b", "a"]))
    result = xmir("index", "e.parquet", "-o", "e.xmir")
    assert result.code == 5
    assert "'a'" in result.stderr


def test_an_index_under_the_name_of_a_file_is_refused(xmir, parquet):
    result = xmir("index", parquet, "-o", "cxr.csv")
    line = "--output cxr.csv: a folder is written, and the name ends with .csv"
    assert (result.code, result.stderr.splitlines()[0]) == (2, f"xmir: error: {line}")


def test_an_index_is_replaced_only_by_force(xmir, parquet):
    assert xmir("index", parquet, "-o", "cxr.xmir", "--kind", "hnsw").code == 0
    again = xmir("index", parquet, "-o", "cxr.xmir")
    assert again.code == 7
    assert again.stderr.startswith("xmir: error: cxr.xmir: exists already\n")
    assert xmir("index", parquet, "-o", "cxr.xmir", "--force").code == 0
    assert "graph.hnsw" not in _bytes("cxr.xmir")


def test_what_is_no_index_is_never_replaced(xmir, parquet):
    before = parquet.read_bytes()
    result = xmir("index", parquet, "-o", parquet, "--force")
    assert result.code == 5
    assert result.stderr == f"xmir: error: {parquet}: not an index, so it is not replaced\n"
    assert parquet.read_bytes() == before


def test_a_missing_folder_is_named_before_anything_is_read(xmir):
    result = xmir("index", "no.parquet", "-o", "no/where.xmir")
    assert result.code == 5
    assert result.stderr == "xmir: error: no: no such folder\n"


def test_one_row_makes_an_index(xmir, tmp_path):
    write_embeddings(tmp_path / "e.parquet", _embeddings(_random(1)))
    for kind in ("exact", "hnsw"):
        assert xmir("index", "e.parquet", "-o", f"{kind}.xmir", "--kind", kind).code == 0


def test_a_failed_build_leaves_the_old_index_and_no_rubbish(xmir, parquet, monkeypatch):
    assert xmir("index", parquet, "-o", "cxr.xmir").code == 0
    before = _bytes("cxr.xmir")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xmir_cli.gallery.folder.build.write_through", full)
    result = xmir("index", parquet, "-o", "cxr.xmir", "--force")
    assert (result.code, result.stderr) == (5, "xmir: error: cxr.xmir: no space left on device\n")
    assert _bytes("cxr.xmir") == before
    assert sorted(path.name for path in Path().iterdir()) == ["cxr.parquet", "cxr.xmir"]


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_a_full_disk_is_said_in_the_systems_own_words(xmir, parquet, kind):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        result = xmir("index", parquet, "-o", "cxr.xmir", "--kind", kind)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (result.code, result.stderr) == (5, "xmir: error: cxr.xmir: file too large\n")
    assert [path.name for path in Path().iterdir()] == ["cxr.parquet"]


def test_a_damaged_index_is_never_opened(xmir, parquet, monkeypatch):
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 0)
    xmir("index", parquet, "-o", "cxr.xmir", "--kind", "hnsw")
    for name in ("vectors.npy", "items.parquet", "graph.hnsw", "manifest.json"):
        path = Path("cxr.xmir") / name
        whole = path.read_bytes()
        for damage in (
            whole[:-2],
            whole + b"\n\0",
            whole[:70] + bytes([whole[70] ^ 255]) + whole[71:],
        ):
            path.write_bytes(damage)
            result = xmir("query", "--id", "image-0", "--index", "cxr.xmir")
            assert result.code == 5, name
            assert result.stdout == ""
        path.write_bytes(whole)
    assert xmir("query", "--id", "image-0", "--index", "cxr.xmir").code == 0


def test_an_index_is_a_folder_and_no_stream(xmir):
    done = xmir("index", "e.parquet", "-o", "-")
    assert (done.code, done.stderr.splitlines()[0]) == (
        2,
        "xmir: error: --output -: an index is a folder",
    )
    assert not Path("-").exists()


@pytest.mark.parametrize("option", ["--shards", "--replicas"])
def test_what_a_folder_cannot_have_is_refused_before_a_row_is_read(xmir, tmp_path, option):
    vectors = _random()
    vectors[3] = 0
    write_embeddings(tmp_path / "zero.parquet", _embeddings(vectors))
    result = xmir("index", tmp_path / "zero.parquet", "-o", tmp_path / "x.xmir", option, "2")
    assert result.code == 2
    assert result.stderr == f"xmir: error: {option} 2: a folder has none; Qdrant has\n"
    assert not (tmp_path / "x.xmir").exists()
