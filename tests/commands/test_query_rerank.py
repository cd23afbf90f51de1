"""`xmir query --rerank` through the front door."""

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.reciprocal import new_order
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec, Preprocessing


@pytest.fixture
def vectors(xmir, tmp_path) -> np.ndarray:
    """Forty unit vectors in an index, two of a patient."""
    made = np.random.default_rng(0).normal(size=(40, 5)) + 0.4
    made = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    names = [f"i{row}" for row in range(40)]
    items = pa.table(
        {
            "id": names,
            "path": [f"/{name}.png" for name in names],
            "sha256": [f"{row:064x}" for row in range(40)],
            "width": pa.array([8] * 40, pa.int32()),
            "height": pa.array([8] * 40, pa.int32()),
            "label": ["a", "b"] * 20,
            "patient": [f"p{row // 2}" for row in range(40)],
            "split": pa.array([None] * 40, pa.string()),
        }
    )
    model = ModelSpec("densenet121", "random:0", 5, Preprocessing(), "0" * 64)
    write_embeddings(tmp_path / "e.parquet", Embeddings(items, made, model))
    assert xmir("index", tmp_path / "e.parquet", "-o", tmp_path / "e.xmir").code == 0
    return made


def expected(vectors: np.ndarray, asked: int, allowed: list[int], count: int) -> list[int]:
    """The first hits by similarity, then in their new order."""
    similarities = vectors.astype(np.float64) @ vectors[asked].astype(np.float64)
    first = sorted(allowed, key=lambda row: (-similarities[row], row))[:count]
    chosen = vectors[first].astype(np.float64)
    places, _ = new_order(similarities[first], chosen @ chosen.T)
    return [first[place] for place in places]


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        ((), lambda _: True),
        (("--exclude-same", "patient"), lambda row: row // 2 != 3),
        (("--where", "label=a"), lambda row: row % 2 == 0),
    ],
)
def test_the_first_hits_come_in_their_new_order(xmir, vectors, flags, kept):
    allowed = [row for row in range(40) if kept(row)]
    order = expected(vectors, 7, allowed, 15)
    plain = xmir("query", "--id", "i7", "--top", 15, *flags).records()
    made = xmir("query", "--id", "i7", "--top", 15, "--rerank", 15, *flags)
    assert made.code == 0, made.stderr
    records = made.records()
    assert [record["meta"]["id"] for record in records] == [f"i{row}" for row in order]
    assert [record["rank"] for record in records] == list(range(1, 16))
    distances = [record["rerank_distance"] for record in records]
    assert distances == sorted(distances)
    known = {record["meta"]["id"]: record["similarity"] for record in plain}
    assert {record["meta"]["id"]: record["similarity"] for record in records} == known
    assert "rerank_distance" not in plain[0]
    few = xmir("query", "--id", "i7", "--top", 4, "--rerank", 15, *flags).records()
    assert few == [{**each, "asked": {**each["asked"], "top": 4}} for each in records[:4]]


def test_every_item_asks_as_it_does_alone(xmir, vectors):
    del vectors
    together = xmir("query", "--all", "--top", 3, "--rerank", 10).records()
    alone = xmir("query", "--id", "i9", "--top", 3, "--rerank", 10).records()
    assert together[27:30] == alone


def test_a_graph_and_narrow_stores_are_asked_alike(xmir, vectors, tmp_path):
    del vectors
    flags = ("--id", "i7", "--top", 5, "--rerank", 12)
    wanted = [record["meta"]["id"] for record in xmir("query", *flags).records()]
    for name, build in (("h", ("--kind", "hnsw")), ("f", ("--store", "float16"))):
        index = tmp_path / f"{name}.idx"
        assert xmir("index", tmp_path / "e.parquet", *build, "-o", index).code == 0
        found = xmir("query", *flags, "-i", index).records()
        assert [record["meta"]["id"] for record in found] == wanted


def test_what_cannot_be_is_refused(xmir, vectors):
    del vectors
    few = xmir("query", "--id", "i7", "--top", 20, "--rerank", 10)
    assert few.code == 2
    assert "--rerank: 10 is fewer than the 20 hits of --top" in few.stderr
    part = xmir("query", "a.png", "--region", "0,0,1,1", "--rerank", 10)
    assert part.code == 2
    assert "--rerank: not with --region" in part.stderr
