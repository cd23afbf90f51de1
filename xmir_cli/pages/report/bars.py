"""What the colours of each kind of map stand for on the page, the same for all of its maps."""

from collections.abc import Iterable

from xmir_cli.pages.entries import MapKind, PageEntry
from xmir_cli.pages.page import Look, map_of
from xmir_cli.pages.scales import Measure, ends_of, full_color, is_duplicate, measure, unit_of
from xmir_cli.render.colormap import COLORS_BY_SIGN
from xmir_cli.render.montage import ColorBar


def bars_of_kinds(entries: Iterable[PageEntry], look: Look) -> dict[MapKind, ColorBar]:
    """A bar for each kind, called by the unit of its numbers.

    As in a montage, an image's likeness to itself does not pale the other maps.
    """
    found: dict[MapKind, list[tuple[Measure, bool]]] = {}
    for entry in entries:
        saliency = map_of(entry, look)
        if saliency is not None:
            own = measure(saliency), is_duplicate(entry)
            found.setdefault(entry.kind, []).append(own)
    return {kind: _bar(kind, maps) for kind, maps in found.items()}


def _bar(kind: MapKind, maps: list[tuple[Measure, bool]]) -> ColorBar:
    signed = kind.contrasted or any(each.lowest < 0 for each, _ in maps)
    return ColorBar(
        unit_of(kind),
        COLORS_BY_SIGN[signed],
        full_color((each.largest, same) for each, same in maps),
        ends=ends_of(kind) if signed else ("", ""),
    )
