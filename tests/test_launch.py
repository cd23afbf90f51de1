"""Ranks of one run say once what all of them would say."""

import threading
import time

from xmir_cli import launch


class Store:
    """The numbers that ranks share."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.lock = threading.Lock()

    def add(self, key: str, amount: int) -> int:
        with self.lock:
            self.numbers[key] = self.numbers.get(key, 0) + amount
            return self.numbers[key]


def test_a_rank_that_does_not_say_it_stays_until_it_was_said(monkeypatch):
    store, order = Store(), []
    monkeypatch.setattr(launch, "_has_store", lambda _: True)
    monkeypatch.setattr(launch, "_is_one_of_many", lambda: True)
    monkeypatch.setattr(launch, "open_store", lambda _: store)

    def slowly() -> None:
        time.sleep(0.3)
        order.append("said")

    def second() -> None:
        while not store.numbers:
            time.sleep(0.01)
        launch.say_once("lost", lambda: order.append("said again"))
        order.append("left")

    other = threading.Thread(target=second)
    other.start()
    launch.say_once("lost", slowly)
    other.join()
    assert order == ["said", "left"]


def test_a_rank_waits_for_the_words_of_one_that_is_gone_but_for_a_time(monkeypatch):
    store, order = Store(), []
    monkeypatch.setattr(launch, "_has_store", lambda _: True)
    monkeypatch.setattr(launch, "_is_one_of_many", lambda: True)
    monkeypatch.setattr(launch, "open_store", lambda _: store)
    monkeypatch.setattr(launch, "_PATIENT", 0.2)
    store.add = lambda key, _: 2 if "said" in key else 0
    launch.say_once("lost", lambda: order.append("said again"))
    assert order == []
