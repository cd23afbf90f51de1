"""The pictures of records on a terminal, as they come: queries, hits, and overlays beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from xmir_cli import console
from xmir_cli.cells import cell_of
from xmir_cli.console import escape
from xmir_cli.errors import ItemError
from xmir_cli.pages.captions import short_names
from xmir_cli.pages.entries import PageEntry, Read, entry_of
from xmir_cli.pages.page import Look, map_of, picture_at
from xmir_cli.render.boxes import at_size, draw_boxes
from xmir_cli.render.overlay import Display, overlay
from xmir_cli.render.words import draw_words
from xmir_cli.screen.pictures import Screen
from xmir_cli.screen.strips import Thumbnail, pixels_of, print_strip
from xmir_cli.wire.records import Record

_NUMBERS = ("rank", "relevance", "similarity")  # in the order of the table


class Viewer:
    """Shows the hits of a query together, and the maps of a pair."""

    def __init__(self, screen: Screen, after_query: Callable[[], None]) -> None:
        """`after_query` is called below the pictures of a query that another one follows."""
        self._screen, self._after_query = screen, after_query
        self._held: list[PageEntry] = []
        self._told = False

    def take(self, record: Record) -> None:
        """Show what is complete now that this record comes."""
        try:
            entry = entry_of(record)
        except ItemError:  # no pair of pictures
            return
        before = self._held[0] if self._held else entry
        if _group(entry) != _group(before):
            self.show()
            if entry.asked != before.asked:
                self._after_query()
        self._held.append(entry)

    def show(self) -> None:
        """Show what is held."""
        held, self._held = self._held, []
        if not held or self._is_blind():
            return
        places = _places(held)
        pictures = _Pictures(pixels_of(self._screen, len(places)))
        print_strip(self._screen, [pictures.thumbnail(each) for each in places])
        self._screen.print_lines([""])

    def _is_blind(self) -> bool:
        """Whether the terminal shows no pictures, which is said once."""
        refusal = self._screen.refusal
        if refusal and not self._told:
            console.note(refusal)
        self._told = True
        return bool(refusal)


@dataclass(frozen=True)
class _Place:
    """One picture to be shown: of the query, of the hit, or the overlay of a record."""

    what: str
    entry: PageEntry
    lines: Sequence[str]


def _group(entry: PageEntry) -> tuple[object, ...]:
    """What records share that are shown together."""
    return (entry.asked,) if entry.saliency is None else (entry.asked, entry.hit)


def _places(held: Sequence[PageEntry]) -> list[_Place]:
    """The query, then each hit with its overlays; an image that asks for itself stands once."""
    names, first = short_names(held), held[0]
    places = []
    if not (first.is_self and first.view.rank is None):
        lines = ["query", first.view.query_label or "", names.get(first.query, "")]
        places.append(_Place("query", first, lines))
    hits: dict[tuple[str, object], list[PageEntry]] = {}
    for entry in held:
        hits.setdefault(entry.hit, []).append(entry)
    for entries in hits.values():
        places.append(
            _Place("hit", entries[0], _hit_lines(entries[0], names[entries[0].retrieved]))
        )
        places += [
            _Place(
                "overlay",
                entry,
                [entry.view.method, "on the query" if entry.explains_query else ""],
            )
            for entry in entries
            if entry.saliency is not None
        ]
    return places


def _hit_lines(entry: PageEntry, name: str) -> list[str]:
    """Numbers as in the table; label and verdict; name."""
    numbers = (cell_of(entry.view.record, column) for column in _NUMBERS)
    verdict = {True: "correct", False: "wrong", None: ""}[entry.view.match]
    label = entry.view.retrieved_label or ""
    return ["  ".join(filter(None, numbers)), ", ".join(filter(None, (label, verdict))), name]


class _Pictures:
    """The pictures of some places, each no larger than it is shown."""

    def __init__(self, side: int) -> None:
        self._look = Look(Display().alpha, side)

    def thumbnail(self, place: _Place) -> Thumbnail:
        """The picture with its text, or with why there is none."""
        entry = place.entry
        made = {"query": self._query, "hit": self._hit, "overlay": self._overlay}
        picture = made[place.what](entry)
        bad = [error.detail for error in self._look.bad.values()]
        self._look.bad.clear()
        lines = place.lines if picture is not None else [*place.lines, *bad]
        return Thumbnail(picture, [line for line in lines if line])

    def _query(self, entry: PageEntry) -> Image.Image | None:
        if entry.query_read is None:
            assert entry.words is not None
            return draw_words(escape(entry.words.text), self._look.side)
        if entry.region is not None:
            return self._read(entry.query_read, entry.window, [entry.region], numbered=False)
        return self._read(entry.query_read, entry.window, entry.query_boxes)

    def _hit(self, entry: PageEntry) -> Image.Image | None:
        return self._read(entry.retrieved_read, entry.window, entry.retrieved_boxes)

    def _overlay(self, entry: PageEntry) -> Image.Image | None:
        drawn = entry.view.overlay
        if drawn is not None:
            return self._read((drawn, None), "auto", entry.boxes)
        shown = (entry.query_read if entry.explains_query else None) or entry.retrieved_read
        picture, saliency = picture_at(shown, entry.window, self._look), map_of(entry, self._look)
        if picture is None or saliency is None or entry.roi is None:
            return None
        return self._small(overlay(picture, saliency, entry.roi, Display()), entry.boxes)

    def _read(
        self, asked: Read, window: str, boxes: list[list[float]], numbered: bool = True
    ) -> Image.Image | None:
        picture = picture_at(asked, window, self._look)
        return None if picture is None else self._small(picture, boxes, numbered)

    def _small(
        self, picture: Image.Image, boxes: list[list[float]], numbered: bool = True
    ) -> Image.Image:
        return draw_boxes(*at_size(picture, boxes, self._look.side), numbered=numbered)
