import pyarrow as pa
import pytest

from xmir_cli.gallery.texts import differs, equals, numbers_of, rows_sharing

NUMBERS = pa.chunked_array([[3, None], [12, 3]], pa.int32())
TEXTS = pa.chunked_array([["b", None, ""], [], ["a", "b", "'; é"]], pa.string())


@pytest.mark.parametrize(
    ("value", "same"),
    [("b", [0, 4]), ("", [1, 2]), ("'; é", [5]), ("c", []), ("B", []), ("b ", [])],
)
def test_equal_is_the_same_text_and_nothing_is_the_empty_one(value, same):
    found = equals(TEXTS, value)
    assert [row for row, each in enumerate(found) if each] == same
    other = [row for row in (0, 3, 4, 5) if row not in same]
    assert [row for row, each in enumerate(differs(TEXTS, value)) if each] == other


def test_numbers_are_compared_as_texts():
    assert equals(NUMBERS, "3").tolist() == [True, False, False, True]
    assert equals(NUMBERS, "03").tolist() == [False] * 4
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
