"""What stands on the page: the records' pictures, tables, charts, and what made them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli import __version__
from xmir_cli.pages.outlines import Outlines
from xmir_cli.pages.report.album import Album, Shot
from xmir_cli.pages.report.bars import bars_of_kinds
from xmir_cli.pages.report.cases import CaseBook, names_of, precision
from xmir_cli.pages.report.charts import HEIGHT, WIDTH, Chart, curves_of, plots_of
from xmir_cli.pages.report.made import made_of, makers, origins
from xmir_cli.pages.report.names import ShortNames
from xmir_cli.pages.report.stream import Stream
from xmir_cli.pages.report.tables import Sheet, SheetCell, cell, sheet, values_of
from xmir_cli.render.boxes import COLORS
from xmir_cli.render.colormap import COLORS_BY_SIGN, colors, is_diverging
from xmir_cli.render.overlay import fade
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import Schema, Shows, keys_of

_RECORD = 1500  # bytes of a record on the page, about
_PLACES = (1, 3, 5, 10)  # k of precision at k
_STOPS = 41  # of a colour bar


LeafLine = tuple[str, str, SheetCell]  # key, meaning, value
# told above the pictures, and below them
_CAPTIONS = {
    *("query", "query_text", "query_label", "retrieved", "retrieved_label"),
    *("rank", "similarity", "match", "method", "explains"),
}


@dataclass(frozen=True)
class Leaf:
    """One record by itself."""

    number: int
    about: str  # what its map lies over
    numbers: list[LeafLine]  # what the captions do not say
    details: list[LeafLine]
    made: dict[str, str]
    charts: list[Chart]


@dataclass(frozen=True)
class Figure:
    """A picture that a record names."""

    caption: str
    shot: Shot


@dataclass(frozen=True)
class Section:
    """The records of one schema; of those about pairs of images the viewer shows the rest."""

    linked: bool  # to the viewer
    sheet: Sheet
    plots: list[Chart]
    figures: list[Figure]


class Page:
    """Everything that the template needs, gathered once all records are read."""

    def __init__(self, stream: Stream, album: Album, outlines: Outlines | None = None) -> None:
        self._stream, self._album, self._outlines = stream, album, outlines is not None
        entries = list(stream.entries.values())
        self.names: ShortNames = names_of(entries)
        self.bars = bars_of_kinds(entries, album.look)
        self.cases = CaseBook(album, self.bars, self.names, outlines)
        self.sections: list[Section] = []

    def gather(self, advance: Callable[[], None]) -> "Page":
        """Read all pictures; raises SettingError when they are too many or too large."""
        self._album.spend(_RECORD * len(self._stream.records))
        for number, entry in self._stream.entries.items():
            self.cases.add(number, entry)
            advance()
        self.cases.close()
        self.sections = [self._section(schema) for schema in self._stream.schemas]
        return self

    def values(self, title: str) -> dict[str, object]:
        """What the template says in words."""
        queries = self.cases.queries
        entries = list(self._stream.entries.values())
        told = [*origins(list(self._stream.records.values()), self.names), *makers(entries)]
        return {
            "title": title,
            "queries": queries,
            "hits": sum(len(_list(query["hits"])) for query in queries),
            "precision": precision(queries, _PLACES),
            "sections": self.sections,
            "leaves": [self._leaf(number) for number in self._stream.entries],
            "origins": told,
            "outlines": self._outlines,
            "cropped": bool(self.bars) and self.cases.cropped,
            "version": __version__,
            "plane": (WIDTH, HEIGHT),
            "gradients": {name: _gradient(name) for name in COLORS_BY_SIGN},
        }

    def data(self, alpha: float) -> dict[str, object]:
        """What the script goes through."""
        pictures = self._album.uris
        return {
            "pictures": pictures,
            "queries": self.cases.queries,
            "alpha": alpha,
            "colors": COLORS,
        }

    def _section(self, schema: type[Schema]) -> Section:
        records = self._stream.of(schema)
        figures = [
            figure for record in records.values() for figure in self._figures(schema, record)
        ]
        unique = list({figure.shot.place: figure for figure in figures}.values())
        charts = plots_of(schema, list(records.values()))
        linked = bool(records.keys() & self._stream.entries.keys())
        return Section(linked, sheet(schema, records, self.names), charts, unique)

    def _figures(self, schema: type[Schema], record: Record) -> list[Figure]:
        found = []
        for name, value in values_of(schema, record, Shows.PICTURE).items():
            shot = self._album.shoot((str(value), None), "auto", figure=True)
            if shot is not None:
                meaning = keys_of(schema)[name].meaning
                found.append(Figure(f"{self.names.of(str(value))}: {meaning}", shot))
        return found

    def _leaf(self, number: int) -> Leaf:
        schema, record = self._stream.records[number]
        entry = self._stream.entries[number]
        over = "query" if entry.explains_query else "answer"
        numbers = self._lines(schema, values_of(schema, record, Shows.COLUMN))
        # of two models the hit is one, and its place and similarity are those of each
        told = _CAPTIONS - {"rank", "similarity"} if entry.side else _CAPTIONS
        return Leaf(
            number,
            f"map over the {over}" if entry.saliency else "",
            [line for line in numbers if line[0] not in told],
            self._lines(schema, values_of(schema, record, Shows.DETAIL)),
            made_of(schema, record, self.names),
            curves_of(schema, record),
        )

    def _lines(self, schema: type[Schema], values: Mapping[str, object]) -> list[LeafLine]:
        known = keys_of(schema)
        return [
            (name, key.meaning, cell(value, self.names, key))
            for name, value in values.items()
            if (key := known.get(name.partition(".")[0])) is not None
        ]


def _gradient(name: str) -> Sequence[tuple[str, str, str]]:
    """Offsets, colours and opacities of a colour bar, as those of a map's layer."""
    low = -1.0 if is_diverging(name) else 0.0
    values = np.linspace(low, 1, _STOPS)
    return [
        (f"{place / (_STOPS - 1):.3f}", "#" + bytes(color).hex(), f"{opacity:.3f}")
        for place, (color, opacity) in enumerate(
            zip(colors(values, name), fade(np.abs(values)), strict=True)
        )
    ]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
