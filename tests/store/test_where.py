import datetime

import pyarrow as pa
import pytest

from xmir_cli.errors import SettingError
from xmir_cli.store.where import holds, parse_where, say_none

AGES = pa.chunked_array([[9, None], [60, 100]], pa.int64())
SIZES = pa.array([0.5, float("nan"), 2.0, None])
LABELS = pa.array(["b", None, "", "a"])
DAYS = pa.array([datetime.date(2020, 1, 1), None, datetime.date(2021, 6, 1)])
NOON = pa.array(
    [datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)],
    pa.timestamp("ms", "America/New_York"),
)
SICK = pa.array([True, None, False])


def rows(column, text: str) -> list[int]:
    [condition] = parse_where([text])
    return [row for row, each in enumerate(holds(column, condition)) if each]


@pytest.mark.parametrize(
    ("column", "text", "found"),
    [
        (AGES, "x>60", [3]),
        (AGES, "x>=60", [2, 3]),  # as texts 9 would be more
        (AGES, "x<60", [0]),
        (AGES, "x<=60.5", [0, 2]),
        (AGES, "x=60.0", [2]),
        (AGES, "x!=60", [0, 3]),
        (AGES, "x=", [1]),
        (AGES, "x!=", [0, 2, 3]),
        (AGES, "x=old", []),
        (AGES, "x!=old", [0, 2, 3]),
        (AGES, "x > 60", [3]),
        (SIZES, "x>0", [0, 2]),
        (SIZES, "x!=0.5", [2]),
        (SIZES, "x=", [1, 3]),
        (LABELS, "x=b", [0]),
        (LABELS, "x!=b", [3]),
        (LABELS, "x=", [1, 2]),
        (LABELS, "x!=", [0, 3]),
        (DAYS, "x>2020-01-01", [2]),
        (DAYS, "x=2020-01-01", [0]),
        (DAYS, "x=soon", []),
        (SICK, "x=true", [0]),
        (SICK, "x=True", [0]),
        (SICK, "x!=true", [2]),
        (pa.array(["b", "a"]).dictionary_encode(), "x=a", [1]),
        (pa.array([2**62, 1], pa.uint64()), f"x>={2**62}", [0]),
        (pa.array([2**63 + 1, 2**63, 5, None], pa.uint64()), f"x={2**63}", [1]),
        (pa.array([2**63, 5, None], pa.uint64()), "x>5", [0]),
        (pa.array([2**63, 5, None], pa.uint64()), f"x>{2**63 - 1}", []),  # as floats: equal
        (pa.array([2**62, 5, None]), "x<5.5", [1]),
        (SIZES, f"x<{2**53 + 1}", [0, 2]),
        (pa.array([2**62, 5, None]), "x<1e30", [0, 1]),
        (pa.array(["10", None, "", "9"]), "label>=10", [0]),  # grades
        (pa.array(["1.5", None, "-2"]), "x<2", [0, 2]),
        (pa.array(["2024-02-01", "", "2023-12-31"]), "x>=2024-01-01", [0]),
        (NOON, "x<2024-01-01T13:00+01:00", []),
        (NOON, "x<=2024-01-01T13:00+01:00", [0]),
        (NOON, "x<=2024-01-01T12:00Z", [0]),
        (NOON, "x=2024-01-01 07:00", [0]),  # the time in New York
    ],
)
def test_a_condition_holds_where_it_says_and_nowhere_else(column, text, found):
    assert rows(column, text) == found


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        (LABELS, "x>1", "x holds texts, such as b; > compares numbers and dates"),
        (pa.array([None], pa.string()), "x<1", "x holds nothing; < compares numbers and dates"),
        (pa.array(["1", "08"]), "x>5", "x holds texts, such as 08; > compares numbers and dates"),
        (
            pa.array(["61", "60Y"]),
            "x>5",
            "x holds texts, such as 60Y; > compares numbers and dates",
        ),
        (
            pa.array([datetime.datetime(2024, 1, 1)]),
            "x>2024-01-01T12:00Z",
            "x holds dates: expected a date as 2024-12-31, found 2024-01-01T12:00Z",
        ),
        (AGES, "x>old", "x holds numbers: expected a number, found old"),
        (AGES, "x>", "x holds numbers: expected a number, found nothing"),
        (AGES, "x>nan", "x holds numbers: expected a number, found nan"),
        (DAYS, "x<60", "x holds dates: expected a date as 2024-12-31, found 60"),
        (SICK, "x>0", "x holds texts, such as true; > compares numbers and dates"),
    ],
)
def test_an_order_without_a_sense_is_refused(column, text, message):
    with pytest.raises(SettingError) as caught:
        rows(column, text)
    assert caught.value.message == message


FINDINGS = pa.array(["a", "b|a", "a b", "c | a|b", None, "", "|", "c"])


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("label=a", [0, 1, 3]),
        ("label=a|b", [1, 3]),
        ("label=b | a", [1, 3]),
        ("label!=a", [2, 7]),
        ("label!=a|c", [0, 1, 2, 7]),
        ("label=", [4, 5]),
        ("label!=", [0, 1, 2, 3, 6, 7]),
        ("label=|", [6]),
        ("label=d", []),
        ("note=a", [0]),
        ("note=b|a", [1]),
    ],
)
@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_label_is_had_beside_others(text, there, kind):
    assert rows(FINDINGS.cast(kind), text) == there


def test_the_first_operator_ends_the_column():
    [first, second] = parse_where(["note=a>b", "a b<=1"])
    assert (first.column, first.operator, first.value) == ("note", "=", "a>b")
    assert (second.column, second.operator, second.value) == ("a b", "<=", "1")
    for text in ("label", "=x", ">5", ""):
        with pytest.raises(SettingError, match="expected COLUMN=VALUE"):
            parse_where([text])


def test_what_nothing_meets_is_told_with_the_values_there_are():
    many = pa.array([f"c{number:02}" for number in range(14)])
    numbers = pa.array(range(40))
    wanted = parse_where(["label=z", "many=y", "age>99", "none=1"])
    assert say_none(4, wanted, [LABELS, many, numbers, pa.nulls(3)]) == (
        "none of 4 images has label=z and many=y and age>99 and none=1; label holds a, b, many "
        "holds c00, c01, c02, c03, c04, c05, c06, c07, c08, c09 and 4 more, age holds 0 to 39, "
        "none holds nothing"
    )
