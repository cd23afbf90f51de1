"""What every engine promises; a new one adds a row to ENGINES.

A row builds an index of embeddings at a place of its own and says its name.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from tests.servers import servers
from xmir_cli.arrays import clip_cosines
from xmir_cli.errors import DataError
from xmir_cli.gallery.engines import (
    build_index,
    describe_index,
    is_index,
    make_absolute,
    open_gallery,
)
from xmir_cli.gallery.protocol import Build, Conditions, GraphSettings, identity_in
from xmir_cli.gallery.vectors import center_rows, mean_vector, products, unit_rows
from xmir_cli.labels import parse_labels, share_label
from xmir_cli.retrieval.by_label import draw_by_label, items_by_label
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.store.features import FeatureMaps
from xmir_cli.store.where import Condition
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
ROWS, DIM = 60, 8
ODD = ["'; DROP TABLE x; --", 'say "é"', "\\x41", "100%_", "日本", " "]


@dataclass(frozen=True)
class Engine:
    """A kind of index: where one of a name lies, and what is left out of the suite."""

    kind: str
    place: Callable[[str], str]
    on_server: bool = False  # slower, and keeps no feature maps

    def __call__(self, embeddings, name, graph=None):
        place = self.place(f"{name}-{self.kind}")
        build_index(place, embeddings, Build(self.kind, graph or GraphSettings(), force=True))
        return place


def folder(name):
    return make_absolute(f"{name}.xmir")


ENGINES = {"exact": Engine("exact", folder), "hnsw": Engine("hnsw", folder)}
for server in servers():  # of those whose client is in this environment
    for kind in ("exact", "hnsw"):
        ENGINES[f"{server.name}-{kind}"] = Engine(kind, server.place, on_server=True)


@pytest.fixture(scope="module", autouse=True)
def stopped():
    yield
    for server in servers():
        server.stop()


@pytest.fixture(autouse=True)
def however_small(monkeypatch):
    """A graph is asked in the smallest gallery, too."""
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 0)
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.ROWS_A_CANDIDATE", 1)


@dataclass(frozen=True)
class Asked:
    vector: np.ndarray
    columns: dict = field(default_factory=dict)
    identity: str | None = None


def make(rows=ROWS, features=False):
    """Items in an order that is not that of their ids, with ties, frames, copies and no values."""
    chance = random.Random(0)  # noqa: S311
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(rows, DIM)).astype(np.float32)
    vectors[rows // 2 :: 3] = vectors[0 : rows - rows // 2 : 3][: len(vectors[rows // 2 :: 3])]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    files = [f"{row // 4 if row < 24 else row:064x}" for row in range(rows)]
    files[50] = ""  # unknown
    frames = [f"#frame={row % 4 + 1}" if row < 24 else "" for row in range(rows)]
    places = [row // 8 if row < 24 else row for row in range(rows)]  # of files
    text = pa.string()
    columns = {
        "id": pa.array([f"i{(7 * row) % 97}" for row in range(rows)], text),
        "path": [f"/d/{place}.tif{frame}" for place, frame in zip(places, frames, strict=True)],
        "sha256": files,
        "width": pa.array([100 + row % 3 for row in range(rows)], pa.int32()),
        "height": pa.array([90] * rows, pa.int32()),
        "label": pa.array(
            [chance.choice(["ill", "well", "well | ill", *ODD, None]) for _ in range(rows)], text
        ),
        "patient": pa.array([chance.choice(["p", "q", "r", "s", "", None]) for _ in range(rows)]),
        "split": pa.array([None] * rows, text),
        "sité": pa.array([chance.choice(["x", "y"]) for _ in range(rows)], text),
    }
    maps = None
    if features:
        given = generator.normal(size=(rows, 3, 2, 2)).astype(np.float16)
        maps = FeatureMaps((3, 2, 2), lambda: iter([given]))
    return Embeddings(pa.table(columns), vectors, MODEL, {}, maps)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    return ENGINES[request.param]


@pytest.fixture(scope="module")
def embeddings():
    return make()


@pytest.fixture(scope="module")
def name(engine, embeddings, tmp_path_factory):
    return engine(embeddings, tmp_path_factory.mktemp("contract") / "a")


@pytest.fixture
def gallery(name):
    return open_gallery(name)


@pytest.fixture(scope="module")
def rows(embeddings):
    return embeddings.items.to_pylist()


def ask(rows, embeddings, row):
    return Asked(embeddings.vectors[row], rows[row], identity_in(rows[row]))


def naive(rows, vectors, query, k, conditions):
    """The rows that the protocol's words promise, best first, by plain loops."""
    similarities = products(vectors, query.vector).tolist()
    order = sorted(range(len(rows)), key=lambda row: (-similarities[row], row))
    counts, found = Counter(), []
    for row in order:
        if not _allowed(rows[row], query, conditions):
            continue
        if conditions.at_most is not None:
            column, most = conditions.at_most
            value = rows[row][column]
            values = parse_labels(value) if column == "label" else {value} - {None, ""}
            if any(counts[each] >= most for each in values):
                continue
            counts.update(values)
        found.append((row, max(-1.0, min(1.0, similarities[row]))))
    return found[:k]


def _allowed(item, query, conditions):
    def shared(column):
        own, other = query.columns.get(column), item[column]
        if column == "label":
            return share_label(own, other) is True
        return own is not None and str(own) != "" and str(own) == str(other)

    texts = {column: "" if value is None else str(value) for column, value in item.items()}
    columns = [*conditions.not_same, *(("id", "path") if conditions.not_itself else ())]
    return (
        all(_holds(item, texts, condition) for condition in conditions.where)
        and (
            not conditions.other_labels
            or share_label(item["label"], conditions.other_labels) is False
        )
        and not any(map(shared, columns))
        and not (conditions.not_itself and query.identity and query.identity == identity_in(item))
    )


def _holds(item, texts, condition):
    value = texts[condition.column]
    if condition.operator == ">":
        return item[condition.column] > int(condition.value)
    if condition.column == "label" and condition.value.strip():
        wanted, own = parse_labels(condition.value), parse_labels(value)
        return bool(own) and (wanted <= own) == (condition.operator == "=")
    return (value == condition.value) if condition.operator == "=" else value not in {"", "ill"}


def equal(column, value):
    return Condition(column, "=", value)


def check(gallery, rows, embeddings, queries, k, conditions):
    found = gallery.search(queries, k, conditions)
    assert len(found) == len(queries)
    for query, hits in zip(queries, found, strict=True):
        expected = naive(rows, embeddings.vectors, query, k, conditions)
        ids = [columns["id"] for columns in gallery.columns_of(hits.keys)]
        assert ids == [rows[row]["id"] for row, _ in expected]
        assert hits.similarities.dtype == np.float64
        assert hits.similarities.tolist() == [similarity for _, similarity in expected]


def test_an_opened_gallery_says_what_it_is(gallery, name, embeddings):
    assert (gallery.name, len(gallery), gallery.dim) == (name, ROWS, DIM)
    assert gallery.model == MODEL
    assert list(gallery.column_names) == embeddings.items.column_names
    assert gallery.has_features is False
    assert is_index(name)
    told = describe_index(name)
    assert (told["kind"], told["rows"], told["dim"]) == ("index", ROWS, DIM)
    assert told["columns"] == embeddings.items.column_names
    for column in ("label", "split"):
        values = [parse_labels(value) or ["-"] for value in embeddings.items[column].to_pylist()]
        assert told[column] == Counter(chain.from_iterable(values))
    labels = embeddings.items["label"].to_pylist()
    assert told["several_labels"] == sum(len(parse_labels(label)) > 1 for label in labels) > 0


def test_weights_may_lie_elsewhere(name):
    assert open_gallery(name, "/new/place").model == replace(MODEL, weights="/new/place")


def test_the_digest_is_that_of_the_content(engine, name, embeddings):
    digest = open_gallery(name).digest
    assert open_gallery(engine(embeddings, "again")).digest == digest
    others = [
        replace(embeddings, vectors=np.roll(embeddings.vectors, 1, axis=0)),
        replace(
            embeddings, items=embeddings.items.set_column(0, "id", [list(map(str, range(60)))])
        ),
        *([] if engine.on_server else [make(features=True)]),
    ]
    names = [engine(other, f"other{number}") for number, other in enumerate(others)]
    digests = {digest, *(open_gallery(other).digest for other in names)}
    assert len(digests) == 1 + len(others)


@pytest.mark.parametrize("k", [1, 5, 31, ROWS, ROWS + 7])
def test_the_nearest_come_first_and_ties_in_the_order_of_the_items(gallery, rows, embeddings, k):
    queries = [ask(rows, embeddings, row) for row in range(0, ROWS, 7)]
    check(gallery, rows, embeddings, queries, k, Conditions())
    # some of the vectors are there twice
    found = gallery.search(queries, ROWS)
    assert any(len(set(hits.similarities.tolist())) < ROWS for hits in found)


@pytest.mark.parametrize("conditions", [Conditions(), Conditions(other_labels="ill")])
def test_centred_items_are_compared_by_what_is_left_of_them(gallery, rows, embeddings, conditions):
    queries = [ask(rows, embeddings, row) for row in range(0, ROWS, 7)]
    left = center_rows(embeddings.vectors, gallery.mean)
    exact = embeddings.vectors.astype(np.float64) - embeddings.vectors.astype(np.float64).mean(0)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(left, exact, atol=1e-6)
    found = gallery.search(queries, 5, conditions, centered=True)
    for query, hits in zip(queries, found, strict=True):
        expected = naive(rows, left, query, 5, conditions)
        ids = [columns["id"] for columns in gallery.columns_of(hits.keys)]
        assert ids == [rows[row]["id"] for row, _ in expected]
        assert hits.similarities.tolist() == [similarity for _, similarity in expected]
    plain = gallery.search(queries, 5, conditions)
    assert any(one.keys != other.keys for one, other in zip(found, plain, strict=True))


def test_one_by_one_is_as_all_at_once(gallery, rows, embeddings):
    queries = [ask(rows, embeddings, row) for row in range(20)]
    conditions = Conditions(not_itself=True, at_most=("patient", 2))
    for query, hits in zip(queries, gallery.search(queries, 6, conditions), strict=True):
        [alone] = gallery.search([query], 6, conditions)
        assert list(alone.keys) == list(hits.keys)
        assert alone.similarities.tolist() == hits.similarities.tolist()


def test_an_engine_may_miss_a_few_but_none_here(gallery, rows, embeddings):
    queries = [ask(rows, embeddings, row) for row in range(ROWS)]
    for conditions in (
        Conditions(),
        Conditions(not_itself=True),
        Conditions(where=(equal("sité", "x"),)),
    ):
        check(gallery, rows, embeddings, queries, 9, conditions)


@pytest.mark.parametrize(
    ("conditions", "centered"),
    [
        (Conditions(), False),
        (Conditions(not_same=("patient",)), False),
        (Conditions(where=(equal("half", "1"),), not_same=("patient",)), False),
        (Conditions(at_most=("patient", 1)), False),
        (Conditions(), True),
    ],
    ids=[
        "everything",
        "some leave others out",
        "of half of them",
        "some are looked for deeper",
        "centered",
    ],
)
def test_company_changes_no_hit_and_no_bit(engine, conditions, centered):
    generator = np.random.default_rng(1)
    count, often = (300, 21) if engine.on_server else (1500, 300)
    vectors, _ = unit_rows(generator.normal(size=(count, DIM)))
    patients = [f"p{row // 2}" if row % 3 else None for row in range(count)]
    halves = [row % 2 for row in range(count)]
    items = pa.table({"id": list(map(str, range(count))), "patient": patients, "half": halves})
    poor = GraphSettings(m=4, ef_construction=8, ef=1)  # misses some of the nearest
    gallery = open_gallery(engine(Embeddings(items, vectors, MODEL), "poor", poor))
    asked, _ = unit_rows(generator.normal(size=(often, DIM)))
    queries = [
        Asked(vector, {"patient": f"p{row}"} if row % 2 else {}) for row, vector in enumerate(asked)
    ]
    together = gallery.search(queries, 5, conditions, centered)
    for size in (1, 2, 7):
        for start in range(0, often, size):
            alone = gallery.search(queries[start : start + size], 5, conditions, centered)
            for one, other in zip(alone, together[start : start + size], strict=True):
                assert list(one.keys) == list(other.keys)
                assert one.similarities.tobytes() == other.similarities.tobytes()


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(not_itself=True),
        Conditions(not_same=("patient",)),
        Conditions(not_same=("label",)),
        Conditions(other_labels="ill"),
        Conditions(where=(equal("label", "ill"),)),
        Conditions(where=(equal("label", "rare"),)),
        Conditions(where=(equal("label", "rare"),), not_same=("patient",), not_itself=True),
        Conditions(where=(equal("label", "rare"),), at_most=("patient", 1)),
        Conditions(where=(equal("label", "few"),)),
    ],
    ids=str,
)
def test_there_are_never_fewer_than_k_while_there_are_more(engine, conditions):
    generator = np.random.default_rng(2)
    rows = 300 if engine.on_server else 2000
    centres = generator.normal(size=(20, DIM))
    near = generator.integers(0, 20, rows)
    vectors, _ = unit_rows(centres[near] + generator.normal(size=(rows, DIM)) / 2)
    labels = ["rare" if row % 111 == 0 else "ill" if row % 2 else "well" for row in range(rows)]
    labels[5] = labels[170] = "few"
    columns = {
        "id": [str(row) for row in range(rows)],
        "path": [f"/d/{row}.png" for row in range(rows)],
        "sha256": [f"{row:064x}" for row in range(rows)],
        "label": labels,
        "patient": [f"p{row // 4}" for row in range(rows)],
    }
    gallery = open_gallery(engine(Embeddings(pa.table(columns), vectors, MODEL), "rare"))
    items = pa.table(columns).to_pylist()
    queries = [
        Asked(vectors[row], items[row], identity_in(items[row]))
        for row in range(0, rows, rows // 20)
    ]
    found = gallery.search(queries, 10, conditions)
    missed = 0
    for query, hits in zip(queries, found, strict=True):
        expected = naive(items, vectors, query, 10, conditions)
        assert len(hits.keys) == len(expected)
        assert all(
            _allowed(columns, query, conditions) for columns in gallery.columns_of(hits.keys)
        )
        own = products(gallery.vectors_of(hits.keys), query.vector)
        assert clip_cosines(own).tolist() == hits.similarities.tolist()
        missed += len({row for row, _ in expected} - set(map(int, _ids(gallery, hits))))
    assert missed <= 0.02 * 10 * len(queries)


def _ids(gallery, hits):
    return [columns["id"] for columns in gallery.columns_of(hits.keys)]


@pytest.mark.parametrize(
    "conditions",
    [
        *(Conditions(where=(equal("label", value),)) for value in ("ill", "", "none such", *ODD)),
        Conditions(where=(equal("width", "101"), equal("label", "well"))),
        Conditions(where=(equal("split", ""),)),
        Conditions(where=(equal("split", "train"),)),
        Conditions(where=(equal("sité", "y"), equal("patient", ""))),
        Conditions(where=(Condition("width", ">", "100"), Condition("label", "!=", "ill"))),
        Conditions(where=(equal("label", "ill|well"),)),
        *(Conditions(other_labels=value) for value in ("ill", "well|ill", *ODD)),
        Conditions(not_itself=True),
        Conditions(not_same=("patient",)),
        Conditions(not_same=("label", "width")),
        *(Conditions(at_most=(column, 1)) for column in ("patient", "label", "width", "split")),
        Conditions(at_most=("patient", 3)),
    ],
    ids=str,
)
def test_a_condition_alone(gallery, rows, embeddings, conditions):
    queries = [ask(rows, embeddings, row) for row in (0, 3, 4, 11, 25, 40, 59)]
    for k in (3, ROWS):
        check(gallery, rows, embeddings, queries, k, conditions)


@pytest.mark.parametrize("seed", range(40))
def test_conditions_together(gallery, rows, embeddings, seed):
    chance = random.Random(seed)  # noqa: S311
    values = ["ill", "well", "p", "q", "x", "y", "", "100", *ODD]
    columns = ["label", "patient", "sité", "width", "split"]

    def pairs(most):
        count = chance.randint(0, most)
        return tuple((chance.choice(columns), chance.choice(values)) for _ in range(count))

    conditions = Conditions(
        where=tuple(equal(*pair) for pair in pairs(1)),
        other_labels=chance.choice(["", "", "", "ill", "日本", "ill|well", *ODD]),
        not_itself=chance.random() < 0.5,
        not_same=tuple(chance.sample(columns, chance.randint(0, 2))),
        at_most=chance.choice([None, ("patient", 1), ("sité", 2), ("label", 1)]),
    )
    queries = [ask(rows, embeddings, chance.randrange(ROWS)) for _ in range(5)]
    check(gallery, rows, embeddings, queries, chance.choice([1, 4, ROWS]), conditions)


def test_queries_of_which_little_is_known(gallery, rows, embeddings):
    vector = embeddings.vectors[5]
    queries = [
        Asked(vector),
        Asked(vector, {"patient": None, "id": None, "path": "", "label": ""}),
        Asked(vector, {"patient": "p"}),
        Asked(vector, {"width": 100}),
        Asked(vector, {"width": "100"}),
        Asked(vector, {}, "no such image"),
        Asked(vector, {}, identity_in(rows[5])),
        Asked(vector, {"path": rows[30]["path"]}),
        Asked(vector, {"id": rows[30]["id"], "label": ODD[0]}),
    ]
    conditions = Conditions(not_itself=True, not_same=("patient", "width", "label"))
    check(gallery, rows, embeddings, queries, 9, conditions)


def test_as_few_as_there_are_and_none_at_all(gallery, rows, embeddings):
    query = ask(rows, embeddings, 0)
    keys = gallery.search([query], ROWS)[0].keys
    [hits] = gallery.search([query], 5, Conditions(without=frozenset(keys[:-2])))
    assert list(hits.keys) == list(keys[-2:])
    [hits] = gallery.search([query], 5, Conditions(without=frozenset(keys)))
    assert (list(hits.keys), hits.similarities.tolist()) == ([], [])
    assert gallery.columns_of(hits.keys) == []
    assert gallery.vectors_of(hits.keys).shape == (0, DIM)


def test_a_limit_is_looked_for_as_deep_as_it_must_be(engine):
    whole = make()
    patients = pa.array(["p"] * 57 + ["q", None, "r"])
    near = np.sort(np.random.default_rng(3).random(ROWS))
    vectors = np.stack([np.cos(near), np.sin(near), *[0 * near] * 6], axis=1).astype(np.float32)
    place = whole.items.column_names.index("patient")
    items = whole.items.set_column(place, "patient", patients)
    gallery = open_gallery(engine(replace(whole, items=items, vectors=vectors), "deep"))
    [hits] = gallery.search([Asked(vectors[0])], 3, Conditions(at_most=("patient", 1)))
    assert [row["patient"] for row in gallery.columns_of(hits.keys)] == ["p", "q", None]


def test_queries_stay_as_they_are(gallery, rows, embeddings):
    query = ask(rows, embeddings, 0)
    before = query.vector.tobytes(), dict(query.columns)
    gallery.search([query], 5, Conditions(not_itself=True, at_most=("patient", 1)))
    assert (query.vector.tobytes(), query.columns) == before


def test_items_are_found_by_what_they_are_called(gallery, rows):
    ids = [row["id"] for row in rows]
    keys = gallery.by_id(ids)
    assert [columns["id"] for columns in gallery.columns_of(keys)] == ids
    assert gallery.by_id([ids[3], "", "no such", ids[3], ids[1], *ODD]) == [
        keys[3],
        None,
        None,
        keys[3],
        keys[1],
        *[None] * len(ODD),
    ]
    assert gallery.by_id([]) == []
    paths = [rows[0]["path"], "/d/0.tif", "", rows[59]["path"]]
    assert [list(found) for found in gallery.by_path(paths)] == [
        [keys[row] for row in range(ROWS) if path and rows[row]["path"] == path] for path in paths
    ]


def test_an_image_is_a_file_and_which_of_its_pictures(gallery, rows):
    keys = gallery.by_id([row["id"] for row in rows])
    asked = [identity_in(row) or "" for row in rows]
    asked += [rows[3]["sha256"], f"{rows[3]['sha256']}#frame=9", "", "no such", asked[2]]
    expected = [
        [keys[row] for row in range(ROWS) if identity and identity_in(rows[row]) == identity]
        for identity in asked
    ]
    assert expected[ROWS] == [keys[0]]  # the bare hash is the first picture
    for _ in range(20):  # an engine may learn
        assert [list(found) for found in gallery.by_identity(asked)] == expected
    assert gallery.by_identity([]) == []


def test_a_copy_is_the_same_image(engine):
    whole = make()
    hashes = whole.items["sha256"].to_pylist()
    hashes[40] = hashes[41] = hashes[2]
    paths = whole.items["path"].to_pylist()
    paths[40], paths[41] = "/copy.tif#frame=3", "/copy.tif#frame=4"
    items = whole.items.set_column(1, "path", [paths]).set_column(2, "sha256", [hashes])
    gallery = open_gallery(engine(replace(whole, items=items), "copies"))
    ids = items["id"].to_pylist()
    third, copy, fourth, other = gallery.by_id([ids[2], ids[40], ids[3], ids[41]])
    identity = f"{hashes[2]}#frame="
    assert gallery.by_identity([f"{identity}3", f"{identity}4"]) == [[third, copy], [fourth, other]]
    query = Asked(whole.vectors[2], {}, f"{identity}3")
    [hits] = gallery.search([query], ROWS, Conditions(not_itself=True))
    assert set(gallery.by_id(ids)) - set(hits.keys) == {third, copy}


def test_keys_are_handed_back_and_mean_the_same_item(gallery, name, rows, embeddings):
    query = ask(rows, embeddings, 7)
    [hits] = gallery.search([query], 10)
    assert len(set(hits.keys)) == 10
    again = open_gallery(name).search([query], 10)[0].keys
    assert list(again) == list(hits.keys)
    columns = gallery.columns_of(hits.keys)
    assert gallery.by_id([row["id"] for row in columns]) == list(hits.keys)
    vectors = gallery.vectors_of(hits.keys)
    assert (vectors.dtype, vectors.shape) == (np.float32, (10, DIM))
    assert clip_cosines(products(vectors, query.vector)).tolist() == hits.similarities.tolist()
    twice = [hits.keys[3], hits.keys[0], hits.keys[3]]
    assert gallery.columns_of(twice) == [columns[3], columns[0], columns[3]]
    assert gallery.vectors_of(twice).tolist() == vectors[[3, 0, 3]].tolist()
    for key in hits.keys:
        [others] = gallery.search([query], 9, Conditions(without=frozenset([key])))
        assert list(others.keys) == [other for other in hits.keys if other != key]


def test_columns_are_as_they_were_put_in(gallery, rows):
    keys = gallery.by_id([row["id"] for row in rows])
    assert [dict(columns) for columns in gallery.columns_of(keys)] == rows
    assert {None, ""} < {columns["patient"] for columns in gallery.columns_of(keys)}


@pytest.mark.parametrize("size", [1, 7, ROWS - 1, ROWS, ROWS + 5])
def test_all_items_once_and_in_their_order(gallery, rows, embeddings, size):
    chunks = list(gallery.iterate(size))
    assert [len(chunk.keys) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert [key for chunk in chunks for key in chunk.keys] == gallery.by_id(
        [row["id"] for row in rows]
    )
    together = np.concatenate([chunk.vectors for chunk in chunks])
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together, embeddings.vectors)
    assert [row for chunk in chunks for row in chunk.columns.to_pylist()] == rows
    for chunk in gallery.iterate(size, ["sité", "id"]):
        assert chunk.columns.column_names == ["sité", "id"]
        ids = [columns["id"] for columns in gallery.columns_of(chunk.keys)]
        assert chunk.columns["id"].to_pylist() == ids


def test_queries_by_label_are_the_same_of_every_engine(gallery, rows):
    for seed in (0, 1):
        places = draw_by_label(((row["id"], row["label"]) for row in rows), 3, seed)
        drawn = gallery.columns_of(items_by_label(gallery, 3, seed))
        assert [columns["id"] for columns in drawn] == [rows[place]["id"] for place in places]
        for label in ("ill", "well"):
            assert sum(label in parse_labels(columns["label"]) for columns in drawn) >= 3


@pytest.mark.parametrize("size", [7, ROWS])
def test_vectors_are_read_through_without_a_column(gallery, embeddings, size):
    chunks = list(gallery.iterate(size, []))
    assert sum(len(chunk.keys) for chunk in chunks) == ROWS
    together = np.concatenate([chunk.vectors for chunk in chunks])
    np.testing.assert_array_equal(together, embeddings.vectors)
    assert {chunk.columns.num_columns for chunk in chunks} == {0}


def test_more_than_a_few_vectors_at_once_are_mapped_from_a_file(gallery, embeddings, monkeypatch):
    monkeypatch.setattr("xmir_cli.store.kept_vectors._HELD", 0)
    monkeypatch.setattr("xmir_cli.gallery.servers.reader._NUMBERS", 7 * DIM)  # of one request
    (everything,) = gallery.iterate(ROWS, ["id"])
    assert isinstance(everything.vectors, np.memmap)
    np.testing.assert_array_equal(everything.vectors, embeddings.vectors)
    assert everything.columns["id"].to_pylist() == embeddings.items["id"].to_pylist()


def test_the_mean_is_that_of_all_vectors_bit_for_bit(gallery, embeddings):
    mean = gallery.mean
    assert mean.tobytes() == mean_vector([embeddings.vectors]).tobytes()
    chunks = (chunk.vectors for chunk in gallery.iterate(7))
    assert mean.tobytes() == mean_vector(chunks).tobytes()


def test_feature_maps_are_handed_out_as_they_are_kept(engine):
    embeddings = make(features=True)
    if engine.on_server:
        with pytest.raises(DataError, match="keeps no feature maps"):
            engine(embeddings, "maps")
        return
    gallery = open_gallery(engine(embeddings, "maps"))
    assert gallery.has_features
    maps = np.concatenate(list(embeddings.features.blocks()))
    ids = embeddings.items["id"].to_pylist()
    keys = gallery.by_id([ids[9], ids[0], ids[9]])
    found = gallery.features_of(keys)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, maps[[9, 0, 9]])


def test_one_item_is_a_gallery(engine):
    whole = make()
    alone = replace(whole, items=whole.items[:1], vectors=whole.vectors[:1])
    gallery = open_gallery(engine(alone, "alone"))
    query = Asked(whole.vectors[3], {}, None)
    [hits] = gallery.search([query], 5)
    assert [row["id"] for row in gallery.columns_of(hits.keys)] == ["i0"]


def test_values_are_told_once_and_items_counted(gallery, rows):
    for column in ("label", "patient", "width", "split"):
        found = gallery.distinct(column).to_pylist()
        assert len(found) == len(set(found))
        assert set(found) == {row[column] for row in rows}
    assert gallery.count(Conditions()) == ROWS
    conditions = Conditions(where=(equal("label", "ill"),), other_labels="well", not_itself=True)
    expected = [
        row
        for row in rows
        if "ill" in parse_labels(row["label"]) and share_label(row["label"], "well") is False
    ]
    assert gallery.count(conditions) == len(expected) > 0
