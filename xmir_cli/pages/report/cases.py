"""Records of pairs as what the page's viewer goes through: queries, their hits, their methods."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from xmir_cli.arrays import Booleans
from xmir_cli.console import escape
from xmir_cli.pages.entries import MapKind, PageEntry, Read
from xmir_cli.pages.outlines import Outlines
from xmir_cli.pages.report.album import Album
from xmir_cli.pages.report.names import ShortNames
from xmir_cli.pictures.crop import find_crop
from xmir_cli.render.colormap import is_diverging
from xmir_cli.render.montage import ColorBar
from xmir_cli.render.outline import outline_path
from xmir_cli.render.overlay import leaves_out
from xmir_cli.truth.marks import MarkedImage, query_image, retrieved_image
from xmir_cli.wire.records import Record

NO_METHOD = "no map"
_OUTLINE = 256  # pixels of the plane on which masks are outlined
_VERDICTS = {True: "same label", False: "another label", None: ""}


def names_of(entries: Sequence[PageEntry]) -> ShortNames:
    """What the images of all records are called."""
    return ShortNames(name for entry in entries for name in (entry.query, entry.retrieved) if name)


class CaseBook:
    """Gathers records into queries in order of appearance, as plain data for JSON."""

    def __init__(
        self,
        album: Album,
        bars: Mapping[MapKind, ColorBar],
        names: ShortNames,
        outlines: Outlines | None = None,
    ) -> None:
        self.queries: list[Record] = []
        self.cropped = False  # whether the network saw less than all of a picture
        self._album, self._names, self._bars, self._outlines = album, names, bars, outlines
        self._known: dict[tuple[object, ...], Record] = {}

    def add(self, number: int, entry: PageEntry) -> None:
        """Put in the record of this number on the page."""
        query = self._query(entry)
        hit = self._hit(entry, query)
        side = "query" if entry.explains_query else "retrieved"
        method = self._method(entry, hit, side)
        cast("list[int]", method["records"]).append(number)
        method[side] = self._layer(entry)
        pairs = zip(entry.query_boxes, entry.retrieved_boxes, strict=True)
        method["matches"] = method["matches"] or [list(pair) for pair in pairs]
        if entry.point is not None:
            method["point"] = {"on": "retrieved" if side == "query" else "query", "at": entry.point}

    def close(self) -> None:
        """Put the hits of each query in the order of their ranks, those without one last."""
        for query in self.queries:
            cast("list[Record]", query["hits"]).sort(key=_rank)

    def _query(self, entry: PageEntry) -> Record:
        return self._kept(
            ("query", *entry.asked),
            self.queries,
            lambda: {
                "name": self._names.of(entry.query) if entry.query else "",
                "words": "" if entry.words is None else escape(entry.words.text),
                "label": escape(entry.view.query_label or ""),
                "region": entry.region,
                **self._picture(entry.query_read, entry, query_image(entry.view)),
                "hits": [],
            },
        )

    def _hit(self, entry: PageEntry, query: Record) -> Record:
        view = entry.view
        known = (view.meta or {}).get("id")
        named = isinstance(known, str) and known and "/" not in known
        return self._kept(
            (entry.asked, entry.hit),
            cast("list[Record]", query["hits"]),
            lambda: {
                "name": escape(str(known)) if named else self._names.of(view.retrieved),
                "label": escape(view.retrieved_label or ""),
                "rank": None if entry.side else view.rank,
                "similarity": None if entry.side else view.similarity,
                "verdict": _VERDICTS[view.match],
                **self._picture(entry.retrieved_read, entry, retrieved_image(entry.view)),
                "methods": [],
            },
        )

    def _method(self, entry: PageEntry, hit: Record, side: str) -> Record:
        """Where a record's map goes: a method's second map of one side is one more method."""
        methods, name, count = cast("list[Record]", hit["methods"]), entry.view.method, 1
        same = (entry.asked, entry.hit, entry.kind, entry.saliency)
        if entry.is_part and same in self._known:
            return self._known[same]
        called = shown = escape(name) or NO_METHOD
        while any(each["name"] == called and side in each for each in methods):
            count += 1
            called = f"{shown} ({count})"
        made = self._kept(
            (entry.asked, entry.hit, called),
            methods,
            lambda: {"name": called, "records": [], "matches": []},
        )
        self._known[same] = made
        return made

    def _kept(
        self, key: tuple[object, ...], place: list[Record], make: Callable[[], Record]
    ) -> Record:
        """What stands under a key already, or is made and put at the end of its place."""
        if key not in self._known:
            self._known[key] = make()
            place.append(self._known[key])
        return self._known[key]

    def _picture(self, asked: Read | None, entry: PageEntry, image: MarkedImage) -> Record:
        shot = None if asked is None else self._album.shoot(asked, entry.window)
        if shot is None:
            return {"picture": None, "size": None}
        size = (shot.width, shot.height)
        mask = None if self._outlines is None else self._outlines.of(image, size)
        crop = _crop(entry, size)
        self.cropped |= crop is not None and leaves_out(crop, size)
        return {"picture": shot.place, "size": [*size], "crop": crop, **self._outline(mask)}

    def _outline(self, mask: Booleans | None) -> Record:
        if mask is None or not mask.any():
            return {}
        path, width, height = outline_path(mask, min(_OUTLINE, self._album.side))
        self._album.spend(len(path))
        return {"outline": {"path": path, "size": [width, height]}}

    def _layer(self, entry: PageEntry) -> Record | None:
        bar = self._bars.get(entry.kind)
        layer = None if bar is None else self._album.layer(entry, bar)
        if bar is None or layer is None or entry.roi is None:
            return None
        return {
            "map": layer[0],
            "roi": entry.roi,
            "colors": bar.colormap,
            "low": -bar.largest if is_diverging(bar.colormap) else 0,
            "full": bar.largest,
            "unit": bar.name,
            "against": self._names.of(entry.view.contrast) if entry.view.contrast else "",
            "ends": bar.ends,
            "largest": layer[1],
        }


def _rank(hit: Record) -> tuple[bool, int]:
    rank = hit["rank"]
    return rank is None, cast("int", rank or 0)


def _crop(entry: PageEntry, size: tuple[int, int]) -> list[float] | None:
    """What the network saw of an upright picture of this size, where the record tells."""
    model = entry.view.model
    return None if model is None else [*find_crop(model.preprocessing, *size).roi]


def precision(queries: Sequence[Record], places: Sequence[int]) -> Mapping[int, float]:
    """The share of the first k hits with the query's label, mean over the queries; by k.

    What has no rank is no answer, such as a finding of `xmir audit`, or has one under each of two
    models, of queries that `xmir compare` chose as the worst: it does not count.
    """
    rows = [
        [
            hit["verdict"] == _VERDICTS[True]
            for hit in hits
            if hit["verdict"] and hit["rank"] is not None
        ]
        for query in queries
        if (hits := cast("list[Record]", query["hits"]))
    ]
    known = [row for row in rows if row]
    longest = max(map(len, known), default=0)
    return {
        k: sum(sum(row[:k]) / len(row[:k]) for row in known) / len(known)
        for k in places
        if k <= longest
    }
