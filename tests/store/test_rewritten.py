"""Embeddings that another program has rewritten: the same values, or the true reason."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xmir_cli.errors import DataError
from xmir_cli.store.embeddings import Embeddings, read_embeddings, write_embeddings
from xmir_cli.store.features import FeatureMaps
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("densenet121", "random:0", 4, weights_sha256="ab" * 32)
ROWS, DIM = 6, 4
UNEVEN = [[1.0], [1.0] * 3]


def embeddings(features: bool = False) -> Embeddings:
    names = [f"{row}.png" for row in range(ROWS)]
    items = pa.table(
        {
            "id": names,
            "path": names,
            "sha256": ["0" * 64] * ROWS,
            "width": pa.array([64] * ROWS, pa.int32()),
            "height": pa.array([48] * ROWS, pa.int32()),
            "label": pa.array(["a", "b"] * 3),
            "patient": pa.nulls(ROWS, pa.string()),
            "split": ["train"] * ROWS,
            "age": [60, 61, None, 63, 64, 65],
        }
    )
    rng = np.random.default_rng(0)
    maps = None
    if features:
        given = rng.normal(size=(ROWS, 3, 2, 2)).astype(np.float16)
        maps = FeatureMaps((3, 2, 2), lambda: iter([given]))
    vectors = rng.standard_normal((ROWS, DIM), dtype=np.float32)
    return Embeddings(items, vectors, MODEL, {}, maps)


@pytest.fixture
def table() -> pa.Table:
    write_embeddings(Path("good.parquet"), embeddings())
    return pq.read_table("good.parquet")


def recast(table: pa.Table, **kinds: pa.DataType) -> pa.Table:
    for name, kind in kinds.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, table[name].cast(kind))
    return table


def read(table: pa.Table, vouched: ModelSpec | None = None) -> Embeddings:
    pq.write_table(table, "a.parquet")
    return read_embeddings("a.parquet", vouched=vouched)


def refused(table: pa.Table, vouched: ModelSpec | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read(table, vouched)
    return str(caught.value).removeprefix("a.parquet: ")


CHANGES: dict[str, Callable[[pa.Table], pa.Table]] = {
    "pandas": lambda table: recast(table, embedding=pa.list_(pa.float32())),
    "polars": lambda table: recast(
        table, id=pa.large_string(), label=pa.large_string(), embedding=pa.list_(pa.float32(), DIM)
    ),
    "double": lambda table: recast(table, embedding=pa.large_list(pa.float64())),
    "categories": lambda table: recast(table, label=pa.dictionary(pa.int8(), pa.string())),
    "wide": lambda table: recast(table, width=pa.int64(), height=pa.uint16()),
    "nothing known": lambda table: table.drop_columns(["patient"]),
    "null": lambda table: table.set_column(6, "patient", pa.nulls(ROWS)),
    "another order": lambda table: table.select(table.column_names[::-1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_types_that_other_programs_change_are_taken(table, change: str):
    found, expected = read(CHANGES[change](table)), embeddings()
    assert found.items.select(expected.items.column_names).equals(expected.items)
    assert np.array_equal(found.vectors, expected.vectors)
    assert found.model == MODEL


def test_texts_have_no_white_space_around_them_but_ids_and_paths_do(table):
    for name, texts in {
        "id": [f" {row}" for row in range(ROWS)],
        "path": [f"{row}.png " for row in range(ROWS)],
        "patient": ["p7", " p7", "p7\u00a0", "nan", "", None],
        "split": ["train", "train ", "\ttrain", "Train", " ", None],
    }.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(texts))
    table = table.append_column("study", pa.array(["s", "s ", " s", "NaN", "", None]))
    found = read(table).items
    assert found["id"].to_pylist() == [f" {row}" for row in range(ROWS)]
    assert found["path"].to_pylist() == [f"{row}.png " for row in range(ROWS)]
    assert found["patient"].to_pylist() == ["p7", "p7", "p7", None, None, None]
    assert found["split"].to_pylist() == ["train", "train", "train", "Train", None, None]
    assert found["study"].to_pylist() == ["s", "s", "s", None, None, None]


def test_a_file_that_lost_its_metadata_says_who_wrote_it_and_is_read_when_vouched_for(table):
    bare = CHANGES["pandas"](table).replace_schema_metadata({"pandas": "{}"})
    reason = "no embeddings of xmir (no xmir.embeddings/1 in its metadata)"
    lost = "and which model made its vectors is lost"
    assert refused(bare) == f"{reason}; pandas wrote it, {lost}"
    assert (
        refused(bare.replace_schema_metadata(None))
        == f"{reason}; parquet-cpp-arrow wrote it, {lost}"
    )
    assert refused(bare.drop_columns(["embedding"])) == reason
    found = read(bare, MODEL)
    assert found.model == MODEL
    assert np.array_equal(found.vectors, embeddings().vectors)


def test_metadata_of_which_a_part_was_lost_is_taken_when_somebody_vouches_for_it(table):
    metadata = dict(table.schema.metadata)
    del metadata[b"xmir.version"]
    partly = table.replace_schema_metadata(metadata)
    assert refused(partly) == "damaged metadata (checksum)"
    assert read(partly, MODEL).model == MODEL
    del metadata[b"xmir.schema"], metadata[b"xmir.rows"]
    assert read(table.replace_schema_metadata(metadata), MODEL).model == MODEL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table.drop_columns(["sha256"]),
            "column sha256: expected string, found nothing",
        ),
        (
            lambda table: recast(table, width=pa.string()),
            "column width: expected int32, found string",
        ),
        (
            lambda table: table.set_column(9, "embedding", pa.array([[1.0, 2.0]] * 5 + [[1.0]])),
            "row 5: expected 2 numbers, found 1",
        ),
        (
            lambda table: table.set_column(9, "embedding", pa.array([[1.0] * 2] * 4 + UNEVEN)),
            "row 4: expected 2 numbers, found 1",
        ),
        (
            lambda table: table.set_column(9, "embedding", pa.array([[1.0]] * 5 + [None])),
            "column embedding: missing vectors",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_true_reason(table, change, message: str):
    assert refused(change(table)) == message


def test_columns_that_are_no_cells_are_left_out_by_name(table, capsys):
    more = table.append_column("tags", pa.array([["x"]] * ROWS))
    more = more.append_column("raw", pa.array([b"x"] * ROWS))
    found = read(more.append_column("score", pa.array([1.5, float("nan")] * 3)))
    assert found.items.column_names == [*embeddings().items.column_names, "score"]
    assert found.items["score"].to_pylist() == [1.5, None] * 3
    assert "left out tags (lists), raw (bytes)" in capsys.readouterr().err


def test_times_finer_than_python_has_are_rounded(table):
    times = pa.array([1_577_836_801_123_456_789] * ROWS, pa.timestamp("ns"))
    [when, *_] = read(table.append_column("when", times)).items["when"].to_pylist()
    assert when.isoformat() == "2020-01-01T00:00:01.123456"


def test_labels_and_patients_that_became_numbers_are_texts_again(table):
    numbers = table.set_column(5, "label", pa.array([1.0, float("nan"), 0.0] * 2))
    found = read(numbers.set_column(6, "patient", pa.array(range(ROWS)))).items
    assert found["label"].to_pylist() == ["1", None, "0"] * 2
    assert found["patient"].to_pylist() == [str(row) for row in range(ROWS)]


def test_feature_maps_are_taken_in_other_layouts_and_left_out_without_their_shape(capsys):
    write_embeddings(Path("good.parquet"), embeddings(features=True))
    table = pq.read_table("good.parquet")
    [expected] = read_embeddings("good.parquet").features.blocks()
    for kind in (table.schema.field("feature_map").type, pa.binary(), pa.large_binary()):
        [found] = read(recast(table, feature_map=kind)).features.blocks()
        assert np.array_equal(found, expected)
    assert read(table.replace_schema_metadata(None), MODEL).features is None
    assert "left out feature_map (bytes)" in capsys.readouterr().err
    [some] = read(table.slice(2, 3)).features.blocks()
    assert np.array_equal(some, expected[2:5])


def test_parts_whose_columns_differ_in_type_are_one_table():
    Path("parts").mkdir()
    first, second = embeddings(), embeddings()
    codes = [pa.array(range(ROWS)), pa.array(["x"] * ROWS)]
    ages = [pa.array(range(ROWS)), pa.array([0.5] * ROWS)]
    for number, (each, code, age) in enumerate(zip((first, second), codes, ages, strict=True)):
        items = each.items.append_column("code", code).append_column("size", age)
        write_embeddings(Path(f"parts/part-{number}.parquet"), replace(each, items=items))
    found = read_embeddings("parts").items
    assert found["code"].to_pylist() == [str(number) for number in range(ROWS)] + ["x"] * ROWS
    assert found["size"].to_pylist() == [*map(float, range(ROWS)), *[0.5] * ROWS]
    assert found["age"].to_pylist()[:3] == [60, 61, None]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("package", ["pandas", "polars", "duckdb"])
def test_real_programs_give_the_same_rows_back(package: str):
    program = pytest.importorskip(package)
    if package == "pandas":
        program.read_parquet("good.parquet").to_parquet("a.parquet")
    elif package == "polars":
        program.read_parquet("good.parquet").write_parquet("a.parquet")
    else:
        program.sql("copy (select * from 'good.parquet') to 'a.parquet'")
    found = read_embeddings("a.parquet", vouched=MODEL)
    assert found.items.drop_columns(["age"]).equals(embeddings().items.drop_columns(["age"]))
    assert found.items["age"].to_pylist() == embeddings().items["age"].to_pylist()
    assert np.array_equal(found.vectors, embeddings().vectors)


READING = """
import sys
from pathlib import Path
from xmir_cli.errors import DataError
from xmir_cli.store.embedding_readers import open_parquet

whole, start = Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
for place in range(start, len(whole) - 8):
    damaged = bytearray(whole)
    damaged[place] ^= 1 << place % 8
    Path(sys.argv[1]).write_bytes(damaged)
    try:
        open_parquet(Path(sys.argv[1]))
    except DataError:
        pass
"""


def test_a_damaged_footer_of_lists_ends_no_process(table, tmp_path: Path):
    listed = pa.array(table["embedding"].to_pylist(), pa.list_(pa.float32()))
    path = tmp_path / "listed.parquet"
    pq.write_table(table.set_column(9, "embedding", listed), path)
    whole = path.read_bytes()
    start = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    done = subprocess.run(
        [sys.executable, "-c", READING, path, str(start)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
