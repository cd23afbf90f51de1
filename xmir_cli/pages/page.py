"""Records as the rows of a montage: pictures, overlays, frames and captions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from xmir_cli.causes import Cause
from xmir_cli.console import escape
from xmir_cli.errors import DataError, ItemError
from xmir_cli.pages.entries import PageEntry, Read
from xmir_cli.pictures.files import open_image
from xmir_cli.render.boxes import at_size, draw_boxes, draw_points
from xmir_cli.render.colormap import choose_colormap, scale
from xmir_cli.render.montage import CORRECT, QUERY, UNKNOWN, WRONG, ColorBar, Tile
from xmir_cli.render.overlay import Display, overlay, to_rgb
from xmir_cli.render.words import draw_words
from xmir_cli.store.maps import read_map_file
from xmir_cli.wire.checks import check_identity


@dataclass(frozen=True)
class Look:
    """How pictures are drawn, and which files could not be read, with the reason."""

    alpha: float
    side: int
    bad: dict[Read, ItemError] = field(default_factory=dict)


def layers_of(entries: Sequence[PageEntry], look: Look) -> list[ColorBar]:
    """The methods in order of appearance, each with the largest absolute value of its maps."""
    layers: dict[str, ColorBar] = {}
    for entry in entries:
        bar = layers.get(entry.layer, ColorBar(entry.layer, "inferno", 0.0))
        saliency = map_of(entry, look)
        if saliency is not None:
            signed = "blue-red" in {bar.colormap, choose_colormap(saliency)}
            bar = ColorBar(
                bar.name, "blue-red" if signed else "inferno", max(bar.largest, scale(saliency))
            )
        layers[entry.layer] = bar
    return list(layers.values())


def row_of(entries: Sequence[PageEntry], layers: Sequence[ColorBar], look: Look) -> list[Tile]:
    """The query, then for each retrieved image one cell a layer; an absent one stays empty.

    Records whose query cannot be read are left out.
    """
    first_of = {entry.query_read: entry for entry in reversed(entries)}
    pictures = {asked: _picture_of(asked, entry, look) for asked, entry in first_of.items()}
    entries = [entry for entry in entries if pictures[entry.query_read] is not None]
    if not entries:
        return []
    picture = _query_picture(entries, pictures[entries[0].query_read], look)
    row = [Tile(picture, QUERY, ("query", *_named_query(entries[0])))]
    for _, group in groupby(entries, key=lambda entry: entry.hit):
        of_layer = {entry.layer: entry for entry in group}
        points = _points(of_layer.values(), of_query=False)
        for layer in layers:
            entry = of_layer.get(layer.name)
            row.append(
                Tile(None, UNKNOWN, ())
                if entry is None
                else Tile(_overlay(entry, layer, look, points), _frame(entry), _caption(entry))
            )
    return row


def _picture_of(asked: Read | None, entry: PageEntry, look: Look) -> Image.Image | None:
    """The query's picture, or its words where they ask alone."""
    if asked is not None:
        return picture_at(asked, entry.window, look)
    assert entry.words is not None
    return draw_words(escape(entry.words.text), look.side)


def _query_picture(
    entries: Sequence[PageEntry], picture: Image.Image | None, look: Look
) -> Image.Image | None:
    """The query with its region or points, or with its side of its only hit's matches."""
    region = entries[0].region
    if region is not None:
        return _boxed(picture, [region], look, numbered=False)
    if points := _points(entries, of_query=True):
        return _pointed(picture, points, look)
    matched = [entry.query_boxes for entry in entries if entry.query_boxes]
    alone = matched and len({entry.hit for entry in entries}) == 1
    return _boxed(picture, matched[0] if alone else [], look)


def _points(entries: Iterable[PageEntry], of_query: bool) -> list[tuple[float, float]]:
    """The points of the query, or of the hit, that maps of its counterpart were asked for."""
    found = {entry.point: None for entry in entries if entry.explains_query != of_query}
    return [point for point in found if point is not None]


def _overlay(
    entry: PageEntry, layer: ColorBar, look: Look, points: list[tuple[float, float]]
) -> Image.Image | None:
    """The explained image under its map; `points` are those asked for of the retrieved one."""
    shown = entry.query_read if entry.explains_query else None
    explained = shown or entry.retrieved_read
    picture, saliency = picture_at(explained, entry.window, look), map_of(entry, look)
    if picture is None or (saliency is None and entry.saliency is not None):
        return None
    if saliency is not None and entry.roi is not None:
        display = Display(layer.colormap, look.alpha)
        picture = overlay(picture, saliency, entry.roi, display, layer.largest)
    if points and not entry.explains_query:
        return _pointed(picture, points, look)
    return _boxed(picture, entry.boxes if saliency is not None else [], look)


def _boxed(
    picture: Image.Image | None, boxes: list[list[float]], look: Look, numbered: bool = True
) -> Image.Image | None:

    if picture is None or not boxes:
        return picture
    return draw_boxes(*at_size(picture, boxes, look.side), numbered=numbered)


def _pointed(
    picture: Image.Image | None, points: list[tuple[float, float]], look: Look
) -> Image.Image | None:
    """The picture with points in pixels of its own."""
    if picture is None:
        return None
    small, places = at_size(picture, points, look.side)
    return draw_points(small, places)


def picture_at(asked: Read, window: str, look: Look) -> Image.Image | None:
    """The image at a path, if it can be read and is the one that is meant."""
    path, identity = asked
    try:
        file = open_image(path)
        check_identity(identity, file.identity, path)
        return to_rgb(file.decode(window).pixels)
    except ItemError as error:
        look.bad[asked] = error.bare
        return None


def map_of(entry: PageEntry, look: Look) -> np.ndarray | None:
    """The map of a record [H, W], if it has one that can be read."""
    if entry.saliency is None:
        return None
    try:
        saliency = read_map_file(Path(entry.saliency))
        if saliency.ndim != 2 or not saliency.size:
            raise DataError(f"expected a map, found {saliency.shape}")
    except DataError as error:
        fault = str(error).removeprefix(f"{entry.saliency}: ")
        look.bad[entry.saliency, None] = ItemError(Cause.BAD_MAP, fault)
        return None
    except ItemError as error:
        look.bad[entry.saliency, None] = error
        return None
    return saliency


def _frame(entry: PageEntry) -> tuple[int, int, int]:
    match = entry.view.match
    return UNKNOWN if match is None else CORRECT if match else WRONG


def _caption(entry: PageEntry) -> tuple[str, ...]:
    view = entry.view
    shown = "" if view.similarity is None else f"{view.similarity:.3f}"
    verdict = "" if view.match is None else "correct" if view.match else "wrong"
    rank = "" if view.rank is None else view.rank
    name = str((view.meta or {}).get("id") or Path(entry.retrieved).name)
    first = f"{rank}  {shown}  {verdict}".strip()
    if entry.explains_query:  # what is seen is the query
        label, query = _named_query(entry)
        return (first, label, f"{query} for {name}")
    return (first, view.retrieved_label or "", name)


def _named_query(entry: PageEntry) -> tuple[str, str]:
    """The label and the name of the query; of words that ask with it, the words."""
    if entry.words is None:
        return entry.view.query_label or "", Path(entry.query).name
    words = "" if entry.words.weight is None else escape(entry.words.text)
    return words, Path(entry.query).name
