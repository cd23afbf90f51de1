"""What the frames and marks of a page mean, as far as they are on it."""

from collections.abc import Iterable, Sequence

from xmir_cli.pages.entries import PageEntry
from xmir_cli.render.boxes import COLORS
from xmir_cli.render.footer import LegendItem
from xmir_cli.render.montage import CORRECT, QUERY, UNKNOWN, WRONG
from xmir_cli.render.outline import OUTLINE
from xmir_cli.render.overlay import CROP


def legend_of(entries: Sequence[PageEntry], marks: str = "") -> list[LegendItem]:
    """What each colour and line means; outlines are of `marks`, where there are any."""
    clustered = all(entry.place is not None for entry in entries)
    matches = {entry.view.match for entry in entries if entry.place is None or entry.view.match}
    matches |= {False} if any(entry.view.match is False for entry in entries) else set()
    frames = (
        (True, CORRECT, "correct: shares a label with the query"),
        (False, WRONG, "wrong: has another label"),
        (None, UNKNOWN, "one of the two has no label"),
    )
    items = [LegendItem("cluster" if clustered else "query", QUERY)]
    items += [LegendItem(words, color) for match, color, words in frames if match in matches]
    items += [LegendItem(f"outline: {marks}", OUTLINE, "frame")] if marks else []
    maps = [entry for entry in entries if entry.saliency is not None]
    if any(map(_is_cropped, maps)):
        words = "thin grey frame: what the network saw, where it is not all"
        items.append(LegendItem(words, CROP, "frame"))
    return items + list(dict.fromkeys(_marks(entries)))


def _is_cropped(entry: PageEntry) -> bool:
    """Whether the network saw less than the whole picture, as far as the record tells."""
    size = entry.view.image_size
    if entry.roi is None or size is None:
        return entry.roi is not None
    left, top, width, height = entry.roi
    return max(left, top, size[0] - left - width, size[1] - top - height) > 1


def _marks(entries: Iterable[PageEntry]) -> Iterable[LegendItem]:
    first = COLORS[0]
    for entry in entries:
        if entry.saliency is not None and (entry.boxes or entry.query_boxes):
            yield LegendItem("numbered boxes: regions that belong together", first, "frame")
        if entry.point is not None:
            yield LegendItem("ring: the point that the map beside it was asked for", first, "ring")
        if entry.region is not None:
            yield LegendItem("box on the query: the region that asked", first, "frame")
