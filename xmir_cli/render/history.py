"""The course of a training run as a picture: its numbers over its epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xmir_cli.render.drawing import LIMIT, PALETTE, Drawing
from xmir_cli.render.lettering import font, shorten
from xmir_cli.render.plane import SMALL, Plane, ticks
from xmir_cli.render.words import wrap

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 64, 24, 48, 52  # units
_PANEL, _HEAD, _GAP = 170, 52, 38  # units: a plane, what stands above it, what is left below
_TITLE, _TEXT, _LINE = 18, 15, 20  # units, height of letters, and of a line of small ones


@dataclass(frozen=True)
class _Panel:
    """Numbers of epochs that share a plane."""

    title: str
    names: Mapping[str, str]  # of keys, as the legend has them
    rising: bool | None  # whether more is better; None where neither is
    low: float | None = 0.0  # at the bottom; None leaves it to the values
    high: float | None = None  # at the top


_PANELS = (
    _Panel(
        "Loss: mean over the batches of an epoch",
        {"loss": "loss", "attention_loss": "attention loss"},
        rising=False,
    ),
    _Panel(
        "Triplets that violate the margin: share of all",
        {"violating_fraction": "violating fraction"},
        rising=False,
        high=1.0,
    ),
    _Panel(
        "Validation: each image asks among all others, 1 is perfect",
        {"map": "mAP", "p_at_1": "P@1", "p_at_5": "P@5"},
        rising=True,
        low=None,
    ),
    _Panel(
        "Validation by patient: images of the query's own patient do not count",
        {"map_excluding_same_patient": "mAP"},
        rising=True,
        low=None,
    ),
    _Panel(
        "Learning rate: in the middle of each epoch",
        {"learning_rate": "learning rate"},
        rising=None,
    ),
)


def draw_history(
    title: str,
    about: str,
    epochs: Sequence[Mapping[str, object]],
    wanted: int,
    kept: int | None = None,
) -> Drawing:
    """The numbers of the epochs so far, of `wanted`, each kind of number in a plane of its own.

    Args:
        title: What the run is.
        about: How it was asked for, in smaller letters below.
        epochs: Their records `xmir.epoch/1`; a number that is null leaves a gap.
        wanted: How many epochs the axis has.
        kept: The epoch that a dashed line marks; None for no mark.
    """
    panels = [panel for panel in _PANELS if _known(panel, epochs)] or [*_PANELS[:2]]
    each, room = _HEAD + _PANEL + _GAP, _WIDTH - _LEFT - _RIGHT
    lines = wrap(about, font(SMALL), room)
    top = _TOP + _LINE * len(lines) + 8
    drawing = Drawing(_WIDTH, top + each * len(panels) - _GAP + _BOTTOM, title)
    drawing.words((_LEFT, 26), shorten(title, font(_TITLE), room), _TITLE)
    for number, line in enumerate(lines):
        drawing.words((_LEFT, _TOP + 6 + _LINE * number), line, SMALL)
    for number, panel in enumerate(panels):
        _draw_panel(drawing, panel, epochs, (top + number * each, wanted, kept))
    drawing.words((_LEFT + room / 2, drawing.height - 16), "epoch", _TEXT, anchor="middle")
    return drawing


def _known(panel: _Panel, epochs: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """The keys of a panel that any epoch has a number for, with their names."""
    return {
        key: name
        for key, name in panel.names.items()
        if any(_number(epoch.get(key)) is not None for epoch in epochs)
    }


def _draw_panel(
    drawing: Drawing,
    panel: _Panel,
    epochs: Sequence[Mapping[str, object]],
    where: tuple[float, int, int | None],
) -> None:
    top, wanted, kept = where
    drawing.words((_LEFT, top + 10), panel.title, _TEXT)
    lines = {
        key: [(float(place), _number(epoch.get(key))) for place, epoch in enumerate(epochs, 1)]
        for key in _known(panel, epochs)
    }
    up = _up(panel, [value for line in lines.values() for _, value in line if value is not None])
    x = (1.0, float(wanted)) if wanted > 1 else (0.5, 1.5)
    size = (_WIDTH - _LEFT - _RIGHT, _PANEL)
    plane = Plane(_LEFT, top + _HEAD, *size, x, (up[0], up[-1]))
    across = _across(wanted)
    plane.draw_grid(drawing, across, up)
    for epoch in across:
        below = plane.place(epoch, up[0])
        drawing.words((below[0], below[1] + 14), f"{epoch:g}", SMALL, anchor="middle")
    if kept is not None:
        drawing.line([plane.place(kept, up[0]), plane.place(kept, up[-1])], LIMIT, 1.5, (5, 4))
    left = float(_LEFT)
    for (key, line), color in zip(lines.items(), PALETTE, strict=False):
        plane.draw_curve(drawing, line, color)
        text = f"{panel.names[key]} {_summary(line, panel.rising)}"
        drawing.words((left, top + 34), text, SMALL, color)
        left += max(font(SMALL).getlength(text) + 12, (_WIDTH - _LEFT - _RIGHT) / len(panel.names))


def _summary(line: Sequence[tuple[float, float | None]], rising: bool | None) -> str:
    """The last number, and the best one where that is another."""
    known = [(epoch, value) for epoch, value in line if value is not None]
    if rising is None:
        return f"{known[-1][1]:.3g}"
    last = f"{known[-1][1]:.3f}"
    epoch, best = (max if rising else min)(known, key=lambda point: point[1])
    if f"{best:.3f}" == last:
        return last
    return f"{last} ({'best' if rising else 'lowest'} {best:.3f}, epoch {epoch:.0f})"


def _up(panel: _Panel, values: Sequence[float]) -> list[float]:
    """The places of the axis of values."""
    low = min(values, default=0.0) if panel.low is None else panel.low
    high = max(values, default=1.0) if panel.high is None else panel.high
    return ticks(low, high, 5)


def _across(wanted: int) -> list[float]:
    """The places of the axis of epochs: whole numbers, the last one among them."""
    step = max(1, int(ticks(0, wanted, 12)[1]))
    between = [
        epoch for epoch in range(step, wanted, step) if min(epoch - 1, wanted - epoch) >= step / 2
    ]
    return list(dict.fromkeys(map(float, [1, *between, wanted])))


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None
