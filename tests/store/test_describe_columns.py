"""What columns hold, counted a piece at a time as a loop would."""

import math
import random
from collections import Counter

import pyarrow as pa
import pytest

from xmir_cli.store.describe_columns import describe_columns, pick_columns

RANDOM = random.Random(0)  # noqa: S311 # no secrets
ROWS = 500
TABLE = pa.table(
    {
        "id": [f"i{number}" for number in range(ROWS)],
        "label": RANDOM.choices(["a", "b|c", "", None], k=ROWS),
        "patient": pa.array(RANDOM.choices([*map(str, range(40)), None], k=ROWS)),
        "view": pa.array(RANDOM.choices(["PA", "AP"], k=ROWS)).dictionary_encode(),
        "sure": RANDOM.choices([True, False, None], k=ROWS),
        "age": pa.array([RANDOM.uniform(0, 90) for _ in range(ROWS)], pa.float32()),
        "dose": RANDOM.choices([1.5, float("nan"), float("inf"), -2.0], k=ROWS),
        "born": RANDOM.choices([1950, None, 2**62], k=ROWS),
        "note": [f"n{number}" for number in range(ROWS)],
        "none": pa.nulls(ROWS),
        "box": [[1, 2]] * ROWS,
    }
)


def values_of(name: str) -> list:
    """The values of a column that are some."""
    nothing = (None, "")
    values = TABLE[name].to_pylist()
    return [each for each in values if each not in nothing and each == each]  # NaN is not itself


@pytest.mark.parametrize("size", [1, 64, ROWS])
def test_a_table_in_pieces_is_told_as_a_loop_tells_it(size: int):
    wanted = TABLE.select(pick_columns(TABLE.schema))
    found = describe_columns(wanted[start : start + size] for start in range(0, ROWS, size))
    label = Counter(part for text in values_of("label") for part in text.split("|"))
    assert found["label"] == label + Counter({"-": ROWS - len(values_of("label"))})
    assert found["several_labels"] == values_of("label").count("b|c")
    assert found["patients"] == len(set(values_of("patient")))
    sure = {"yes": values_of("sure").count(True), "no": values_of("sure").count(False)}
    sure["-"] = ROWS - sum(sure.values())
    assert found["labels"] == {"view": Counter(values_of("view")), "sure": sure}
    assert set(found["ranges"]) == {"age", "dose", "born"}
    for name, told in found["ranges"].items():
        finite = [float(each) for each in values_of(name) if math.isfinite(each)]
        expected = {"minimum": min(finite), "maximum": max(finite)}
        assert told == {**expected, "mean": pytest.approx(sum(finite) / len(finite))}
    missing = {name: ROWS - len(values_of(name)) for name in wanted.column_names}
    assert found["missing_values"] == {name: count for name, count in missing.items() if count}


def test_labels_count_in_whatever_order_they_stand():
    table = pa.table({"label": ["a|b", "b | a", "|", "a", None]})
    assert describe_columns([table]) == {
        "label": {"a": 3, "b": 2, "-": 2},
        "several_labels": 2,
        "missing_values": {"label": 1},
    }


def test_texts_of_too_many_values_are_no_labels():
    many = pa.table({"label": [f"l{number // 2}" for number in range(4000)]})
    same = many.rename_columns(["site"])
    assert set(describe_columns([same])) == set()
    assert describe_columns([many])["label"]["..."] == 4000 - 2 * 20


def test_a_table_without_rows_tells_nothing():
    empty = TABLE[:0].select(pick_columns(TABLE.schema))
    assert describe_columns([empty]) == {"label": {}}
