import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.gallery import texts
from xmir_cli.gallery.folder import items as items_module
from xmir_cli.gallery.folder import lookups as module
from xmir_cli.gallery.folder.conditions import exclude
from xmir_cli.gallery.folder.images import Images
from xmir_cli.gallery.folder.items import Items, items_writer
from xmir_cli.gallery.protocol import Conditions, identity_in
from xmir_cli.retrieval.queries import Question

ROWS = 40


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """The items in their file, in groups of a few rows."""
    monkeypatch.setattr(items_module, "_GROUP", 7)
    with items_writer(tmp_path / "items.parquet") as write:
        write(_items())
    return Items(tmp_path / "items.parquet")


def _items():
    generator = np.random.default_rng(0)
    patients = [f"p{number}" if number else None for number in generator.integers(0, 6, ROWS)]
    return pa.table(
        {
            "id": [f"i{row}" for row in range(ROWS)],
            "path": [f"/d/{row // 3}.tif#frame={row % 3 + 1}" for row in range(ROWS)],
            "sha256": [f"hash of {row // 6}" for row in range(ROWS)],  # each file twice
            "patient": pa.array(patients, pa.string()),
            "width": pa.array(generator.integers(1, 4, ROWS), pa.int32()),
        }
    )


@pytest.mark.parametrize("passes", [0, 99])
@pytest.mark.parametrize("not_same", [(), ("patient",), ("id", "patient", "width")])
@pytest.mark.parametrize("not_itself", [True, False])
def test_excluded_are_the_items_with_a_value_of_the_query(
    stored, monkeypatch, not_same, not_itself, passes
):
    monkeypatch.setattr(module, "_PASSES", passes)
    monkeypatch.setattr(module, "_MANY", 4)
    items = _items().to_pylist()
    nothing = np.zeros(2, np.float32)
    asked = [
        Question("q", nothing, items[row], identity_in(items[row])) for row in (3, 0, 3, 17, 39)
    ]
    asked += [
        Question("q", nothing, {}),
        Question("q", nothing, {"patient": "nobody here", "width": "2"}),
        Question("q", nothing, {"patient": None, "id": ""}),
        Question("q", nothing, {"path": "/d/5.tif#frame=2"}, "hash of 5#frame=4"),
    ]
    conditions = Conditions(not_itself=not_itself, not_same=not_same)
    images = Images(stored)
    exclude(images, conditions, asked[::-1])  # what was found before is kept
    found = exclude(images, conditions, asked)
    columns = {*not_same, *(("id", "path") if not_itself else ())}
    for query, excluded in zip(asked, found, strict=True):
        expected = [
            row
            for row, item in enumerate(items)
            if any(
                query.columns.get(column) and str(item[column]) == str(query.columns[column])
                for column in columns
            )
            or (not_itself and identity_in(item) == query.identity)
        ]
        assert excluded.tolist() == expected


@pytest.mark.parametrize("passes", [0, 99])
def test_many_rows_that_cannot_be_found_are_one_array(stored, monkeypatch, passes):
    monkeypatch.setattr(module, "_PASSES", passes)
    monkeypatch.setattr(module, "_MANY", 4)
    rows, nothing = _items().to_pylist(), np.zeros(2, np.float32)
    asked = [Question("q", nothing, row, identity_in(row)) for row in rows]
    conditions = Conditions(not_itself=True, not_same=("width",))
    arrays = {}
    # the query's own row is among those of its width, but copies of its file need not be
    for row, found in zip(rows, exclude(Images(stored), conditions, asked), strict=True):
        if {rows[other]["width"] for other in found.tolist()} == {row["width"]}:
            arrays.setdefault(row["width"], set()).add(id(found))
    assert {width: len(each) for width, each in arrays.items()} == {1: 1, 2: 1, 3: 1}


def test_rows_share_a_label_of_several(tmp_path):
    labels = pa.array(["b", None, "", "a", "a | b", "|", "c"])
    with items_writer(tmp_path / "items.parquet") as write:
        write(pa.table({"label": labels}))
    images = Images(Items(tmp_path / "items.parquet"))
    for _ in range(2):
        found = images.rows_with("label", ["b", "c|a", None, "x", "b", "|"])
        assert [rows.tolist() for rows in found] == [[0, 4], [3, 4, 6], [], [], [0, 4], []]
        assert found[0] is found[4]


@pytest.mark.parametrize("passes", [0, 2, 99])
def test_images_are_found_by_their_identities_however_often(stored, monkeypatch, passes):
    monkeypatch.setattr(module, "_PASSES", passes)
    rows = _items().to_pylist()
    asked = [identity_in(row) for row in rows]
    asked += ["", "hash of 3", "hash of 3#frame=4", "hash of", "no hash", "hash of 1#frame=02"]
    expected = [
        [row for row, item in enumerate(rows) if identity and identity_in(item) == identity]
        for identity in asked
    ]
    assert len(expected[0]) == 2
    images = Images(stored)
    for _ in range(4):
        assert [found.tolist() for found in images.rows_of(asked)] == expected
        assert [found.tolist() for found in images.rows_of([None, *asked])] == [[], *expected]
    assert images.rows_of([]) == []


@pytest.mark.parametrize("passes", [0, 99])
@pytest.mark.parametrize("hashing", [hash, lambda _: 5])
def test_ids_and_paths_are_found_whatever_their_hashes(stored, monkeypatch, passes, hashing):
    monkeypatch.setattr(module, "_PASSES", passes)
    for place in (module, texts):
        monkeypatch.setattr(place, "hash", hashing, raising=False)
    for column in ("id", "path"):
        asked = [*stored[column].to_pylist(), "", None, "i", "i400", "/d/5.tif", "日本", 7]
        rows = stored[column].to_pylist()
        expected = [[row for row, text in enumerate(rows) if text == each] for each in asked]
        images = Images(stored)
        for _ in range(3):
            assert [found.tolist() for found in images.rows_with(column, asked)] == expected
    assert images.rows_with("id", [None, ""])[1].tolist() == []
