import gc
import threading
import time
import weakref

import pytest

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.pictures.batches import decode_all


@pytest.mark.parametrize("jobs", [None, 1, 3])
def test_results_come_in_order_however_long_each_takes(jobs: int | None):
    def load(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(decode_all(range(100), load, jobs)) == [number * number for number in range(100)]


def test_a_bad_item_is_an_answer_and_the_others_go_on():
    def load(number: int) -> int:
        if number == 2:
            raise ItemError(Cause.EMPTY, "no bytes")
        return number

    found = list(decode_all(range(4), load, 2))
    assert [item.reason if isinstance(item, ItemError) else item for item in found] == [
        0,
        1,
        "empty: no bytes",
        3,
    ]


def test_other_errors_are_not_swallowed():
    def load(number: int) -> float:
        return 1 / number

    with pytest.raises(ZeroDivisionError):
        list(decode_all([1, 0, 1], load, 2))


def test_no_more_is_loaded_ahead_than_the_window_holds():
    loaded: list[int] = []
    results = decode_all(range(10_000), lambda number: loaded.append(number), 2)
    next(results)
    time.sleep(0.05)
    assert len(loaded) <= 2 + 32
    results.close()


def test_leaving_early_leaves_no_thread_behind():
    before = threading.active_count()
    results = decode_all(range(1000), lambda number: number, 4)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_nothing_gives_nothing():
    assert list(decode_all([], str, None)) == []


def test_an_input_left_out_does_not_keep_what_was_read_of_it():
    class Content:
        """Something large."""

        def __init__(self, number: int) -> None:
            self.number = number

    kept: list[weakref.ref] = []

    def load(number: int) -> int:
        content = Content(number)
        kept.append(weakref.ref(content))
        try:
            raise ValueError(content)
        except ValueError:
            raise ItemError(Cause.CORRUPT, "damaged file") from None

    found = list(decode_all(range(3), load, 1))
    assert [item.reason for item in found if isinstance(item, ItemError)] == (
        ["corrupt: damaged file"] * 3
    )
    gc.collect()
    assert [each() for each in kept] == [None, None, None]
