import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.gallery.folder.conditions import Most
from xmir_cli.gallery.folder.exact import Neighbours
from xmir_cli.gallery.texts import (
    labels_of,
    lacks_labels,
    numbers_of,
    rows_sharing,
)

NUMBERS = pa.chunked_array([[3, None], [12, 3]], pa.int32())
TEXTS = pa.chunked_array([["b", None, ""], [], ["a", "b", "'; é"]], pa.string())


LABELS = pa.chunked_array([["b", None, ""], [], ["a", "a | b", "|", "c"]], pa.string())


@pytest.mark.parametrize(
    ("labels", "others"),
    [("b", [3, 6]), ("a|b", [6]), ("c", [0, 3, 4]), ("B", [0, 3, 4, 6]), ("", []), ("|", [])],
)
def test_other_labels_are_those_that_share_none(labels, others):
    assert lacks_labels(LABELS, labels).nonzero()[0].tolist() == others


def test_numbers_are_compared_as_texts():
    assert [rows.tolist() for rows in rows_sharing(NUMBERS, [3, "12", None, 1])] == [
        [0, 3],
        [2],
        [],
        [],
    ]
    assert numbers_of(NUMBERS).tolist() == [0, -1, 1, 0]


def test_nothing_is_shared_with_nothing():
    found = rows_sharing(TEXTS, ["b", None, "", "a", "b"])
    assert [rows.tolist() for rows in found] == [[0, 4], [], [], [3], [0, 4]]
    assert rows_sharing(TEXTS, []) == []
    kinds = numbers_of(TEXTS)
    assert kinds[1] == kinds[2] == -1
    assert kinds[0] == kinds[4] != kinds[3]


@pytest.mark.parametrize(("limit", "kept"), [(1, [0, 4, 5]), (2, [0, 1, 2, 4, 5]), (3, range(6))])
def test_so_many_of_each_label_count_those_of_several_as_each(limit, kept):
    column = pa.chunked_array([["a|b", "b", "a", "b|a"], ["c", None]], pa.string())
    most = Most(numbers_of(column), limit, labels_of(column))
    near = most.thin(Neighbours(np.arange(6), np.ones(6)), 6)
    assert near.rows.tolist() == list(kept)
