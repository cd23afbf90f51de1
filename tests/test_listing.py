"""A record for eyes."""

import pytest

from xmir_cli.listing import list_lines
from xmir_cli.table import count_cells

EPOCHS = [{"epoch": 1, "loss": 0.51234567}, {"epoch": 2, "loss": 1e-9}]


def test_a_plain_value_is_told_in_few_characters():
    record = {
        "schema": "xmir.info/1",
        "kind": "index",
        "mean": 0.5091901826446281,
        "sha256": "ab" * 32,
        "flip": True,
        "head": None,
        "types": [],
        "std": [0.25, 0.1 + 0.2],
    }
    assert list_lines(record, 80) == [
        "kind    index",
        "mean    0.50919",
        "sha256  abababababab…",
        "flip    yes",
        "std     0.25, 0.3",
    ]


def test_objects_of_the_same_keys_are_a_table():
    ranges = {"rank": {"low": 1, "high": 3}, "similarity": {"low": 0.25, "high": 0.5}}
    assert list_lines({"made": {"epochs": EPOCHS, "ranges": ranges, "n": 2}}, 80) == [
        "made.epochs",
        "    epoch      loss",
        "        1  0.512346",
        "        2     1e-09",
        "made.ranges",
        "               low  high",
        "  rank           1     3",
        "  similarity  0.25   0.5",
        "made.n  2",
    ]


def test_other_objects_and_tables_too_wide_are_told_key_by_key():
    record = {"epochs": [{"loss": 0.5, "at": {"lr": 1}}, {"loss": 0.25}], "n": [1, 2]}
    assert [line.split() for line in list_lines(record, 80)] == [
        ["epochs.1.loss", "0.5"],
        ["epochs.1.at.lr", "1"],
        ["epochs.2.loss", "0.25"],
        ["n", "1,", "2"],
    ]
    assert list_lines({"e": EPOCHS}, 15)[0].split() == ["e.1.epoch", "1"]


@pytest.mark.parametrize("width", [24, 40, 80, None])
def test_no_line_is_wider_than_it_may_be(width: int | None):
    record = {
        "path": "/a/very/long/" + "folder/" * 20 + "file.png",
        "columns": [f"column_{number}" for number in range(30)],
        "a" * 30: "é漢" * 30,
        "epochs": EPOCHS,
        "histogram": [100_000 + number for number in range(10)],
    }
    lines = list_lines(record, width)
    text = " ".join(" ".join(lines).split())
    assert "column_0, column_1, column_2" in text
    assert width is None or max(map(count_cells, lines)) <= width
    assert width is not None or lines[0].endswith("/file.png")
    assert lines[0].startswith("path")


def test_of_a_very_long_list_not_all_is_told():
    (line,) = list_lines({"n": list(range(5000))}, None)
    assert line.endswith("98, 99, and 4900 more")
    lines = list_lines({"epochs": [{"loss": number} for number in range(130)]}, 80)
    assert [each.strip() for each in (*lines[50:54], lines[-1])] == [
        "48", "49", "... 30 more ...", "80", "129"
    ]  # fmt: skip


def test_a_path_keeps_its_beginning_and_its_end():
    (line,) = list_lines({"path": "/data/" + "x" * 90 + "/file.png"}, 50)
    assert line.startswith("path  /data/xx")
    assert line.endswith("xx/file.png")
    assert len(line) == 50


def test_nothing_is_told_as_python_writes_it():
    lines = list_lines({"a": {"b": {}, "c": [[1, 2], {"d": (3,)}]}, "e": {}}, 80)
    assert not any(mark in "".join(lines) for mark in "{}[]()")
