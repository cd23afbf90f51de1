"""The figure of all classes and their differences, after figure 6 of the paper."""

from pathlib import Path

import numpy as np

from xmir_cli.classes.differences import (
    SIGNED,
    SIGNIFICANT,
    Averages,
    draw_difference,
    draw_map,
    largest_difference,
    save_picture,
)
from xmir_cli.console import escape
from xmir_cli.render.colormap import choose_colormap, colors, scale
from xmir_cli.render.lettering import Ink
from xmir_cli.render.overlay import Display
from xmir_cli.render.panels import Panel, PanelRow, figure

_COLUMNS = 6  # of the figure at most
_UNITS = {  # of the maps under each normalisation
    "l1": "1 is the mean of each image's map",
    "max": "1 is the largest value of each image's map",
    "none": "the method's own numbers",
}


def write_figure(averages: Averages, path: Path, method: str) -> None:
    """Average images, mean maps and differences in three rows."""
    means = [averages.mean(label) for label in averages.classes]
    largest, signed = scale(np.stack(means)), largest_difference(averages)
    name, unit = choose_colormap(np.stack(means)), _UNITS[averages.normalization]
    bare = [
        Panel(averages.picture(label), [(None, f"{escape(label)} ({_count(averages, label)})")])
        for label in averages.classes
    ]
    maps = [
        Panel(draw_map(averages, mean, [label], name, largest), [(None, escape(label))])
        for label, mean in zip(averages.classes, means, strict=True)
    ]
    differences = [
        Panel(draw_difference(averages, pair, signed), _explain(averages, pair))
        for pair in averages.pairs
    ]
    itself = f"Mean map of what makes an image similar to itself: {method}; {unit}"
    rows = [
        PanelRow("Average image of each class", bare),
        PanelRow(itself, maps, Display(name, averages.alpha), largest),
        PanelRow(
            f"Difference of the mean maps; {unit}",
            differences,
            Display(SIGNED, averages.alpha),
            signed,
        ),
    ]
    save_picture(figure(rows, min(max(2, len(maps)), _COLUMNS)), path)


def _explain(averages: Averages, pair: tuple[str, str]) -> list[tuple[Ink | None, str]]:
    """What the colours and the lines of a difference mean."""
    (first, second), chance = map(escape, pair), averages.chance(*pair)
    found: list[tuple[Ink | None, str]] = [
        (None, f"{first} - {second}"),
        (_color(1.0), f"more in {first}"),
        (_color(-1.0), f"more in {second}"),
    ]
    if chance is not None:
        share = float((chance < SIGNIFICANT).mean())
        where = f"on {share:.1%} of the map, inside the lines" if share else "nowhere"
        found.append((None, f"p < {SIGNIFICANT}: {where}"))
    return found


def _color(value: float) -> Ink:
    red, green, blue = colors(np.array(value), SIGNED).tolist()
    return red, green, blue


def _count(averages: Averages, label: str) -> str:
    patients = averages.units(label)
    unit = "patient" if patients == 1 else "patients"
    told = f", {patients} {unit}" if averages.knows_patients else ""
    return f"n = {averages.classes[label].count}{told}"
