import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from xmir_cli.store.cells import (
    clean,
    clean_texts,
    guess_numbers,
    is_flat,
    keep_where,
    read_cells,
    to_column,
    to_json,
    to_text,
)
from xmir_cli.store.describe_columns import describe_columns

DAY = datetime.date(2020, 1, 2)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["60", None, "-7", "0"], [60, None, -7, 0]),
        (["1.5", "2"], [1.5, 2.0]),
        (["0.50", "1.25"], [0.5, 1.25]),
        ([str(2**63 - 1)], [2**63 - 1]),
    ],
)
def test_texts_that_are_all_numbers_become_numbers(texts, found):
    assert guess_numbers(texts) == found


@pytest.mark.parametrize(
    "texts",
    [
        ["007", "8"],  # an id
        ["1e5", "2"],  # an id, too
        ["+1"],
        ["1.1", "1.10"],  # two chapters, one number
        ["1", "1.0"],
        ["1,5"],
        ["7", "x"],
        ["inf"],
        [str(2**63)],
        [f"{2**53 + 1}", "0.5"],
        [None, None],
    ],
)
def test_a_column_that_would_lose_how_it_is_written_stays_text(texts):
    assert guess_numbers(texts) == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" a ", "a"),
        ("a\u00a0", "a"),
        ("", None),
        ("  ", None),
        ("nan", None),
        ("<NA>", None),
        ("NA", "NA"),  # may be a class
        (1.0, "1"),
        (0.5, "0.5"),
        (float("nan"), None),
        (7, "7"),
        (True, "true"),
        (Decimal("2.00"), "2"),
        (DAY, "2020-01-02"),
        (["a", "b ", None, ""], "a|b"),
        ([], None),
        (None, None),
    ],
)
def test_labels_and_patients_are_texts_and_nan_is_none(value, text):
    assert to_text(value) == text


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None], "int64"),
        ([1, 0.5], "double"),
        ([True, False], "bool"),
        ([DAY], "date32[day]"),
        ([None], "string"),
        ([1, "x"], "string"),
        ([True, 1], "string"),
        ([2**64], "string"),
        ([2**64 - 1, None, 0], "uint64"),
        ([10**400], "string"),
        ([2**53 + 1, 0.5], "string"),
    ],
)
def test_cells_make_a_column_of_one_type(values, kind):
    column = to_column(values)
    assert str(column.type) == kind
    assert column.null_count == values.count(None)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array([0.1, float("nan")], pa.float32()), [0.1, None]),
        (pa.array(["u", "v", "u"]).dictionary_encode(), ["u", "v", "u"]),
        (pa.array(["x", ""], pa.large_string()), ["x", None]),
        (pa.array([1, None], pa.uint8()), [1, None]),
        (pa.array([True, None]), [True, None]),
        (pa.array([DAY]), [DAY]),
        (
            pa.array([1], pa.timestamp("ns")),  # finer than a datetime
            [datetime.datetime(1970, 1, 1)],
        ),
        (pa.nulls(2), [None, None]),
    ],
    ids=str,
)
def test_every_flat_type_of_arrow_is_read(column, values):
    assert is_flat(column.type)
    assert read_cells(column) == values


def test_json_has_numbers_texts_and_nothing():
    values = [1, "a", True, 0.5, DAY, Decimal("1.5"), float("nan"), b"x"]
    assert [to_json(value) for value in values] == [
        1,
        "a",
        True,
        0.5,
        "2020-01-02",
        1.5,
        None,
        None,
    ]


def test_cells_that_are_kept_stay_whole_in_the_middle_of_a_table():
    texts = ["a", "bé", "", "c", None, "d"] * 9
    column = pa.chunked_array([texts[:20], texts[20:]])
    for start in range(40):
        piece = column[start : start + 7]
        kept = keep_where(pc.not_equal(piece, "c"), piece)
        kept.validate(full=True)
        wanted = [None if text == "c" else text for text in texts[start : start + 7]]
        assert kept.to_pylist() == wanted


def test_texts_of_a_column_are_cleaned_as_cells_are():
    spaces = [chr(number) for number in range(0x3100) if chr(number).isspace()]
    texts = [
        *(f"{each}p 7{each}" for each in spaces),
        *spaces,
        "p7",
        " nan",
        "<NA>",
        "Nan",
        "",
        None,
    ]
    column = pa.chunked_array([texts[:20], texts[20:]], pa.string())
    cleaned = clean_texts(column)
    assert cleaned.to_pylist() == [None if text is None else clean(text) for text in texts]
    assert cleaned.null_count == len(spaces) + 4
    numbers = pa.chunked_array([[1, None]])
    assert clean_texts(numbers) is numbers


def test_a_table_is_described_as_it_is_read():
    table = pa.table({"patient": ["p7", " p7", "nan"], "split": ["train", "train ", ""]})
    told = describe_columns([table])
    assert (told["patients"], told["split"]) == (1, {"train": 2, "-": 1})
