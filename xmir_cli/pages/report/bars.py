"""What the colours of each method stand for on the page, the same for all of its maps."""

from collections.abc import Iterable

from xmir_cli.pages.entries import PageEntry
from xmir_cli.pages.page import Look, map_of
from xmir_cli.pages.scales import full_color, is_duplicate, measure
from xmir_cli.render.colormap import PAGE_COLORS
from xmir_cli.render.montage import ColorBar
from xmir_cli.saliency import catalogue


def bars_of_layers(entries: Iterable[PageEntry], look: Look) -> dict[str, ColorBar]:
    """A bar for each method and side, with the unit of its numbers.

    As in a montage, an image's likeness to itself does not pale the other maps.
    """
    found: dict[str, list[tuple[float, bool]]] = {}
    signed: dict[str, bool] = {}
    units: dict[str, str] = {}
    for entry in entries:
        saliency = map_of(entry, look)
        if saliency is None:
            continue
        own = measure(saliency)
        found.setdefault(entry.layer, []).append((own.largest, is_duplicate(entry)))
        signed[entry.layer] = signed.get(entry.layer, False) or own.lowest < 0
        method = catalogue().get(entry.view.method)
        units[entry.layer] = method.unit if method is not None else ""
    return {
        layer: ColorBar(units[layer], PAGE_COLORS[signed[layer]], full_color(maps))
        for layer, maps in found.items()
    }
