"""The engine of indexes qdrant://HOST:6334/NAME: a collection, over gRPC.

What the index says of itself is the collection's metadata. Points are loaded into a collection of
their own, and NAME is an alias, which is moved there in one step when all of them are in.
"""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import cast

from qdrant_client import QdrantClient, models

from xmir_cli import console
from xmir_cli.errors import DataError, SettingError, UsageError
from xmir_cli.gallery.address import Address, parse_url
from xmir_cli.gallery.protocol import Build
from xmir_cli.gallery.qdrant.collection import Points
from xmir_cli.gallery.qdrant.filters import filter_of
from xmir_cli.gallery.qdrant.session import PORT, QdrantSession
from xmir_cli.gallery.servers.about import AGAIN, About, is_about, parse_about
from xmir_cli.gallery.servers.collection import Batch, Collection, Standing, batch_rows
from xmir_cli.gallery.servers.columns import ROW, ValueKind
from xmir_cli.gallery.servers.engine import ServerEngine
from xmir_cli.wire.strict import parse_json

_KINDS: frozenset[ValueKind] = frozenset({"text", "whole"})
_NAME = re.compile(r"[^\x00-\x1f<>:\"/\\|?*]{1,200}")
_METADATA = "xmir"  # where in the metadata of a collection it says what it is
_IDS = uuid.UUID("6b1f1c59-7d3d-5a63-9d0b-0c1f7f0f9a42")  # in which ids of items name points
_EF = 4  # candidates while building, at least
_LOOK = 0.5  # seconds between two looks at whether the graph is built


class CollectionPlace:
    """A collection that is there or may be made."""

    def __init__(self, address: Address) -> None:
        address.know({"timeout"})
        if not _NAME.fullmatch(address.path) or address.path in {".", ".."}:
            raise UsageError(f"{address.url}: expected {address.scheme}://HOST:{PORT}/NAME")
        self._session = QdrantSession(address)
        self._url, self._name = address.url, address.path
        self._others: dict[str, int] = {}  # what was in other loads' collections at the beginning

    @property
    def kinds(self) -> frozenset[ValueKind]:
        """Of which values are that it keeps."""
        return _KINDS

    def look(self) -> Standing:
        """What has the name; and whether a load was begun."""
        alias = self._alias()
        if alias is not None:
            about, complete = self._about(alias)
            return Standing(about if complete else None, about is None, about is not None)
        names = self._names()
        begun = any(self._is_ours(name) for name in names)
        return Standing(None, self._name in names, begun)

    def open(self, about: About) -> Points:
        """The collection that was found, by its own name."""
        return Points(self._session, self._alias() or self._place(about), about)

    def refuse(self, build: Build, dim: int | None = None) -> None:
        """Raise SettingError for what Qdrant cannot do."""
        del dim
        if build.kind == "hnsw" and build.graph.ef_construction < _EF:
            value = str(build.graph.ef_construction)
            raise SettingError("ef_construction", f"Qdrant takes at least {_EF}", value=value)

    def locked(self) -> AbstractContextManager[None]:
        """Qdrant has no locks: of two loads at once the one that is done last stays.

        The other's collection is left alone while more comes in, see `finish`.
        """
        return nullcontext()

    def begin(self, about: About) -> int:
        """Make the collection that is filled, unless it is there; what surely is in it."""
        place = self._place(about)
        if place not in self._names():
            self._session.ask(lambda client: self._make(client, place, about))
        elif self._about(place)[0] is None:
            raise DataError(f"{self._url}: {place} is there, which is no index")
        self._others = self._count_others(place)
        count = Points(self._session, place, about).count([])
        whole = count - count % batch_rows(about.dim)  # the last batch may be there in part
        before = models.FieldCondition(key=ROW, range=models.Range(lt=whole))
        found = self._session.ask(
            lambda client: client.count(place, count_filter=filter_of([], [before]), exact=True)
        )
        return whole if found.count == whole else 0

    def put(self, about: About, batches: Iterator[Batch], start: int) -> None:
        """Put points in, each under the id that its item's id names: again, it is the same."""
        del start
        place = self._place(about)
        ids = about.by_name["id"].stored
        for batch in batches:
            self._session.ask(partial(_upsert, place, _points(batch, ids)))

    def finish(self, about: About, measure: Callable[[Collection], float | None]) -> About:
        """Wait for the graph, say that all is there, and move the alias."""
        place = self._place(about)
        points = Points(self._session, place, about)
        found = points.count([])
        if found != about.rows:
            raise DataError(f"{self._url}: {found} of {about.rows} items came in", AGAIN)
        if about.settings is not None:
            self._wait(place)
        made = replace(about, recall_at_10=measure(points))
        told = {_METADATA: json.dumps(made.to_json())}
        self._session.ask(lambda client: client.update_collection(place, metadata=told))
        old = self._alias()
        self._session.ask(lambda client: self._move_alias(client, place))
        now = self._count_others(place)
        idle = {name for name in now if self._others.get(name) == now[name]}  # nobody fills them
        whole = {name for name in self._names() if self._is_ours(name)} - now.keys()
        for name in {old, *whole, *idle} - {None, place}:
            self._session.ask(partial(_delete, str(name)))
        return made

    def _count_others(self, place: str) -> dict[str, int]:
        """How many points are in collections that were begun for the name, but for this one."""
        return {
            name: self._session.ask(partial(_count, name))
            for name in self._names() - {place}
            if self._is_ours(name) and not self._about(name)[1]
        }

    def _wait(self, place: str) -> None:
        """Return when nothing is left to be indexed."""
        with console.progress("indexing", None):
            while self._session.ask(lambda c: c.get_collection(place).status.value) == "yellow":
                time.sleep(_LOOK)

    def _place(self, about: About) -> str:
        """The name of the collection of such items, kept in such a way."""
        return f"{self._name}-{hashlib.sha256(about.load_key.encode()).hexdigest()[:16]}"

    def _is_ours(self, name: str) -> bool:
        """Whether a collection is one that was or is filled to have the name."""
        start, _, key = name.rpartition("-")
        is_named = start == self._name and re.fullmatch("[0-9a-f]{16}", key) is not None
        return is_named and self._about(name)[0] is not None

    def _about(self, place: str) -> tuple[About | None, bool]:
        """What a collection says of itself, and whether it is complete."""
        info = self._session.ask(lambda client: client.get_collection(place))
        try:
            data = parse_json(str((info.config.metadata or {}).get(_METADATA, "")))
        except ValueError:
            data = None
        if not is_about(data):
            return None, False
        about, complete = parse_about(cast("dict[str, object]", data), self._url)
        vectors = info.config.params.vectors
        if not isinstance(vectors, models.VectorParams) or vectors.size != about.dim:
            raise DataError(f"{self._url}: damaged index (its vectors have another length)", AGAIN)
        return about, complete

    def _alias(self) -> str | None:
        found = self._session.ask(lambda client: client.get_aliases().aliases)
        return {each.alias_name: each.collection_name for each in found}.get(self._name)

    def _names(self) -> set[str]:
        found = self._session.ask(lambda client: client.get_collections().collections)
        return {each.name for each in found}

    def _make(self, client: QdrantClient, place: str, about: About) -> None:
        """The empty collection, whose fields are looked up in indexes."""
        settings, spread = about.settings, about.spread
        graph = {"m": 0} if settings is None else _graph(settings.m, settings.ef_construction)
        client.create_collection(
            place,
            vectors_config=models.VectorParams(size=about.dim, distance=models.Distance.DOT),
            hnsw_config=models.HnswConfigDiff(**graph),
            shard_number=spread.shards,
            replication_factor=spread.replicas,
            write_consistency_factor=spread.replicas,  # whatever came in is in every copy
            metadata={_METADATA: json.dumps(about.to_json(complete=False))},
        )
        if self._about(place)[0] is None:
            client.delete_collection(place)
            raise DataError(f"{self._url}: needs Qdrant 1.16 or later, which keeps metadata")
        kinds = {each.stored: each.kind for each in about.columns} | {ROW: "whole"}
        for stored, kind in kinds.items():
            how = "integer" if kind == "whole" else "keyword"
            schema = models.PayloadSchemaType(how)
            client.create_payload_index(place, stored, field_schema=schema, wait=True)

    def _move_alias(self, client: QdrantClient, place: str) -> None:
        """Let the name be that of the collection, in one step."""
        moves: list[models.AliasOperations] = []
        if self._alias() is not None:
            gone = models.DeleteAlias(alias_name=self._name)
            moves.append(models.DeleteAliasOperation(delete_alias=gone))
        new = models.CreateAlias(collection_name=place, alias_name=self._name)
        moves.append(models.CreateAliasOperation(create_alias=new))
        client.update_collection_aliases(change_aliases_operations=moves)


def _graph(m: int, ef_construct: int) -> dict[str, int]:
    return {"m": m, "ef_construct": ef_construct}


def _upsert(place: str, points: Sequence[models.PointStruct], client: QdrantClient) -> None:
    client.upsert(place, points=points, wait=True)


def _count(place: str, client: QdrantClient) -> int:
    return int(client.count(place, exact=True).count)


def _delete(place: str, client: QdrantClient) -> None:
    client.delete_collection(place)


def _points(batch: Batch, ids: str) -> list[models.PointStruct]:
    """The items as points; of what an item has not, its point has no field."""
    vectors = [] if batch.vectors is None else batch.vectors.tolist()
    points = []
    for place, (row, vector) in enumerate(zip(batch.rows, vectors, strict=True)):
        values = {name: column[place] for name, column in batch.values.items()}
        payload = {name: value for name, value in values.items() if value is not None}
        name = str(uuid.uuid5(_IDS, str(values[ids])))
        points.append(models.PointStruct(id=name, vector=vector, payload={ROW: row, **payload}))
    return points


def find_place(name: str) -> CollectionPlace:
    """The place that a URL names; raises UsageError where it names none."""
    return CollectionPlace(parse_url(name))


ENGINE = ServerEngine(find_place)
