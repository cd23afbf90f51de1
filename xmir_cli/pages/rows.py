"""The rows of a montage: the query, and for each hit the bare image beside its overlays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from PIL import Image

from xmir_cli.console import escape
from xmir_cli.pages.captions import hit_lines, query_lines
from xmir_cli.pages.clusters import exemplar_lines
from xmir_cli.pages.columns import Hit, MapColumn, QueryRow
from xmir_cli.pages.entries import PageEntry, Read
from xmir_cli.pages.outlines import Outlines
from xmir_cli.pages.page import Look, map_of, picture_at
from xmir_cli.pages.scales import Measure, measure
from xmir_cli.pictures.crop import find_crop
from xmir_cli.render.boxes import at_size, draw_boxes, draw_points
from xmir_cli.render.montage import CORRECT, QUERY, UNKNOWN, WRONG, ColorBar, Group, Tile
from xmir_cli.render.outline import draw_outline
from xmir_cli.render.overlay import Display, draw_crop, overlay, underlay
from xmir_cli.render.words import draw_words
from xmir_cli.truth.marks import query_image, retrieved_image

FAINT = 0.15  # share of full colour below which a map is hardly seen
CUT = 2  # times full colour above which too much of a map looks alike
START = 0.1  # share of full colour where colours begin


class RowPictures:
    """The pictures of the row that is drawn, each read once."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._kept: dict[tuple[Read, str], Image.Image] = {}

    def are_fine(self, entry: PageEntry) -> bool:
        """Whether the pictures of a record can be read, and nothing is known against its map."""
        for asked in (entry.query_read, entry.retrieved_read):
            key = None if asked is None else (asked, entry.window)
            if asked is None or key in self._kept or asked in self._look.bad:
                continue
            picture = picture_at(asked, entry.window, self._look)
            if picture is not None:
                self._kept[asked, entry.window] = picture
        return not any(asked in self._look.bad for asked in entry.files)

    def get(self, asked: Read, window: str) -> Image.Image:
        """A picture that was found fine."""
        return self._kept[asked, window]

    def forget(self, *kept: Read | None) -> None:
        """Let go of all pictures but these."""
        self._kept = {key: each for key, each in self._kept.items() if key[0] in kept}


@dataclass(frozen=True)
class RowStyle:
    """What the rows of all pages share."""

    look: Look
    columns: Sequence[MapColumn]
    bare: bool  # whether the bare image stands beside its overlays
    names: Mapping[str, str]  # of images, by path
    pictures: RowPictures
    outlines: Outlines | None
    clusters: dict[tuple[object, ...], list[str]] = field(default_factory=dict)  # lines, by row


def row_of(
    row: QueryRow, bars: Mapping[MapColumn, ColorBar], style: RowStyle
) -> tuple[Group, list[Group]] | None:
    """The query and its hits; None when nothing of it can be drawn.

    Records with a file that cannot be read are left out.
    """
    groups, entries = [], []
    for hit in row.hits:
        fine = [entry for entry in hit.entries if style.pictures.are_fine(entry)]
        if fine:
            groups.append(_hit_group(Hit(fine), bars, style))
            entries += fine
        style.pictures.forget(*(entry.query_read for entry in entries))
    if not groups:
        return None
    query = _cluster_group(entries[0], style) or _query_group(entries, len(groups) == 1, style)
    style.pictures.forget()
    return query, groups


def _query_group(entries: Sequence[PageEntry], is_only: bool, style: RowStyle) -> Group:
    lines = query_lines(entries[0], style.look.side, style.names)
    picture = _query_picture(entries, is_only, style)
    return Group([_tile(picture, entries[0], of_query=True, style=style)], QUERY, lines)


def _cluster_group(entry: PageEntry, style: RowStyle) -> Group | None:
    """The number of a group in the place of a query; None for what is in none."""
    if entry.place is None:
        return None
    picture = draw_words(f"cluster {entry.place.cluster}", style.look.side)
    return Group([Tile(picture)], QUERY, style.clusters[entry.row])


def _hit_group(hit: Hit, bars: Mapping[MapColumn, ColorBar], style: RowStyle) -> Group:
    """The bare picture, then one place a column; an absent map stays grey."""
    first, cells = hit.entries[0], hit.cells
    tiles = []
    if style.bare:
        picture = style.pictures.get(first.retrieved_read, first.window)
        tiles.append(_tile(picture, first, of_query=False, style=style))
    points = _points(hit.entries, of_query=False)
    for column in style.columns if first.place is None else list(cells)[:1]:
        entry = cells.get(column)
        tiles.append(
            Tile(None, "no map") if entry is None else _overlay(entry, bars[column], style, points)
        )
    match = first.view.match
    frame = UNKNOWN if match is None else CORRECT if match else WRONG
    told = hit_lines if first.place is None else exemplar_lines
    return Group(tiles, frame, told(hit, style.names))


def _query_picture(entries: Sequence[PageEntry], is_only: bool, style: RowStyle) -> Image.Image:
    """The query with the crop that the network saw, and with its region, points and matches."""
    first = entries[0]
    if first.query_read is None:
        assert first.words is not None
        return draw_words(escape(first.words.text), style.look.side)
    picture = style.pictures.get(first.query_read, first.window)
    model = first.view.model
    if style.columns and model is not None:
        picture = picture.copy()
        draw_crop(picture, find_crop(model.preprocessing, *picture.size).roi)
    matched = [entry.query_boxes for entry in entries if entry.query_boxes]
    boxes = matched[0] if matched and is_only else []
    marks = _Marks(boxes, _points(entries, of_query=True), first.region)
    return marks.drawn_on(picture, style.look.side)


def _points(entries: Iterable[PageEntry], of_query: bool) -> list[tuple[float, float]]:
    """The points of the query, or of the hit, that maps of its counterpart were asked for."""
    found = {entry.point: None for entry in entries if entry.explains_query != of_query}
    return [point for point in found if point is not None]


def _overlay(
    entry: PageEntry, bar: ColorBar, style: RowStyle, points: list[tuple[float, float]]
) -> Tile:
    """The explained image under its map; `points` are those asked for of the retrieved one."""
    of_query = entry.explains_query and entry.query_read is not None
    shown = (entry.query_read if of_query else None) or entry.retrieved_read
    picture = underlay(style.pictures.get(shown, entry.window))
    saliency = map_of(entry, style.look)
    if saliency is None:  # since it was measured
        return Tile(None, "no map")
    if entry.roi is not None:
        display = Display(bar.colormap, style.look.alpha, START)
        picture = overlay(picture, saliency, entry.roi, display, bar.largest)
    note = _note(measure(saliency), bar)
    marks = _Marks(entry.boxes, [] if entry.explains_query else points, None)
    return _tile(marks.drawn_on(picture, style.look.side), entry, of_query, style, note)


def _tile(
    picture: Image.Image, entry: PageEntry, of_query: bool, style: RowStyle, note: str = ""
) -> Tile:
    """The picture of an image no larger than its place, for a page has many; with its mask."""
    small, _ = at_size(picture, [], style.look.side)
    read = entry.query_read if of_query else entry.retrieved_read
    if style.outlines is None or read is None:
        return Tile(small, note)
    image = query_image(entry.view) if of_query else retrieved_image(entry.view)
    mask = style.outlines.of(image, style.pictures.get(read, entry.window).size)
    return Tile(small if mask is None else draw_outline(small, mask), note)


def _note(found: Measure, bar: ColorBar) -> str:
    """What is to be said of a map that shows little."""
    if found.largest == 0:
        return "blank map: 0 everywhere"
    if found.lowest == found.highest:
        return f"{found.lowest:.3g} everywhere"
    if found.largest < FAINT * bar.largest:
        return f"faint: {found.largest:.3g} at most"
    if found.largest > CUT * bar.largest:
        return f"cut off: up to {found.largest:.3g}"
    return ""


class _Marks(NamedTuple):
    """What is marked on a picture, in pixels of its own."""

    boxes: Sequence[Sequence[float]]  # numbered regions
    points: Sequence[Sequence[float]]
    region: Sequence[float] | None  # that the query was asked with

    def drawn_on(self, picture: Image.Image, side: int) -> Image.Image:
        """The picture with its marks, at the size of its place if there are any."""
        region = [] if self.region is None else [self.region]
        if not (self.boxes or self.points or region):
            return picture
        drawn, scaled = at_size(picture, [*region, *self.boxes, *self.points], side)
        numbered = len(region) + len(self.boxes)
        for draw, marks in (
            (partial(draw_boxes, numbered=False), scaled[: len(region)]),
            (draw_boxes, scaled[len(region) : numbered]),
            (draw_points, scaled[numbered:]),
        ):
            drawn = draw(drawn, marks) if marks else drawn
        return drawn
