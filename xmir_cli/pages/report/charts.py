"""Lines of a chart as points of an SVG picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from xmir_cli.console import escape
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import Plot, Schema, keys_of

WIDTH, HEIGHT = 240, 160  # of the plane, in units of the picture
_TOLD = 14  # numbers below the plane that have room


@dataclass(frozen=True)
class ChartLine:
    """One line: its name, its area where it has one, and its points as SVG has them."""

    name: str
    area: float | None
    points: str


@dataclass(frozen=True)
class ChartTick:
    """A place on the x axis, its number, which may be left out there, and its name."""

    x: float  # in units of the picture
    number: str
    name: str
    is_told: bool  # whether the number has room


@dataclass(frozen=True)
class Chart:
    """A few lines on one plane, y from `low` to `high`."""

    title: str
    x: tuple[str, str, str]  # what it is, its first and its last value
    y: str
    low: float
    high: float
    lines: Sequence[ChartLine]
    ticks: Sequence[ChartTick] = ()  # where each x has a name


def curves_of(schema: type[Schema], record: Record) -> list[Chart]:
    """The curves of a record, those of one chart together: over the share of pixels, 0 to 1."""
    found: dict[str, dict[str, Sequence[float]]] = {}
    axes: dict[str, tuple[str, str]] = {}
    for name, key in keys_of(schema).items():
        value = record.get(name)
        if not key.chart or value is None:
            continue
        axes[key.chart] = key.axes
        lines = value if isinstance(value, Mapping) else {"map": value}
        for line, curve in lines.items():
            if _is_curve(curve):
                found.setdefault(key.chart, {})[str(line)] = curve
    return [_curves(title, axes[title], lines) for title, lines in found.items()]


def plots_of(schema: type[Schema], records: Sequence[Record]) -> list[Chart]:
    """The records of a schema as lines, where it says how; nothing of fewer than two points."""
    plots: Sequence[Plot] = vars(schema).get("PLOTS", ())
    return [chart for plot in plots if (chart := _plot(plot, records))]


def _plot(plot: Plot, records: Sequence[Record]) -> Chart | None:
    lines: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        x = record.get(plot.x)
        for key in plot.y:
            y = record.get(key)
            if _is_number(x) and _is_number(y):
                name = str(record.get(plot.by) or "") if plot.by else key
                lines.setdefault(name, []).append((float(x), float(y)))
    points = [point for line in lines.values() for point in line]
    first, last = min((x for x, _ in points), default=0), max((x for x, _ in points), default=0)
    if first == last:
        return None
    low, high = _span([y for _, y in points])
    drawn = [
        ChartLine(
            escape(name),
            None,
            _points([((x - first) / (last - first), y) for x, y in sorted(line)], low, high),
        )
        for name, line in lines.items()
    ]
    title = plot.y[0] if plot.by else ", ".join(lines)
    ticks = _ticks(plot, records, first, last)
    return Chart(title, (plot.x, f"{first:g}", f"{last:g}"), title, low, high, drawn, ticks)


def _ticks(plot: Plot, records: Sequence[Record], first: float, last: float) -> list[ChartTick]:
    """The places that have names, in order; one that has several has them all."""
    named: dict[float, dict[str, None]] = {}
    for record in records:
        x, name = record.get(plot.x), record.get(plot.names) if plot.names else None
        if _is_number(x) and isinstance(name, str):
            named.setdefault(float(x), {})[escape(name)] = None
    step = -(-len(named) // _TOLD)
    return [
        ChartTick(
            (x - first) / (last - first) * WIDTH, f"{x:g}", ", ".join(names), not place % step
        )
        for place, (x, names) in enumerate(sorted(named.items(), key=lambda each: each[0]))
    ]


def _curves(title: str, axes: tuple[str, str], lines: Mapping[str, Sequence[float]]) -> Chart:
    low, high = _span([value for curve in lines.values() for value in curve])
    drawn = [
        ChartLine(escape(name), _area(curve), _points(_even(curve), low, high))
        for name, curve in lines.items()
    ]
    return Chart(title, (axes[0], "0", "1"), axes[1], low, max(high, 1.0), drawn)


def _even(curve: Sequence[float]) -> list[tuple[float, float]]:
    return [(place / (len(curve) - 1), value) for place, value in enumerate(curve)]


def _area(curve: Sequence[float]) -> float:
    """By trapezoid, over 0 to 1."""
    return (sum(curve) - (curve[0] + curve[-1]) / 2) / (len(curve) - 1)


def _span(values: Sequence[float]) -> tuple[float, float]:
    """From 0, or below, to 1 where that is near, else to the largest."""
    low, high = min([0.0, *values]), max(values)
    return low, 1.0 if 0.25 <= high <= 1 else high if high > low else low + 1


def _points(line: Sequence[tuple[float, float]], low: float, high: float) -> str:
    return " ".join(
        f"{x * WIDTH:.1f},{(1 - (y - low) / (high - low)) * HEIGHT:.1f}" for x, y in line
    )


def _is_curve(value: object) -> TypeGuard[Sequence[float]]:
    return isinstance(value, list) and len(value) > 1 and all(map(_is_number, value))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
