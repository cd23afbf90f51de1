"""Contestants measured in turn, and what came of it as a table and as a picture.

    found = rounds({"ours": ours, "theirs": theirs}, 5)
    table("Embedding 64 images", found, "theirs", {"ours": "equal within 1e-6"})
    chart(Path("embed.png"), "Embedding 64 images", found, "theirs")

Machines drift: only the ratios within a round compare like with like.
"""

import argparse
import importlib.util
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_WIDTH, _NAMES, _BAR, _TEXT = 900, 300, 22, 15  # pixels


class Times(dict[str, list[float]]):
    """Seconds of every contestant, a number a round, and what each returned in the last one."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__({name: [] for name in names})
        self.results: dict[str, object] = {}


def rounds(
    contestants: Mapping[str, Callable[[], T]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Run every contestant once a round, in turn; every other round backwards.

    Another `clock` than that of the wall is `time.process_time`, for a machine with other work.
    The first round is counted, too: from three on the medians do not see what it had to warm up.
    """
    times = Times(list(contestants))
    for number in range(rounds):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            start = clock()
            result = contestants[name]()
            times[name].append(clock() - start)
            times.results[name] = result
    return times


def ratios(times: Mapping[str, Sequence[float]], reference: str) -> dict[str, list[float]]:
    """How many times as fast as the reference each contestant was in every round."""
    return {
        name: [base / own for base, own in zip(times[reference], seconds, strict=True)]
        for name, seconds in times.items()
    }


def table(
    title: str,
    times: Mapping[str, Sequence[float]],
    reference: str,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Print median seconds, and the ratio to the reference as its median (lowest to highest)."""
    notes = notes or {}
    count, width = len(times[reference]), max(map(len, times))
    print(f"\n{title} ({count} rounds in turn, medians)")
    print(f"{'':{width}}  {'seconds':>9}  {'x ' + reference}")
    for name, found in ratios(times, reference).items():
        median = f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"
        seconds = statistics.median(times[name])
        print(f"{name:{width}}  {seconds:9.4g}  {median:24}  {notes.get(name, '')}".rstrip())


def chart(path: Path, title: str, times: Mapping[str, Sequence[float]], reference: str) -> None:
    """Draw how many times as fast as the reference each is: bars to the median, lines as range."""
    from PIL import Image, ImageDraw, ImageFont

    found, font = ratios(times, reference), ImageFont.load_default(_TEXT)
    unit = (_WIDTH - _NAMES - 90) / max(map(max, found.values()))
    image = Image.new("RGB", (_WIDTH, 60 + 2 * _BAR * len(found)), "white")
    draw = ImageDraw.Draw(image)
    draw.text((15, 15), f"{title}: times as fast as {reference}", "black", font)
    for row, (name, each) in enumerate(found.items()):
        top, median = 55 + 2 * _BAR * row, statistics.median(each)
        end, middle = _NAMES + median * unit, top + _BAR / 2
        draw.text((_NAMES - 10, middle), name, "black", font, anchor="rm")
        color = "#9a9a9a" if name == reference else "#2a6f97"
        draw.rectangle((_NAMES, top, end, top + _BAR), color)
        draw.line((_NAMES + min(each) * unit, middle, _NAMES + max(each) * unit, middle), "black")
        right = _NAMES + max(each) * unit
        draw.text((max(end, right) + 8, middle), f"{median:.2f}", "black", font, anchor="lm")
    draw.line((_NAMES + unit, 45, _NAMES + unit, image.height - 5), "#9a9a9a")
    image.save(path)


def arguments(description: str, number: int = 5, **more: str) -> argparse.Namespace:
    """The flags of every script here (--rounds, --quick, --chart) and `more`, name=help."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=_positive, help=f"[default: {number}; 1 with --quick]")
    parser.add_argument("--quick", action="store_true", help="a tiny workload: does it run?")
    parser.add_argument("--chart", type=Path, metavar="FILE.png", help="draw the ratios, too")
    for name, text in more.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    given = parser.parse_args()
    given.rounds = given.rounds or (1 if given.quick else number)
    return given


def _positive(given: str) -> int:
    number = int(given)
    if number < 1:
        raise ValueError
    return number


def need(**modules: str) -> None:
    """Leave with one line when a module is absent: need(quantus="pip install quantus")."""
    for module, command in modules.items():
        if importlib.util.find_spec(module) is None:
            sys.exit(f"{module} is not installed: {command}")


def difference(first: object, second: object) -> float:
    """The largest difference of two results of equal shape."""
    import numpy as np

    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return float(np.abs(one - other).max()) if one.shape == other.shape else math.inf
