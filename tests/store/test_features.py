"""Feature maps on the disk: whole, in their order, and only in float16."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xmir_cli.errors import DataError, ItemError
from xmir_cli.store import features as module
from xmir_cli.store.embeddings import Embeddings, read_embeddings, write_embeddings, write_stream
from xmir_cli.store.features import FeatureMaps, narrow_map
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("densenet121", "random:0", 4, weights_sha256="ab" * 32)
SHAPE = (3, 2, 2)
SEALS = {b"xmir.checksum", b"xmir.sealed"}


def maps(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, *SHAPE)).astype(np.float16)


def all_of(features: FeatureMaps | None) -> np.ndarray:
    assert features is not None
    return np.concatenate(list(features.blocks()))


def embeddings(rows: int = 7) -> Embeddings:
    text = pa.array([str(row) for row in range(rows)])
    number = pa.array([8] * rows, pa.int32())
    columns = dict.fromkeys(("id", "path", "sha256", "label", "patient", "split"), text)
    items = pa.table({**columns, "width": number, "height": number})
    order = ["id", "path", "sha256", "width", "height", "label", "patient", "split"]
    features = FeatureMaps(SHAPE, lambda: iter(np.array_split(maps(rows), 3)))
    vectors = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    return Embeddings(items.select(order), vectors, MODEL, {}, features)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 3 * 24)  # three maps


def test_a_value_beyond_float16_is_refused_and_a_large_one_is_not():
    assert np.array_equal(narrow_map(np.full(SHAPE, 65504.0)), np.full(SHAPE, 65504))
    with pytest.raises(ItemError, match="bad-features"):
        narrow_map(np.full(SHAPE, 65520.0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 65504.0, -65504.0, 0.0, 6e-8])
def test_finite_is_numpys(value: float):
    given = np.array([1, value, 2], np.float16)
    assert module.is_finite(given) == np.isfinite(given).all()


def test_only_some_rows():
    wanted = np.array([True, False, False, True, True, False, True])
    assert np.array_equal(all_of(embeddings().features.only(wanted)), maps(7)[wanted])


@pytest.mark.parametrize("kind", ["parquet", "arrow", "parts"])
def test_a_table_keeps_them(tmp_path: Path, kind: str):
    given = embeddings()
    if kind == "arrow":
        buffer = io.BytesIO()
        write_stream(buffer, given)
        (tmp_path / "a").write_bytes(buffer.getvalue())
    elif kind == "parquet":
        write_embeddings(tmp_path / "a", given)
    else:
        (tmp_path / "a").mkdir()
        for number in range(2):
            write_embeddings(tmp_path / "a" / f"part-{number}.parquet", given)
    found = read_embeddings(str(tmp_path / "a"))
    times = 2 if kind == "parts" else 1
    assert np.array_equal(all_of(found.features), np.concatenate([maps(7)] * times))
    assert np.array_equal(found.vectors, np.concatenate([given.vectors] * times))
    assert found.items.column_names == given.items.column_names
    assert found.made == {}


def test_without_them_the_file_is_the_same_but_for_them(tmp_path: Path):
    write_embeddings(tmp_path / "a", embeddings())
    write_embeddings(tmp_path / "b", replace(embeddings(), features=None))
    with_maps, without = pq.read_table(tmp_path / "a"), pq.read_table(tmp_path / "b")
    assert with_maps.drop_columns(["feature_map"]).equals(without)
    assert without.schema.metadata.keys() == with_maps.schema.metadata.keys() - {b"xmir.features"}
    first = np.frombuffer(with_maps["feature_map"][0].as_py(), "<f2").reshape(SHAPE)
    assert np.array_equal(first, maps(7)[0])  # as the README tells others to read it


def test_parts_must_agree(tmp_path: Path):
    write_embeddings(tmp_path / "part-0.parquet", embeddings())
    write_embeddings(tmp_path / "part-1.parquet", replace(embeddings(), features=None))
    with pytest.raises(DataError, match="feature maps of another shape than in part-0"):
        read_embeddings(str(tmp_path))


def test_a_flipped_bit_is_noticed_when_they_are_read(tmp_path: Path):
    write_embeddings(tmp_path / "a", embeddings())
    data = (tmp_path / "a").read_bytes()
    place = data.index(maps(7)[4].tobytes())
    (tmp_path / "a").write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    found = read_embeddings(str(tmp_path / "a"))
    with pytest.raises(DataError, match="damaged or not a Parquet file"):
        all_of(found.features)


def test_a_file_that_promises_more_than_it_holds_is_refused(tmp_path: Path):
    write_embeddings(tmp_path / "a", embeddings())
    table = pq.read_table(tmp_path / "a")
    unsealed = {name: text for name, text in table.schema.metadata.items() if name not in SEALS}
    metadata = {**unsealed, b"xmir.features": b"3000x2000x2"}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "b")
    with pytest.raises(DataError, match="promises more vectors than it holds"):
        read_embeddings(str(tmp_path / "b"))
    other = {**unsealed, b"xmir.features": b"2x2x2"}
    pq.write_table(table.replace_schema_metadata(other), tmp_path / "c")
    with pytest.raises(DataError, match="missing feature maps"):
        all_of(read_embeddings(str(tmp_path / "c")).features)


@pytest.mark.parametrize("text", ["", "1x2", "1x2x3x4", "0x2x2", "ax2x2"])
def test_a_shape_that_is_none_is_damage(tmp_path: Path, text: str):
    write_embeddings(tmp_path / "a", embeddings())
    table = pq.read_table(tmp_path / "a")
    metadata = {**table.schema.metadata, b"xmir.features": text}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "b")
    with pytest.raises(DataError, match="damaged metadata"):
        read_embeddings(str(tmp_path / "b"))


def test_a_table_that_lost_its_maps_is_one_without(tmp_path: Path, capsys):
    write_embeddings(tmp_path / "a", embeddings())
    table = pq.read_table(tmp_path / "a").drop_columns(["feature_map"])
    pq.write_table(table, tmp_path / "b")
    assert read_embeddings(str(tmp_path / "b")).features is None
    assert "without its feature maps" in capsys.readouterr().err
