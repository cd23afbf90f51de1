"""Records as a montage needs them: their files, what is drawn of them, and the point asked for."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.wire.records import Record, match_boxes
from xmir_cli.wire.schema import FLAG, WHOLE, key, read_view
from xmir_cli.wire.schemas.cluster import ClusterRecord
from xmir_cli.wire.schemas.saliency import SaliencyRecord
from xmir_cli.wire.words import Words

_POINT = re.compile(r"(\d{1,6}(?:\.\d{1,6})?),(\d{1,6}(?:\.\d{1,6})?)")  # pixels
_HASH, _HASHED = re.compile(r"\b[0-9a-f]{64}\b"), "#"  # an image of a pair, or a mean of an index

Read = tuple[str, str | None]  # the path of a file, and the identity that a record tells of it


class MapKind(NamedTuple):
    """The making of a map."""

    method: str
    of_query: bool
    contrasted: bool
    pointed: bool  # whether it was asked for a point of the other image
    settings: str  # JSON of JSON by name, without these two; all hashes of images are one
    side: str = ""  # of which of two models that are compared; empty for others

    @property
    def set(self) -> dict[str, str]:
        """The settings by name, in JSON."""
        found: dict[str, str] = json.loads(self.settings)
        return found


@dataclass(frozen=True)
class ClusterPlace:
    """The group of a record of 'xmir cluster'."""

    record: Record
    cluster: int = key(WHOLE, "its number", needed=True)
    exemplar: bool = key(FLAG, "whether it is drawn", needed=True)


@dataclass(frozen=True)
class PageEntry:
    """One record as the page needs it."""

    query: str  # empty where words ask alone
    retrieved: str
    saliency: str | None  # path of the map
    window: str  # of DICOM greys
    boxes: list[list[float]]  # numbered regions of the explained image
    query_boxes: list[list[float]]  # and of the query
    retrieved_boxes: list[list[float]]  # and of the retrieved image
    region: list[float] | None  # that the query was asked with
    roi: list[float] | None  # what of the explained image the map covers
    view: SaliencyRecord
    words: Words | None  # that ask, alone or together with the query
    place: ClusterPlace | None = None  # of a record that is drawn beside those of its group

    @property
    def query_read(self) -> Read | None:
        """The query's picture, where it has one."""
        return (self.query, self.view.query_identity) if self.query else None

    @property
    def retrieved_read(self) -> Read:
        """The retrieved picture."""
        return self.retrieved, self.view.retrieved_identity

    @property
    def files(self) -> list[Read]:
        """All that it takes to draw the record, the query first."""
        own: list[Read] = [] if self.saliency is None else [(self.saliency, None)]
        query = [] if self.query_read is None else [self.query_read]
        return [*query, self.retrieved_read, *own]

    @property
    def asked(self) -> tuple[str, ...]:
        """What records of one query share: which image it is, wherever it lies, and its words.

        Under another label it is another query, whose hits are right or wrong by that.
        """
        words = () if self.words is None else (self.words.said,)
        if not self.query:
            return words
        return (self.view.query_identity or self.query, self.view.query_label or "", *words)

    @property
    def hit(self) -> tuple[str, object]:
        """What records of several methods for one retrieved image share."""
        image = self.view.retrieved_identity or self.retrieved
        return image, None if self.side else self.view.rank  # which the two models differ in

    @property
    def row(self) -> tuple[object, ...]:
        """What records of one row of a montage share: the query, or the group of a method."""
        return (self.asked,) if self.place is None else (self.kind, self.place.cluster)

    @property
    def group(self) -> tuple[object, ...]:
        """What records of one group of pictures share: the hit, within a cluster the map."""
        return self.hit if self.place is None else (self.asked, *self.hit, self.saliency)

    @property
    def explains_query(self) -> bool:
        """Whether the map is over the query's picture."""
        return self.view.explains == "query"

    @property
    def is_part(self) -> bool:
        """Whether it is one of several records of a map, one for each mask of the image."""
        return self.saliency is not None and "mask_name" in self.view.record

    @property
    def is_self(self) -> bool:
        """Whether the query retrieved itself."""
        identity = self.view.query_identity
        same = identity is not None and identity == self.view.retrieved_identity
        return same or self.query == self.retrieved

    @property
    def kind(self) -> "MapKind":
        """What maps have in common that are compared with each other."""
        settings = {
            name: _HASH.sub(_HASHED, json.dumps(value, default=str))
            for name, value in (self.view.settings or {}).items()
            if name not in {"point", "contrast"}  # told beside
        }
        told = json.dumps(settings, sort_keys=True)
        contrasted, pointed = self.view.contrast is not None, self.point is not None
        return MapKind(self.view.method, self.explains_query, contrasted, pointed, told, self.side)

    @property
    def side(self) -> str:
        """Of which of two models that are compared the record is; empty for others."""
        side = self.view.record.get("side")
        return side if side in {"old", "new"} else ""

    @property
    def point(self) -> tuple[float, float] | None:
        """The middle of the pixel of the other image that the map was asked for."""
        asked = (self.view.settings or {}).get("point")
        found = _POINT.fullmatch(asked) if isinstance(asked, str) else None
        return None if found is None else (float(found[1]) + 0.5, float(found[2]) + 0.5)


def read_entries(
    lines: Iterable[tuple[int, Record | ItemError]], skips: console.Skips
) -> Iterator[PageEntry]:
    """The records that can be drawn, in order; the other lines go to `skips`."""
    for number, line in lines:
        where = f"line {number}"
        if isinstance(line, ItemError):
            skips.add(where, line)
            continue
        try:
            yield entry_of(line)
        except ItemError as error:
            skips.add(where, error)


def entry_of(record: Record) -> PageEntry:
    """The record as a page needs it; raises ItemError."""
    view = read_view(SaliencyRecord, record)
    words = view.words
    if words is not None and view.explains == "query":
        raise ItemError(Cause.BAD_RECORD, "explains: words ask, and they have no map")
    return PageEntry(
        "" if words is not None and words.weight is None else view.query,
        view.retrieved,
        view.saliency,
        "auto" if view.model is None else view.model.preprocessing.window,
        match_boxes(record, view.explains),
        match_boxes(record, "query"),
        match_boxes(record, "retrieved"),
        view.region,
        view.roi,
        view,
        words,
        read_view(ClusterPlace, record) if record.get("schema") == ClusterRecord.NAME else None,
    )
