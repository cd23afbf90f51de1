import math
import sys
from pathlib import Path

import pytest


@pytest.fixture
def timing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import timing

    yield timing
    del sys.modules["timing"]


def test_contestants_take_turns_and_their_results_are_kept(timing):
    order = []
    contestants = {name: lambda name=name: order.append(name) or name.upper() for name in "ab"}
    times = timing.rounds(contestants, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3, "b": 3}
    assert times.results == {"a": "A", "b": "B"}


def test_ratios_are_taken_within_each_round(timing, capsys):
    times = {"slow": [2.0, 40.0, 6.0], "fast": [1.0, 10.0, 2.0]}
    assert timing.ratios(times, "slow") == {"slow": [1, 1, 1], "fast": [2, 4, 3]}
    timing.table("Race", times, "slow", {"fast": "equal"})
    assert capsys.readouterr().out.splitlines() == [
        "",
        "Race (3 rounds in turn, medians)",
        "        seconds  x slow",
        "slow          6  1.00 (1.00 to 1.00)",
        "fast          2  3.00 (2.00 to 4.00)       equal",
    ]


def test_the_longer_bar_is_the_faster_one(timing, tmp_path):
    import numpy as np
    from PIL import Image

    timing.chart(tmp_path / "a.png", "Race", {"slow": [4.0], "fast": [1.0]}, "slow")
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    gray, blue = ((pixels == color).all(axis=2) for color in ((154,) * 3, (42, 111, 151)))
    assert blue.any(axis=0).sum() > 3.5 * gray[60].sum()


def test_absent_module_is_told_with_the_command_that_brings_it(timing):
    with pytest.raises(SystemExit, match="nowhere is not installed: pip install nowhere"):
        timing.need(math="pip install math", nowhere="pip install nowhere")


def test_difference_of_unequal_shapes_is_infinite(timing):
    assert timing.difference([1.0, 2.0], [1.0, 2.5]) == 0.5
    assert timing.difference([1.0], [1.0, 2.0]) == math.inf
