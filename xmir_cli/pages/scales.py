"""Which number the full colour of a method stands for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli.pages.columns import MapColumn, QueryRow
from xmir_cli.pages.entries import MapKind, PageEntry
from xmir_cli.render.colormap import COLORS_BY_SIGN
from xmir_cli.render.montage import ColorBar
from xmir_cli.saliency import catalogue

_MOST = 3  # times the median of the largest numbers of maps: what is above is drawn as full colour
_SAME = 0.9999  # the similarity from which a retrieved image counts as the query itself

_SIGNS = ("lowers the similarity", "raises the similarity")


@dataclass(frozen=True)
class Measure:
    """The numbers of a map, as far as its colours need them."""

    lowest: float
    highest: float

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(abs(self.lowest), abs(self.highest))


def measure(saliency: np.ndarray) -> Measure:
    """What a map [H, W] has."""
    return Measure(float(saliency.min()), float(saliency.max()))


def bars_of(
    rows: Sequence[QueryRow], names: Mapping[MapColumn, str], measures: Mapping[str, Measure]
) -> dict[MapColumn, ColorBar]:
    """A bar for each column that has maps in these rows; `measures` are by the maps' paths."""
    found = {}
    for column, name in names.items():
        entries = [hit.cells[column] for row in rows for hit in row.hits if column in hit.cells]
        entries = [entry for entry in entries if entry.saliency in measures]
        if entries:
            found[column] = _bar(column, name, entries, measures)
    return found


def full_color(maps: Iterable[tuple[float, bool]]) -> float:
    """What full colour stands for: of each map its largest number, and whether it is a duplicate's.

    Duplicates are left out where there are others, blank maps always; and a number that is far
    above those of most maps is drawn as full colour, so that one map does not pale all others.
    """
    filled = [each for each in maps if each[0] > 0]
    values = sorted(value for value, same in filled if not same) or sorted(v for v, _ in filled)
    if not values:
        return 1.0
    return min(values[-1], _MOST * values[(len(values) - 1) // 2])


def is_duplicate(entry: PageEntry) -> bool:
    """Whether the retrieved image is the query, or has its very embedding."""
    similarity = entry.view.similarity
    return entry.is_self or (similarity is not None and similarity >= _SAME)


def _bar(
    column: MapColumn, name: str, entries: Sequence[PageEntry], measures: Mapping[str, Measure]
) -> ColorBar:
    kind, _ = column
    found = [(measures[entry.saliency or ""], is_duplicate(entry)) for entry in entries]
    signed = kind.contrasted or any(each.lowest < 0 for each, _ in found)
    full = full_color((each.largest, same) for each, same in found)
    most = max(each.largest for each, _ in found)
    beyond = most if most > full else 0.0
    more = f", up to {most:.3g}" if beyond else ""
    return ColorBar(
        f"{name}: {unit_of(kind)}{more}",
        COLORS_BY_SIGN[signed],
        full,
        beyond,
        ends_of(kind) if signed else ("", ""),
    )


def ends_of(kind: MapKind) -> tuple[str, str]:
    """What the lowest and the largest value of a signed map say."""
    if not kind.contrasted:
        return _SIGNS
    return "like the other image", "like this image" if kind.of_query else "like the query"


def unit_of(kind: MapKind) -> str:
    """What the numbers of a map are, in a few words."""
    entry = catalogue().get(kind.method)
    unit = entry.unit if entry is not None else ""
    if not unit:
        return "no unit"
    if "center" in kind.set:
        unit = unit.replace("similarity", "centred similarity")
    return f"difference of {unit}" if kind.contrasted else unit
