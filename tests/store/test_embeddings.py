"""The embeddings file: whole and as it was, or an error in one line."""

import contextlib
import hashlib
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmir_cli.errors import DataError
from xmir_cli.store.embedding_readers import open_parquet
from xmir_cli.store.embeddings import (
    Embeddings,
    label_array,
    read_embeddings,
    write_embeddings,
    write_stream,
)
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("densenet121", "random:0", 4, weights_sha256="ab" * 32)


def embeddings(rows: int = 5, dim: int = 4, model: ModelSpec = MODEL) -> Embeddings:
    names = [f"image-{row}.png" for row in range(rows)]
    items = pa.table(
        {
            "id": names,
            "path": [f"/data/{name}" for name in names],
            "sha256": ["0" * 64] * rows,
            "width": pa.array([64] * rows, pa.int32()),
            "height": pa.array([48] * rows, pa.int32()),
            "label": pa.array([None if row == 1 else "normal" for row in range(rows)], pa.string()),
            "patient": pa.nulls(rows, pa.string()),
            "split": ["train"] * rows,
            "age": ["7"] * rows,
        }
    )
    vectors = np.random.default_rng(0).standard_normal((rows, dim), dtype=np.float32)
    return Embeddings(items, vectors, model, {"precision": "fp32"})


def same(left: Embeddings, right: Embeddings) -> bool:
    return (
        left.items.equals(right.items)
        and np.array_equal(left.vectors, right.vectors, equal_nan=True)
        and left.model == right.model
        and dict(left.made) == dict(right.made)
    )


def refused(source: object) -> str:
    with pytest.raises(DataError) as caught:
        read_embeddings(str(source))
    return str(caught.value).removeprefix(f"{source}: ")


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch):
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))

    return give


@pytest.mark.parametrize("rows", [1, 5, 16_384 + 3])
def test_what_is_written_is_read(tmp_path: Path, rows: int):
    write_embeddings(tmp_path / "a.parquet", embeddings(rows))
    found = read_embeddings(str(tmp_path / "a.parquet"))
    assert same(found, embeddings(rows))
    assert found.vectors.flags.c_contiguous
    assert found.vectors.dtype == np.float32


def test_any_parquet_reader_sees_ids_and_vectors(tmp_path: Path):
    write_embeddings(tmp_path / "a.parquet", embeddings())
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column_names == [*embeddings().items.column_names, "embedding"]
    assert str(table.schema.field("embedding").type).startswith("fixed_size_list<")
    assert np.allclose(np.stack(table["embedding"].to_pylist()), embeddings().vectors)
    chunk = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0)
    vectors = chunk.column(chunk.num_columns - 1)
    assert vectors.compression == "UNCOMPRESSED"
    assert "RLE_DICTIONARY" not in vectors.encodings


def test_metadata_names_schema_rows_and_model(tmp_path: Path):
    write_embeddings(tmp_path / "a.parquet", embeddings())
    metadata = pq.read_schema(tmp_path / "a.parquet").metadata
    assert metadata[b"xmir.schema"] == b"xmir.embeddings/1"
    assert metadata[b"xmir.rows"] == b"5"
    assert metadata[b"xmir.precision"] == b"fp32"
    assert json.loads(metadata[b"xmir.model"])["weights_sha256"] == "ab" * 32
    header = open_parquet(tmp_path / "a.parquet")
    assert (header.rows, header.dim, header.model) == (5, 4, MODEL)


def test_equal_embeddings_give_equal_bytes(tmp_path: Path):
    write_embeddings(tmp_path / "a", embeddings())
    write_embeddings(tmp_path / "b", embeddings())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_slices_keep_items_and_vectors_together(tmp_path: Path):
    whole = embeddings(7)
    part = replace(whole, items=whole.items.slice(2, 3), vectors=whole.vectors[2:5])
    write_embeddings(tmp_path / "a", part)
    found = read_embeddings(str(tmp_path / "a"))
    assert found.items["id"].to_pylist() == ["image-2.png", "image-3.png", "image-4.png"]
    assert np.array_equal(found.vectors, whole.vectors[2:5])


def test_a_stream_holds_the_same_as_the_file(stdin, tmp_path: Path):
    buffer = io.BytesIO()
    write_stream(buffer, embeddings(20))
    stdin(buffer.getvalue())
    assert same(read_embeddings("-"), embeddings(20))
    (tmp_path / "a.arrow").write_bytes(buffer.getvalue())
    assert same(read_embeddings(str(tmp_path / "a.arrow")), embeddings(20))


def test_a_stream_whose_writer_died_is_no_embeddings(stdin):
    buffer = io.BytesIO()
    write_stream(buffer, embeddings(40_000))
    data = buffer.getvalue()
    for cut in (100, len(data) // 2, len(data) * 9 // 10):
        stdin(data[:cut])
        assert refused("-").startswith("standard input: ")


def test_a_receipt_stands_for_its_file(stdin, tmp_path: Path):
    write_embeddings(tmp_path / "a.parquet", embeddings())
    receipt = {"schema": "xmir.artifact/1", "kind": "embeddings", "path": "a.parquet"}
    stdin(json.dumps(receipt).encode() + b"\n")
    assert same(read_embeddings("-"), embeddings())
    (tmp_path / "receipt.json").write_text(json.dumps(receipt))
    assert same(read_embeddings("receipt.json"), embeddings())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no records on standard input"),
        (b"{}\n", "standard input: expected embeddings or the receipt of 'xmir embed'"),
        (b"{\xff\n", "standard input: expected embeddings or the receipt of 'xmir embed'"),
        (
            b'{"schema": "xmir.artifact/1", "kind": "index", "path": "a"}\n',
            "standard input: the receipt of 'index' is not of embeddings",
        ),
        (b"hello", "standard input: damaged or cut Arrow stream"),
        (b"PAR1more", "standard input: expected an Arrow stream, found Parquet"),
    ],
)
def test_other_things_on_stdin_are_refused(stdin, data: bytes, message: str):
    stdin(data)
    assert refused("-") == message


def test_a_closed_stdin_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert refused("-") == "standard input is closed"


def test_a_folder_of_parts_is_one_table(tmp_path: Path):
    whole = embeddings(6)
    for number, rows in enumerate((slice(0, 4), slice(4, 6))):
        part = replace(
            whole,
            items=whole.items.slice(rows.start, rows.stop - rows.start),
            vectors=whole.vectors[rows],
        )
        write_embeddings(tmp_path / f"part-{number}.parquet", part)
    assert same(read_embeddings(str(tmp_path)), whole)


def test_parts_of_different_models_do_not_mix(tmp_path: Path):
    write_embeddings(tmp_path / "part-0.parquet", embeddings())
    write_embeddings(tmp_path / "part-1.parquet", embeddings(model=replace(MODEL, head=None)))
    with pytest.raises(DataError, match=r"part-1.parquet: not made by the model of part-0"):
        read_embeddings(str(tmp_path))
    write_embeddings(tmp_path / "part-1.parquet", embeddings(dim=3))
    with pytest.raises(DataError, match="vectors of another length"):
        read_embeddings(str(tmp_path))
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty") == "not an embeddings file, but a folder"


def test_unusable_numbers_are_refused_unless_asked_for(tmp_path: Path):
    broken = embeddings()
    broken.vectors[3, 1] = np.nan
    write_embeddings(tmp_path / "a", broken)
    assert refused(tmp_path / "a") == "row 3: NaN or infinity"
    assert same(read_embeddings(str(tmp_path / "a"), allow_nan=True), broken)


def rewritten(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


def test_wrong_schemas_are_refused_by_name(tmp_path: Path):
    write_embeddings(tmp_path / "good", embeddings())
    good = pq.read_table(tmp_path / "good")
    path = tmp_path / "bad"
    assert refused(rewritten(path, good.replace_schema_metadata(None))).startswith(
        "no embeddings of xmir (no xmir.embeddings/1 in its metadata)"
    )
    assert (
        refused(rewritten(path, good.drop_columns(["sha256"])))
        == "column sha256: expected string, found nothing"
    )
    wide = good.set_column(3, "width", good["width"].cast(pa.float64()))
    assert refused(rewritten(path, wide)) == "column width: expected int32, found double"
    texts = good.set_column(9, "embedding", pa.array([["a"]] * 5))
    assert refused(rewritten(path, texts)).startswith(
        "column embedding: expected float32 vectors, found list<"
    )
    assert (
        refused(rewritten(path, good.drop_columns(["embedding"])))
        == "column embedding: expected float32 vectors, found null"
    )
    twice = good.append_column("label", good["label"])
    assert refused(rewritten(path, twice)) == "two columns have the same name"
    empty = pa.array([[]] * 5, pa.list_(pa.float32(), 0))
    assert refused(rewritten(path, good.set_column(9, "embedding", empty))) in {
        "vectors of length 0",
        "damaged or not a Parquet file",
    }


def test_rows_without_id_or_vector_are_refused(tmp_path: Path):
    write_embeddings(tmp_path / "good", embeddings(2))
    good = pq.read_table(tmp_path / "good")
    nameless = good.set_column(0, "id", pa.array(["a", None]))
    assert refused(rewritten(tmp_path / "a", nameless)) == "column id: 1 rows have none"
    missing = pa.array([[1.0] * 4, None], pa.list_(pa.float32(), 4))
    path = rewritten(tmp_path / "b", good.set_column(9, "embedding", missing))
    old = "damaged or not a Parquet file"  # what Arrow before 21 makes of such a column
    assert refused(path) in {"column embedding: missing vectors", old}


def promising(path: Path, rows: bytes) -> Path:
    write_embeddings(path, embeddings())
    good = pq.read_table(path)
    return rewritten(
        path, good.replace_schema_metadata({**good.schema.metadata, b"xmir.rows": rows})
    )


def test_more_rows_than_were_made_may_be_of_two_models(tmp_path: Path):
    path = promising(tmp_path / "a", b"4")
    assert refused(path) == "expected 4 rows, found 5: are all of one model?"
    assert len(read_embeddings(str(path), vouched=MODEL).vectors) == 5
    assert refused(promising(tmp_path / "a", b"many")) == "damaged metadata"


def test_a_filtered_file_is_read_and_this_is_said(tmp_path: Path, capsys):
    path = promising(tmp_path / "a", b"6")
    assert same(read_embeddings(str(path)), embeddings())
    assert capsys.readouterr().err == (
        f"xmir: note: {path}: 5 of the 6 rows that it was made with\n"
    )


def test_a_small_file_that_would_unfold_to_gigabytes_is_refused(tmp_path: Path):
    rows = 100_000
    bomb = replace(embeddings(), vectors=np.zeros((rows, 64), np.float32))
    bomb = replace(bomb, items=pa.concat_tables([embeddings(rows=1000).items] * 100))
    from xmir_cli.store.embedding_table import to_table

    pq.write_table(to_table(bomb), tmp_path / "a", compression="zstd")
    assert (tmp_path / "a").stat().st_size < 1_000_000
    assert refused(tmp_path / "a") == "promises more vectors than it holds"


@pytest.mark.parametrize("content", [b"", b"id,path\n", b"\x80\x04pickle", b"PAR1" + bytes(50)])
def test_other_files_are_refused(tmp_path: Path, content: bytes):
    (tmp_path / "a").write_bytes(content)
    assert refused(tmp_path / "a") in {
        "not an embeddings file",
        "not an embeddings file, but a table",
        "damaged or not a Parquet file",
    }


def test_missing_files_are_named(tmp_path: Path):
    assert refused(tmp_path / "gone") == "no such file or directory"


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 20_000), bit=st.integers(0, 7), cut=st.booleans())
def test_no_damage_changes_a_vector_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int, cut: bool
):
    path = tmp_path_factory.mktemp("damage") / "a"
    write_embeddings(path, embeddings(40))
    data = bytearray(path.read_bytes())
    place %= len(data)
    data[place] ^= 1 << bit
    path.write_bytes(data[:place] if cut else data)
    try:
        found = read_embeddings(str(path))
    except DataError:
        return
    assert np.array_equal(found.vectors, embeddings(40).vectors)


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 20_000), value=st.integers(0, 255))
def test_a_damaged_stream_ends_in_an_error_or_a_table(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
):
    buffer = io.BytesIO()
    write_stream(buffer, embeddings())
    data = bytearray(buffer.getvalue())
    data[4 + place % (len(data) - 4)] = value
    path = tmp_path_factory.mktemp("damage") / "a"
    path.write_bytes(data)
    with contextlib.suppress(DataError):
        assert read_embeddings(str(path), allow_nan=True).vectors.shape == (5, 4)


def test_columns_come_as_labels_and_unknown_ones_are_named():
    assert label_array(embeddings(3), "label") == ["normal", None, "normal"]
    assert label_array(embeddings(1), "width") == ["64"]
    with pytest.raises(DataError, match="no column 'sex' in the embeddings; there are id, path"):
        label_array(embeddings(), "sex")


def test_a_description_that_was_changed_is_refused_and_one_without_a_checksum_is_read(
    tmp_path: Path,
):
    write_embeddings(tmp_path / "good", embeddings())
    good = pq.read_table(tmp_path / "good")
    told = good.schema.metadata
    other = told[b"xmir.model"].replace(b'"resize": 256', b'"resize": 257')
    assert other != told[b"xmir.model"]
    for change in ({b"xmir.model": other}, {b"xmir.precision": b"bf16"}, {b"xmir.more": b"x"}):
        changed = good.replace_schema_metadata({**told, **change})
        assert refused(rewritten(tmp_path / "a", changed)) == "damaged metadata (checksum)"
        with (tmp_path / "stream").open("wb") as file, pa.ipc.new_stream(file, changed.schema) as w:
            w.write_table(changed)
        assert refused(tmp_path / "stream") == "damaged metadata (checksum)"
    seals = {b"xmir.checksum", b"xmir.sealed"}
    unsealed = {name: text for name, text in told.items() if name not in seals}
    path = rewritten(tmp_path / "old", good.replace_schema_metadata(unsealed))
    assert read_embeddings(str(path)).model == read_embeddings(str(tmp_path / "good")).model


def test_no_changed_byte_of_the_footer_gives_another_description(tmp_path: Path):
    write_embeddings(tmp_path / "a", embeddings())
    whole = (tmp_path / "a").read_bytes()
    expected = read_embeddings(str(tmp_path / "a"))
    start = whole.index(b"xmir.")
    for place in range(start, len(whole), 5):
        changed = bytearray(whole)
        changed[place] ^= 1
        (tmp_path / "b").write_bytes(changed)
        try:
            found = read_embeddings(str(tmp_path / "b"))
        except DataError:
            continue
        assert (found.model, found.made) == (expected.model, expected.made)
        assert found.items["id"] == expected.items["id"]
        assert found.vectors.tobytes() == expected.vectors.tobytes()


def test_no_changed_byte_gives_other_columns_rows_or_vectors(tmp_path: Path):
    write_embeddings(tmp_path / "a", embeddings())
    with (tmp_path / "s").open("wb") as file:
        write_stream(file, embeddings())
    for source in (tmp_path / "a", tmp_path / "s"):
        whole = source.read_bytes()
        expected = read_embeddings(str(source))
        for place in range(0, len(whole), 7):
            source.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            try:
                found = read_embeddings(str(source), allow_nan=True)
            except DataError:
                continue
            assert same(found, expected), place


@pytest.mark.parametrize("name", [b"label", b"patient"])
def test_a_column_under_another_name_is_damage(tmp_path: Path, name: bytes):
    write_embeddings(tmp_path / "a", embeddings())
    whole = (tmp_path / "a").read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    place = whole.index(b"\x18" + bytes([len(name)]) + name, footer) + 2  # in the schema of Parquet
    (tmp_path / "a").write_bytes(whole[:place] + b"x" + whole[place + 1 :])
    assert refused(tmp_path / "a") == "damaged or not a Parquet file"
    with (tmp_path / "s").open("wb") as file:
        write_stream(file, embeddings())
    whole = (tmp_path / "s").read_bytes()
    place = whole.index(bytes([len(name), 0, 0, 0]) + name) + 4
    (tmp_path / "s").write_bytes(whole[:place] + b"x" + whole[place + 1 :])
    assert refused(tmp_path / "s") == "damaged or cut Arrow stream"


def test_another_program_may_change_the_columns(tmp_path: Path):
    write_embeddings(tmp_path / "a", embeddings())
    table = pq.read_table(tmp_path / "a")
    names = [f"{name}s" if name == "patient" else name for name in table.column_names]
    told = table.schema.metadata
    changed = table.rename_columns(names).replace_schema_metadata(told)
    found = read_embeddings(str(rewritten(tmp_path / "b", changed)))
    assert "patients" in found.items.column_names


def test_a_page_that_is_passed_over_is_damage(tmp_path: Path):
    write_embeddings(tmp_path / "a", embeddings())
    whole = (tmp_path / "a").read_bytes()
    chunk = pq.ParquetFile(tmp_path / "a").metadata.row_group(0)
    place = chunk.column(chunk.num_columns - 1).data_page_offset + 1
    assert whole[place - 1 : place + 1] == b"\x15\0"  # the kind of the page: data
    (tmp_path / "a").write_bytes(whole[:place] + b"\x20" + whole[place + 1 :])
    assert refused(tmp_path / "a") == "damaged or not a Parquet file"


def test_a_stream_of_batches_without_their_checksums_is_damage(tmp_path: Path):
    buffer = io.BytesIO()
    write_stream(buffer, embeddings())
    table = pa.ipc.open_stream(buffer.getvalue()).read_all()
    with (tmp_path / "s").open("wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    assert refused(tmp_path / "s") == "damaged or cut Arrow stream"


def test_a_receipt_is_of_the_file_that_it_was_written_for(stdin, tmp_path: Path):
    write_embeddings(tmp_path / "a", embeddings())
    receipt = {
        "schema": "xmir.artifact/1", "kind": "embeddings", "path": str(tmp_path / "a"),
        "sha256": hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest(),
    }  # fmt: skip
    stdin(json.dumps(receipt).encode())
    assert same(read_embeddings("-"), embeddings())
    write_embeddings(tmp_path / "a", embeddings(6))
    stdin(json.dumps(receipt).encode())
    with pytest.raises(DataError, match="is another file than the receipt is of"):
        read_embeddings("-")
