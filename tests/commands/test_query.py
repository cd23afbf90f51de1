import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.gallery.engines import open_gallery
from xmir_cli.retrieval.conditions import list_values, warn_of_nobody
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
# on a circle, by angle: a and b of patient p, c and d of q, e of nobody
ANGLES = {"a": 0.0, "b": 0.1, "c": 0.2, "d": 0.5, "e": 0.3}
LABELS = {"a": "ill", "b": "ill", "c": "well", "d": "ill", "e": None}
PATIENTS = {"a": "p", "b": "p", "c": "q", "d": "q", "e": None}


def _vectors():
    angles = np.array(list(ANGLES.values()))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.fixture
def index(xmir):
    names = list(ANGLES)
    items = pa.table(
        {
            "id": names,
            "path": [f"/pictures/{name}.png" for name in names],
            "sha256": ["0" * 64 if name in "ab" else name * 64 for name in names],
            "width": pa.array([64] * 5, pa.int32()),
            "height": pa.array([48] * 5, pa.int32()),
            "label": pa.array(list(LABELS.values()), pa.string()),
            "patient": pa.array(list(PATIENTS.values()), pa.string()),
            "split": ["train", "train", "test", "test", "test"],
            "site": ["x", "y", "x", "y", "x"],
        }
    )
    write_embeddings(Path("e.parquet"), Embeddings(items, _vectors(), MODEL))
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    return Path("e.xmir").absolute()


def _found(result):
    return [record["meta"]["id"] for record in result.records()]


def test_a_record_says_all_that_the_next_command_needs(xmir, index):
    result = xmir("query", "--id", "a", "--top", "2")
    assert (result.code, result.stderr) == (0, "")
    first, second = result.records()
    assert first == {
        "schema": "xmir.retrieval/1",
        "query": "/pictures/a.png",
        "retrieved": "/pictures/a.png",
        "query_identity": "0" * 64,
        "retrieved_identity": "0" * 64,
        "rank": 1,
        "similarity": 1.0,
        "query_label": "ill",
        "retrieved_label": "ill",
        "match": True,
        "index": str(index),
        "model": json.loads(json.dumps(MODEL.to_json())),
        "meta": {"id": "a", "patient": "p", "split": "train", "site": "x"},
        "asked": {"top": 2},
    }
    assert (second["rank"], second["retrieved"]) == (2, "/pictures/b.png")
    assert second["similarity"] == pytest.approx(np.cos(0.1), abs=1e-7)


@pytest.mark.usefixtures("index")
def test_similarities_are_float64_products_of_what_is_stored(xmir):
    wide = _vectors().astype(np.float64)
    for record in xmir("query", "--id", "c").records():
        row = list(ANGLES).index(record["meta"]["id"])
        assert record["similarity"] == min((wide[row] * wide[2]).sum(), 1)


@pytest.mark.usefixtures("index")
def test_a_match_with_an_unknown_label_is_unknown(xmir):
    matches = {r["meta"]["id"]: r["match"] for r in xmir("query", "--id", "a").records()}
    assert matches == {"a": True, "b": True, "c": False, "d": True, "e": None}


@pytest.mark.usefixtures("index")
def test_more_than_there_is_gives_all_there_is(xmir):
    result = xmir("query", "--id", "a", "--top", "100")
    assert (result.code, _found(result)) == (0, ["a", "b", "c", "e", "d"])


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (["--where", "label=ill"], ["a", "b", "d"]),
        (["--where", "label=ill", "--where", "site=y"], ["b", "d"]),
        (["--where", "label="], ["e"]),
        (["--where", "width=64", "--top", "1"], ["a"]),
        (["--where", "width>63", "--where", "label!=ill", "--where", "label!="], ["c"]),
        (["--exclude-same", "patient"], ["c", "e", "d"]),
        (["--exclude-same", "label"], ["c", "e"]),
        (["--no-self"], ["c", "e", "d"]),  # b is the same file as a
        (["--no-self", "--where", "patient=p"], []),
        (["--exclude-same", "site", "--top", "1"], ["d"]),
        (["--exclude-same", "width"], []),
        (["--per", "patient=1"], ["a", "c", "e"]),
        (["--per", "patient=2"], ["a", "b", "c", "e", "d"]),
        (["--per", "label=1"], ["a", "c", "e"]),
        (["--per", "site=1", "--top", "2"], ["a", "b"]),
        (["--per", "width=1", "--top", "1"], ["a"]),
        (["--per", "width=3"], ["a", "b", "c"]),
        (["--per", "patient=1", "--where", "site=y"], ["b", "d"]),
    ],
)
def test_filters_leave_what_they_leave_and_never_fail(xmir, flags, found):
    result = xmir("query", "--id", "a", *flags)
    assert (result.code, result.stderr, _found(result)) == (0, "", found)


@pytest.mark.usefixtures("index")
def test_a_condition_that_nothing_meets_says_which_values_there_are(xmir):
    result = xmir("query", "--id", "a", "--where", "label=none such")
    said = "xmir: warning: none of 5 images has label=none such; label holds ill, well\n"
    assert (result.code, result.stderr, result.stdout) == (0, said, "")


@pytest.mark.usefixtures("index")
def test_an_order_among_texts_is_a_usage_error(xmir):
    result = xmir("query", "--id", "a", "--where", "label>ill")
    line = "--where label>ill: label holds texts, such as ill; > compares numbers and dates"
    assert (result.code, result.stderr) == (2, f"xmir: error: {line}\n")


@pytest.mark.usefixtures("index")
def test_items_of_nobody_are_not_of_the_same_patient_but_the_query_is_itself(xmir):
    result = xmir("query", "--id", "e", "--exclude-same", "patient")
    assert _found(result) == ["c", "b", "d", "a"]
    nothing = "nothing but the query itself was left out"
    assert result.stderr == f"xmir: warning: no query has a patient: {nothing}\n"
    result = xmir("query", "--id", "e", "--id", "a", "--exclude-same", "patient", "--top", "1")
    assert _found(result) == ["c", "c"]
    expected = f"xmir: warning: 1 of 2 queries have no patient: {nothing} for them\n"
    assert (result.code, result.stderr) == (0, expected)


def test_leaving_out_what_nobody_has_is_said(index):
    gallery = open_gallery(str(index))
    assert warn_of_nobody("patient", ["p"], list_values(gallery, "patient")) is None
    said = warn_of_nobody("patient", ["p", None], iter([None, ""]))
    assert said.startswith("no image of the gallery has a patient: nothing but the query itself")


@pytest.mark.usefixtures("index")
def test_an_approximate_index_answers_the_same(xmir, monkeypatch):
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 0)
    exact = xmir("query", "--all", "--index", "e.xmir").records()
    assert xmir("index", "e.parquet", "-o", "g.xmir", "--kind", "hnsw").code == 0
    for flags in (["--top", "2"], [], ["--top", "9"], ["--where", "site=x"]):
        found = xmir("query", "--all", "--index", "g.xmir", *flags).records()
        expected = xmir("query", "--all", "--index", "e.xmir", *flags).records()
        assert [{**r, "index": ""} for r in found] == [{**r, "index": ""} for r in expected]
    assert len(exact) == 25


@pytest.mark.usefixtures("index")
def test_hits_do_not_depend_on_how_many_queries_a_command_asks(xmir, monkeypatch):
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 0)
    rows = np.random.default_rng(0).normal(size=(900, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    write_embeddings(
        Path("many.parquet"),
        Embeddings(_items([f"i{row}" for row in range(600)]), rows[:600], MODEL),
    )
    flags = ["--kind", "hnsw", "--m", "2", "--ef-construction", "1", "--ef", "1"]
    assert xmir("index", "many.parquet", "-o", "many.xmir", *flags).code == 0
    np.save("all.npy", rows[600:])
    together = xmir("query", "--vector", "all.npy", "--index", "many.xmir").records()
    shown = ["rank", "retrieved", "similarity"]
    for row in (0, 1, 255, 256, 299):
        np.save("one.npy", rows[600 + row])
        alone = xmir("query", "--vector", "one.npy", "--index", "many.xmir").records()
        asked = together[5 * row : 5 * row + 5]
        assert [[r[k] for k in shown] for r in alone] == [[r[k] for k in shown] for r in asked]


@pytest.mark.usefixtures("index")
def test_ids_come_in_their_order_and_all_in_that_of_the_index(xmir):
    names = [r["query"] for r in xmir("query", "--id", "d", "--id", "a", "--top", "1").records()]
    assert names == ["/pictures/d.png", "/pictures/a.png"]
    names = [r["query"] for r in xmir("query", "--all", "--top", "1").records()]
    assert names == [f"/pictures/{name}.png" for name in ANGLES]


@pytest.mark.usefixtures("index")
def test_an_unknown_id_is_named_with_its_neighbours(xmir):
    result = xmir("query", "--id", "A")
    assert result.code == 2
    assert "--id A: no such item in" in result.stderr


@pytest.mark.usefixtures("index")
def test_a_vector_asks_like_an_item(xmir):
    np.save("q.npy", _vectors()[:2] * np.array([[7e-300], [7e300]]))
    result = xmir("query", "--vector", "q.npy", "--top", "1")
    assert (result.code, result.stderr) == (0, "")
    records = result.records()
    assert [(r["query"], r["meta"]["id"], r["match"]) for r in records] == [
        ("q.npy", "a", None),
        ("q.npy", "b", None),
    ]
    assert {(r["query_identity"], r["retrieved_identity"]) for r in records} == {(None, "0" * 64)}


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_a_similarity_is_never_beyond_1(xmir, kind, monkeypatch):
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 0)
    rows = np.random.default_rng(0).normal(size=(60, 33)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[30:] = -rows[:30]
    items = _items([f"i{row}" for row in range(60)])
    write_embeddings(Path("many.parquet"), Embeddings(items, rows, MODEL))
    assert xmir("index", "many.parquet", "-o", "many.xmir", "--kind", kind).code == 0
    np.save("half.npy", rows[:30].astype(np.float16))
    np.save("long.npy", rows[:30] * 1.00004)  # as if its length had been taken for 1
    for asked in (["--vector", "half.npy"], ["--vector", "long.npy"], ["--all"]):
        flags = ["--index", "many.xmir", "--top", "60"]
        found = [r["similarity"] for r in xmir("query", *asked, *flags).records()]
        assert -1 <= min(found) < -1 + 1e-6
        assert 1 - 1e-6 < max(found) <= 1
    asked = ["--id", "i0", "--like", "i1", "--index", "many.xmir", "--top", "60"]
    for record in xmir("query", *asked).records():
        assert max(abs(record["similarity"]), abs(record["relevance"])) <= 1


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_hits_do_not_depend_on_how_many_are_asked(xmir, kind):
    generator = np.random.default_rng(0)
    rows = generator.integers(-1, 2, size=(300, 8)) + np.float32(0.001)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    rows[150:] = rows[generator.integers(0, 150, 150)]  # copies, many of them more than once
    names = [f"i{row}" for row in range(300)]
    write_embeddings(Path("many.parquet"), Embeddings(_items(names), rows, MODEL))
    assert xmir("index", "many.parquet", "-o", "many.xmir", "--kind", kind).code == 0
    flags = ["--index", "many.xmir", "--top", "3"]
    together = xmir("query", "--all", *flags).records()  # so many that a graph is asked
    assert len(together) == 900
    for name in names[::29]:
        alone = xmir("query", "--id", name, *flags).records()
        assert alone == [r for r in together if r["query"] == f"/pictures/{name}.png"]


def _items(names):
    return pa.table(
        {
            "id": names,
            "path": [f"/pictures/{name}.png" for name in names],
            "sha256": [f"{row:064x}" for row in range(len(names))],
            "width": pa.array([64] * len(names), pa.int32()),
            "height": pa.array([48] * len(names), pa.int32()),
            "label": pa.array([None] * len(names), pa.string()),
            "patient": pa.array([None] * len(names), pa.string()),
            "split": pa.array([None] * len(names), pa.string()),
        }
    )


def test_images_match_when_they_share_a_label(xmir):
    items = _items(["a", "b", "c", "d"])
    labels = pa.array(["ill|old", "old | well", "well", "|"], pa.string())
    items = items.set_column(items.column_names.index("label"), "label", labels)
    write_embeddings(Path("e.parquet"), Embeddings(items, _vectors()[:4], MODEL))
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    records = xmir("query", "--id", "a").records()
    assert {r["meta"]["id"]: r["match"] for r in records} == {
        "a": True,
        "b": True,
        "c": False,
        "d": None,
    }
    assert records[1]["retrieved_label"] == "old | well"  # as it stands


@pytest.mark.usefixtures("index")
def test_vectors_that_do_not_fit_are_refused(xmir):
    np.save("q.npy", np.ones(3, dtype=np.float32))
    result = xmir("query", "--vector", "q.npy")
    assert result.code == 5
    assert result.stderr == (
        "xmir: error: q.npy: expected embeddings of 2 numbers, found an array of 1 x 3\n"
    )


@pytest.mark.usefixtures("index")
def test_a_zero_vector_is_skipped(xmir):
    np.save("q.npy", np.array([[0, 0], [1, 0]], dtype=np.float32))
    result = xmir("query", "--vector", "q.npy", "--top", "1")
    assert result.code == 3
    assert _found(result) == ["a"]
    np.save("q.npy", np.zeros(2, dtype=np.float32))
    result = xmir("query", "--vector", "q.npy", "--top", "1")
    assert result.code == 5
    assert "none of 1 queries could be used" in result.stderr


def test_the_index_is_named_found_or_asked_for(xmir, index, monkeypatch):
    assert xmir("query", "--id", "a").code == 0
    Path("other.xmir").mkdir()
    result = xmir("query", "--id", "a")
    assert result.code == 2
    assert result.stderr == (
        "xmir: error: which index? 2 are here: e.xmir, other.xmir\n"
        "xmir: hint: Name it with --index or in $XMIR_INDEX.\n"
    )
    monkeypatch.setenv("XMIR_INDEX", str(index))
    assert xmir("query", "--id", "a").code == 0
    result = xmir("query", "--id", "a", "--index", "other.xmir")
    assert result.code == 5
    assert "not an xmir index" in result.stderr


def test_nothing_to_ask_with_is_a_usage_error(xmir):
    result = xmir("query")
    assert result.code == 2
    assert result.stderr.startswith("xmir: error: nothing to ask with\n")


@pytest.mark.usefixtures("index")
def test_a_column_that_is_not_there_is_named(xmir):
    for flags in (["--where", "colour=red"], ["--exclude-same", "colour"]):
        result = xmir("query", "--id", "a", *flags)
        assert result.code == 2
        assert "no column 'colour'" in result.stderr
        assert "patient" in result.stderr


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("per", ["patient", "patient=", "patient=0", "=1", "patient=-1", "x=1"])
def test_a_limit_must_name_a_column_and_a_count(xmir, per):
    result = xmir("query", "--id", "a", "--per", per)
    assert (result.code, result.stdout) == (2, "")


@pytest.mark.usefixtures("index")
def test_a_limit_looks_as_deep_as_it_must(xmir, monkeypatch):
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 0)
    angles = np.linspace(0, 0.5, 100)
    items = pa.table(
        {
            "id": [str(row) for row in range(100)],
            "path": [f"/{row}.png" for row in range(100)],
            "sha256": [str(row) for row in range(100)],
            "width": pa.array([1] * 100, pa.int32()),
            "height": pa.array([1] * 100, pa.int32()),
            "label": pa.array([None] * 100, pa.string()),
            "patient": ["p"] * 98 + ["q", "r"],
            "split": pa.array([None] * 100, pa.string()),
        }
    )
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    write_embeddings(Path("many.parquet"), Embeddings(items, vectors, MODEL))
    for kind in ("exact", "hnsw"):
        assert xmir("index", "many.parquet", "-o", f"{kind}.xmir", "--kind", kind).code == 0
        flags = ["--per", "patient=1", "--top", "3", "--index", f"{kind}.xmir"]
        assert _found(xmir("query", "--id", "0", *flags)) == ["0", "98", "99"]


def _refined(query, like, unlike):
    vectors = dict(zip(ANGLES, _vectors().astype(float), strict=True))
    moved = np.mean([vectors[name] for name in [query, *like]], axis=0)
    if unlike:
        moved = moved - 0.5 * np.mean([vectors[name] for name in unlike], axis=0)
    moved = moved / np.linalg.norm(moved)
    return {name: float(vector @ moved) for name, vector in vectors.items()}


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("query", "like", "unlike"), [("c", ["d"], []), ("c", [], ["a"]), ("a", ["c", "d"], ["b"])]
)
def test_examples_move_the_query_by_their_formula(xmir, query, like, unlike):
    flags = [flag for name in like for flag in ("--like", name)]
    flags += [flag for name in unlike for flag in ("--unlike", name)]
    records = xmir("query", "--id", query, *flags, "--no-self").records()
    expected = _refined(query, like, unlike)
    left = [name for name in ANGLES if name not in {query, *like, *unlike}]
    if "a" in {query, *like, *unlike}:
        left = [name for name in left if name != "b"]  # the same file
    order = sorted(left, key=lambda name: -expected[name])
    assert [r["meta"]["id"] for r in records] == order
    for record in records:
        name = record["meta"]["id"]
        assert record["relevance"] == pytest.approx(expected[name], abs=1e-6)
        distance = ANGLES[query] - ANGLES[name]
        assert record["similarity"] == pytest.approx(np.cos(distance), abs=1e-6)
        assert record["like"] == [f"/pictures/{name}.png" for name in like]
        assert record["unlike"] == [f"/pictures/{name}.png" for name in unlike]


@pytest.mark.usefixtures("index")
def test_the_first_liked_is_the_query_when_there_is_none(xmir):
    records = xmir("query", "--like", "d", "--unlike", "a").records()
    assert {r["query"] for r in records} == {"/pictures/d.png"}
    assert [r["meta"]["id"] for r in records] == ["e", "c"]
    assert {tuple(r["like"]) for r in records} == {()}
    assert "relevance" not in xmir("query", "--id", "d").records()[0]
    tsv = xmir("query", "--like", "d", "--unlike", "a", "--format", "tsv").stdout
    assert tsv.startswith("rank\trelevance\tsimilarity")


@pytest.mark.usefixtures("index")
def test_only_unlike_is_nothing_to_ask_with(xmir):
    assert xmir("query", "--unlike", "a").code == 2


@pytest.mark.usefixtures("index")
def test_formats_for_people_and_shells(xmir):
    paths = xmir("query", "--id", "a", "--top", "2", "--format", "paths")
    assert paths.stdout == "/pictures/a.png\n/pictures/b.png\n"
    tsv = xmir("query", "--id", "a", "--top", "1", "--format", "tsv").stdout.splitlines()
    assert tsv[0].split("\t")[:2] == ["rank", "similarity"]
    assert tsv[1].split("\t") == ["1", "1.0000", "a", "ill", "yes", "/pictures/a.png"]
    assert "0.9950" in xmir("query", "--id", "a", "--format", "table").stdout


@pytest.mark.usefixtures("index")
def test_asking_without_images_imports_no_torch():
    np.save("q.npy", _vectors()[0])
    code = (
        "import sys; from xmir_cli.main import execute; "
        "status = execute(['query', '--id', 'a', '--vector', 'q.npy', '--all', '--like', 'b', "
        "'--per', 'patient=1', '--top', '1']); "
        "heavy = {'torch', 'torchvision', 'PIL', 'hnswlib', 'pandas'} & set(sys.modules); "
        "assert status == 0 and not heavy, heavy"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 7


@pytest.mark.usefixtures("index")
def test_whose_the_query_is_stands_in_its_records(xmir):
    itself, *others = xmir("query", "--id", "c", "--top", "3").records()
    assert itself["meta"]["patient"] == "q"
    assert [record["query_patient"] for record in others] == ["q", "q"]
    (found,) = xmir("query", "--id", "e", "--top", "1", "--no-self").records()
    assert "query_patient" not in found


@pytest.mark.usefixtures("index")
def test_what_else_is_known_of_the_query_stands_in_its_records(xmir):
    itself, *others = xmir("query", "--id", "c", "--top", "3").records()
    assert "query_meta" not in itself  # `meta` says it
    assert [each["query_meta"] for each in others] == [{"split": "test", "site": "x"}] * 2


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--text", " "], "--text: expected words, found nothing"),
        (["--text", "x" * 10_001], "--text: expected at most 10000 characters, found 10001"),
        (["--text", "a", "--template", "b"], "--template: expected {} where the text goes"),
        (["--template", "a {}", "--id", "a"], "--template: around which words?"),
        (["--text", "a", "--text", "b", "--id", "a"], "--text: one text asks together with images"),
        (["--text-file", "t.txt", "--id", "a"], "--text: one text asks together with images"),
        (["--text", "a", "--text-weight", "0.5"], "--text-weight: words and an image ask together"),
        (["--text", "a", "--id", "a", "--text-weight", "2"], "less than or equal to 1"),
        (["--text", "a", "--region", "0,0,1,1"], "--region: a part of an image file"),
        (["--text-file", "-", "-"], "--text-file -: standard input names the images already"),
    ],
)
@pytest.mark.usefixtures("index")
def test_what_words_cannot_ask_is_refused(xmir, flags, reason):
    result = xmir("query", *flags, stdin="")
    assert (result.code, result.stdout) == (2, "")
    assert reason in result.stderr


@pytest.mark.usefixtures("index")
def test_words_ask_no_model_without_a_text_tower(xmir):
    result = xmir("query", "--text", "left")
    assert (result.code, result.stdout) == (6, "")
    error, hint = result.stderr.splitlines()
    assert error == "xmir: error: tiny: this model has no text tower, so no words can ask"
    assert "open_clip" in hint


def _lines(result, *ids):
    """The records of these hits, as somebody chooses lines."""
    lines = result.stdout.splitlines(keepends=True)
    return "".join(line for line in lines if json.loads(line)["meta"]["id"] in ids)


@pytest.mark.usefixtures("index")
def test_chosen_hits_are_examples_like_those_that_are_typed(xmir):
    hits = xmir("query", "--id", "a", "--top", "9")
    typed = xmir("query", "--id", "e", "--like", "c", "--like", "d", "--unlike", "a")
    chosen = _lines(hits, "c", "d")
    for given in (chosen, chosen * 2, "c\nd\n", "c\r\n\nd", "/pictures/c.png\n/pictures/d.png\n"):
        result = xmir("query", "--id", "e", "--like", "-", "--unlike", "a", stdin=given)
        assert (result.stdout, result.stderr) == (typed.stdout, "")
    mixed = ["--id", "e", "--like", "c", "--like", "-", "--unlike", "a"]
    assert xmir("query", *mixed, stdin=_lines(hits, "d")).stdout == typed.stdout
    null = ["--id", "e", "--like", "-", "-0", "--unlike", "a"]
    assert xmir("query", *null, stdin="c\0/pictures/d.png\0").stdout == typed.stdout


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("how", [[], ["--like", "b"]])
def test_rows_of_tsv_may_be_chosen(xmir, how):
    rows = xmir("query", "--id", "a", *how, "--top", "9", "--format", "tsv").stdout.splitlines()
    chosen = [row for row in rows if "\tc\t" in row or "\te\t" in row]
    typed = xmir("query", "--id", "c", "--id", "e").stdout
    for given in ("\n".join(chosen), "\r\n".join(chosen)):
        assert xmir("query", "--id", "-", stdin=given).stdout == typed
    gone = xmir("query", "--like", "-", stdin=chosen[0].replace("\tc\t", "\tnobody\t"))
    assert (gone.code, "--like nobody (line 1): no such item in " in gone.stderr) == (2, True)


@pytest.mark.usefixtures("index")
def test_the_first_chosen_is_the_query_when_there_is_none(xmir):
    hits = xmir("query", "--id", "a", "--top", "9")
    typed = xmir("query", "--like", "c", "--like", "d").stdout
    assert xmir("query", "--like", "-", stdin=_lines(hits, "c", "d")).stdout == typed
    unlike = xmir("query", "--id", "c", "--unlike", "-", stdin=_lines(hits, "a")).stdout
    assert unlike == xmir("query", "--id", "c", "--unlike", "a").stdout


@pytest.mark.usefixtures("index")
def test_chosen_hits_ask_in_turn(xmir):
    hits = xmir("query", "--id", "a", "--top", "9")
    typed = xmir("query", "--id", "e", "--id", "c", "--id", "d").stdout
    assert xmir("query", "--id", "e", "--id", "-", stdin=_lines(hits, "c", "d")).stdout == typed


@pytest.mark.usefixtures("index")
def test_a_chosen_image_is_known_by_its_content_where_ids_are_others(xmir):
    known = xmir("query", "--id", "d").stdout
    for record in (
        {"retrieved": "/elsewhere/1.png", "retrieved_identity": "d" * 64, "meta": {"id": "a"}},
        {"retrieved": "/elsewhere/1.png", "retrieved_identity": "d" * 64},
        {"id": "d"},
        {"id": "nobody", "path": "/pictures/d.png"},
        {"schema": "xmir.saliency/1", "query": "q", "retrieved": "/x", "meta": {"id": "d"}},
    ):
        assert xmir("query", "--id", "-", stdin=json.dumps(record)).stdout == known


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("flag", ["--like", "--id", "--unlike"])
@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("", 5, "nothing was chosen: standard input is empty"),
        ("\n\n", 5, "nothing was chosen: standard input is empty"),
        ('{"answer": "none"}', 5, "nothing was chosen: no query of standard input has an answer"),
        ('a\n{"schema', 5, "standard input: line 2: bad-record: not a JSON object"),
        ('{"rank": 1}', 5, "standard input: line 1: expected a retrieved image, a path or an id"),
    ],
)
def test_what_is_no_choice_is_told(xmir, flag, given, code, said):
    query = ["--id", "a"] if flag == "--unlike" else []
    result = xmir("query", *query, flag, "-", stdin=given)
    assert (result.code, result.stdout) == (code, "")
    assert result.stderr.splitlines()[0] == f"xmir: error: {said}"


@pytest.mark.usefixtures("index")
def test_a_choice_that_the_index_does_not_have_is_told_with_its_line(xmir):
    result = xmir("query", "--id", "-", stdin="a\nnobody")
    assert result.code == 2
    assert result.stderr.startswith("xmir: error: --id nobody (line 2): no such item in ")


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--like", "-", "--unlike", "-"], "--unlike -: standard input is read by --like already"),
        (["--like", "-", "--like", "-"], "--like -: standard input is read by --like already"),
        (["-", "--like", "-"], "--like -: standard input names the images already"),
        (
            ["--text-file", "-", "--id", "-"],
            "--id -: standard input is read by --text-file already",
        ),
    ],
)
def test_standard_input_is_read_for_one_thing(xmir, flags, said):
    result = xmir("query", *flags, stdin="a\n")
    assert (result.code, result.stderr) == (2, f"xmir: error: {said}\n")


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--per", "patient"], "--per patient: expected COLUMN=COUNT"),
        (["--where", "age"], "--where: expected COLUMN=VALUE"),
        (["--where", "hospital=A"], "--where: no column 'hospital'"),
        (["--id", "nobody"], "--id nobody: no such item"),
    ],
)
def test_conditions_and_ids_are_checked_before_an_example_is_embedded(xmir, flags, said):
    result = xmir("query", "-i", "e.xmir", "--like", "missing.png", *flags)
    assert result.code == 2
    assert result.stderr.startswith(f"xmir: error: {said}")


@pytest.mark.usefixtures("index")
def test_some_queries_of_each_label(xmir):
    result = xmir("query", "--per-label", "2", "--top", "1")
    assert result.code == 0
    assert result.stderr == "xmir: note: fewer than 2 images of some labels: well 1\n"
    assert [record["query_label"] for record in result.records()] == ["ill", "ill", "well"]
    assert len(_found(result)) == len(set(_found(result)))
    again = xmir("query", "--per-label", "2", "--top", "1", "--seed", "0")
    assert again.stdout == result.stdout
    drawn = {
        tuple(_found(xmir("query", "--per-label", "1", "--seed", n, "-k", 1))) for n in range(9)
    }
    assert drawn == {("a", "c"), ("b", "c"), ("d", "c")}


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("others", [("--all",), ("--id", "a"), ("--vector", "q.npy")])
def test_per_label_is_refused_beside_those_who_are_named(xmir, others):
    result = xmir("query", "--per-label", "2", *others)
    assert result.code == 2
    assert f"--per-label draws who asks, and {others[0]} names them" in result.stderr
