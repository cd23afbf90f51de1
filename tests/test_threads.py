"""Work on threads, with its results in order."""

import threading
import time

import pytest

from xmir_cli.threads import threads


@pytest.fixture(autouse=True)
def three(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")


def test_results_come_in_the_order_of_the_parts_on_threads_of_their_own():
    def work(part):
        time.sleep(0.01 if part == 0 else 0)
        return part, threading.current_thread().name

    with threads() as spread:
        found = list(spread(work, range(20)))
    assert [part for part, _ in found] == list(range(20))
    assert all(name.startswith("numpy") for _, name in found)


def test_no_more_is_begun_than_a_few_parts_ahead_of_what_is_taken():
    begun = []
    with threads() as spread:
        results = spread(begun.append, range(1000))
        next(results)
        time.sleep(0.05)
        assert len(begun) <= 12
        results.close()
    assert len(begun) <= 12


def test_what_a_part_raises_is_raised_and_nothing_more_is_begun():
    begun = []

    def work(part):
        begun.append(part)
        if part == 2:
            raise ValueError("broken")

    with threads() as spread, pytest.raises(ValueError, match="broken"):
        list(spread(work, range(1000)))
    assert len(begun) <= 15


def test_one_thread_needs_no_pool(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with threads() as spread:
        assert spread is map
