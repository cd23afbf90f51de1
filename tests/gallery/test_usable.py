"""Which rows can be searched, found a block at a time."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.errors import DataError
from xmir_cli.gallery import usable as module
from xmir_cli.gallery.usable import keep_usable, usable_rows
from xmir_cli.store.embedding_source import gather
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.store.features import FeatureMaps
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 3)


def make(names, vectors=None):
    count = len(names)
    if vectors is None:
        vectors = np.random.default_rng(0).normal(size=(count, 4))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    maps = np.arange(count, dtype="<f2").reshape(-1, 1, 1, 1)
    features = FeatureMaps((1, 1, 1), lambda: iter([maps[:2], maps[2:]]))
    items = pa.table({"id": names, "n": list(range(count))})
    return Embeddings(items, np.asarray(vectors, np.float32), MODEL, {}, features)


def nobody(*_):
    raise AssertionError


def test_what_can_be_searched_is_left_at_length_one_with_its_items_and_maps():
    vectors = 3 * make(list("abcdefgh")).vectors
    vectors[2], vectors[5], vectors[6] = 0, np.nan, np.inf
    whole, told = make(list("abcdefgh"), vectors), []
    found = usable_rows(whole, lambda name, error: told.append((name, error.reason)))
    assert told == [
        (name, f"bad-vector: row {row} is zero, NaN or infinite")
        for name, row in (("c", 2), ("f", 5), ("g", 6))
    ]
    assert found.rows == 5
    kept = [0, 1, 3, 4, 7]
    for size in (1, 2, 4, 5, 9):
        blocks = list(found.blocks(size))
        assert {len(block.vectors) for block in blocks[:-1]} <= {size}
        assert [n for block in blocks for n in block.items["n"].to_pylist()] == kept
    everything = gather(found)
    np.testing.assert_allclose(everything.vectors, vectors[kept] / 3, rtol=1e-6)
    assert np.concatenate(list(found.features.blocks())).ravel().tolist() == kept
    again = keep_usable(whole, lambda *_: None)
    assert again.items.equals(everything.items)
    assert np.array_equal(again.vectors, everything.vectors)
    assert np.concatenate(list(again.features.blocks())).ravel().tolist() == kept


@pytest.mark.parametrize("seed", range(5))
def test_ids_that_are_there_more_than_once_are_counted_and_the_first_is_named(seed, monkeypatch):
    if seed == 4:  # whatever the hashes are
        monkeypatch.setattr(module, "hash_texts", lambda column: np.zeros(len(column), np.int64))
    names = np.random.default_rng(seed).integers(0, 12, 10 + seed).astype(str).tolist()
    counts = [name for name, count in Counter(names).items() if count > 1]
    line = rf"^id '{counts[0]}': {len(counts)} ids are there more than once$"
    with pytest.raises(DataError, match=line):
        usable_rows(make(names), nobody)


def test_hashes_that_meet_are_no_ids_that_do(monkeypatch):
    monkeypatch.setattr(module, "hash_texts", lambda column: np.zeros(len(column), np.int64))
    assert usable_rows(make(["a", "b", "", "日本"]), nobody).rows == 4


def test_nothing_is_said_of_rows_where_none_is_left():
    with pytest.raises(DataError, match=r"^no usable rows among 4; nothing was written$"):
        usable_rows(make(list("abcd"), np.zeros((4, 4))), nobody)
