"""Qdrant for tests: its client's own copy in memory, and a server of gRPC over its real segment.

The server speaks the client's own protocol; behind it are shards of qdrant-edge, which is the Rust
code that a server of Qdrant keeps and searches points with. Not here: a cluster, replicas, Raft.
"""

import shutil
import tempfile
import threading
from concurrent import futures
from pathlib import Path

import grpc
import qdrant_edge as edge
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import collections_service_pb2_grpc as collections_service
from qdrant_client.grpc import points_service_pb2_grpc as points_service

from xmir_cli.gallery.qdrant import session


class Shards:
    """Collections, each of one shard of qdrant-edge."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="xmirqd-"))
        self.shards: dict[str, edge.EdgeShard] = {}
        self.told: dict[str, wire.CreateCollection] = {}
        self.metadata: dict[str, dict] = {}
        self.aliases: dict[str, str] = {}

    def create(self, request: wire.CreateCollection) -> None:
        """An empty collection."""
        params = request.vectors_config.params
        assert params.distance == wire.Distance.Dot
        graph = request.hnsw_config
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=params.size, distance=edge.Distance.Dot),
            hnsw_config=edge.HnswIndexConfig(
                graph.m, graph.ef_construct or 100, 0, max_indexing_threads=1
            ),
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1),
        )
        name = request.collection_name
        self.shards[name] = edge.EdgeShard.create(str(self.folder / name), config)
        self.told[name] = request
        self.metadata[name] = GrpcToRest.convert_payload(request.metadata)

    def delete(self, name: str) -> None:
        """Remove a collection and its aliases."""
        if name in self.shards:
            self.shards.pop(name).close()
            del self.told[name], self.metadata[name]
            shutil.rmtree(self.folder / name)
            self.aliases = {a: each for a, each in self.aliases.items() if each != name}

    def find(self, name: str) -> tuple[str, edge.EdgeShard]:
        """A collection by its name or alias; KeyError for none."""
        own = self.aliases.get(name, name)
        return own, self.shards[own]


def condition_of(given: models.Condition) -> object:
    """A condition as qdrant-edge has it."""
    if isinstance(given, models.Filter):
        return filter_of(given)
    if isinstance(given, models.IsEmptyCondition):
        return edge.IsEmptyCondition(given.is_empty.key)
    if isinstance(given, models.HasIdCondition):
        return edge.HasIdCondition(set(given.has_id))
    if given.range is not None:
        between = edge.RangeFloat(gte=given.range.gte, lt=given.range.lt)
        return edge.FieldCondition(given.key, range=between)
    return edge.FieldCondition(given.key, match=edge.MatchAny(list(given.match.any)))


def filter_of(given: models.Filter | None) -> edge.Filter | None:
    """A filter as qdrant-edge has it."""
    if given is None:
        return None
    parts = {
        name: None if found is None else [condition_of(each) for each in _listed(found)]
        for name in ("must", "should", "must_not")
        for found in [getattr(given, name)]
    }
    return edge.Filter(**parts)


def _listed(found: object) -> list:
    return found if isinstance(found, list) else [found]


def _filter(request: object) -> edge.Filter | None:
    return (
        filter_of(GrpcToRest.convert_filter(request.filter)) if request.HasField("filter") else None
    )


def _plain(point: object) -> dict:
    return {"id": point.id, "payload": point.payload, "vector": point.vector}


class _Points(points_service.PointsServicer):
    def __init__(self, shards: Shards, faults: "Faults") -> None:
        self.shards, self.faults = shards, faults

    def Upsert(self, request, context):
        _, shard = self._find(request, context)
        points = [GrpcToRest.convert_point_struct(each) for each in request.points]
        taken = points[: self.faults.take(len(points))]
        found = [edge.Point(each.id, each.vector, each.payload) for each in taken]
        shard.update(edge.UpdateOperation.upsert_points(found))
        if len(taken) < len(points):
            context.abort(grpc.StatusCode.UNAVAILABLE, "killed")
        done = wire.UpdateResult(status=wire.UpdateStatus.Completed)
        return wire.PointsOperationResponse(result=done)

    def CreateFieldIndex(self, request, context):
        _, shard = self._find(request, context)
        integer = request.field_type == wire.FieldType.FieldTypeInteger
        kind = edge.PayloadSchemaType.Integer if integer else edge.PayloadSchemaType.Keyword
        shard.update(edge.UpdateOperation.create_field_index(request.field_name, kind))
        done = wire.UpdateResult(status=wire.UpdateStatus.Completed)
        return wire.PointsOperationResponse(result=done)

    def Count(self, request, context):
        _, shard = self._find(request, context)
        found = shard.count(edge.CountRequest(request.exact, _filter(request)))
        return wire.CountResponse(result=wire.CountResult(count=found))

    def Facet(self, request, context):
        _, shard = self._find(request, context)
        found = shard.facet(
            edge.FacetRequest(request.key, request.limit, request.exact, _filter(request))
        )
        hits = [models.FacetValueHit(value=each.value, count=each.count) for each in found.hits]
        return wire.FacetResponse(hits=[RestToGrpc.convert_facet_value_hit(each) for each in hits])

    def Scroll(self, request, context):
        _, shard = self._find(request, context)
        offset = GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None
        records, following = shard.scroll(
            edge.ScrollRequest(
                offset,
                request.limit,
                _filter(request),
                list(request.with_payload.include.fields),
                request.with_vectors.enable,
            )
        )
        result = [RestToGrpc.convert_record(models.Record(**_plain(each))) for each in records]
        answer = wire.ScrollResponse(result=result)
        if following is not None:
            answer.next_page_offset.CopyFrom(RestToGrpc.convert_extended_point_id(str(following)))
        return answer

    def Query(self, request, context):
        _, shard = self._find(request, context)
        vector = list(request.query.nearest.dense.data)
        self.faults.graphs += not request.params.exact
        params = edge.SearchParams(request.params.hnsw_ef or None, request.params.exact)
        found = shard.query(
            edge.QueryRequest(
                request.limit,
                query=edge.Query.Nearest(vector),
                filter=_filter(request),
                params=params,
                with_vector=True,
                with_payload=list(request.with_payload.include.fields),
            )
        )
        points = [models.ScoredPoint(score=each.score, version=0, **_plain(each)) for each in found]
        return wire.QueryResponse(result=[RestToGrpc.convert_scored_point(each) for each in points])

    def _find(self, request, context):
        self.faults.meet(context)
        try:
            return self.shards.find(request.collection_name)
        except KeyError:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such collection")


class _Collections(collections_service.CollectionsServicer):
    def __init__(self, shards: Shards, faults: "Faults") -> None:
        self.shards, self.faults = shards, faults

    def List(self, request, context):
        self.faults.meet(context)
        names = [wire.CollectionDescription(name=name) for name in self.shards.shards]
        return wire.ListCollectionsResponse(collections=names)

    def Get(self, request, context):
        self.faults.meet(context)
        try:
            name, shard = self.shards.find(request.collection_name)
        except KeyError:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such collection")
        given = self.shards.told[name]
        shard.optimize()
        params = wire.CollectionParams(
            vectors_config=given.vectors_config,
            shard_number=given.shard_number or 1,
            replication_factor=given.replication_factor or 1,
        )
        metadata = RestToGrpc.convert_payload(self.shards.metadata[name])
        optimizer, graph = wire.OptimizersConfigDiff(), wire.HnswConfigDiff(m=given.hnsw_config.m)
        for key in ("deleted_threshold", "vacuum_min_vector_number", "flush_interval_sec"):
            setattr(optimizer, key, 1)
        optimizer.default_segment_number = 0
        graph.ef_construct, graph.full_scan_threshold = 100, 10
        config = wire.CollectionConfig(
            params=params,
            hnsw_config=graph,
            optimizer_config=optimizer,
            wal_config=wire.WalConfigDiff(wal_capacity_mb=1, wal_segments_ahead=0),
            metadata=metadata,
        )
        info = wire.CollectionInfo(
            status=wire.CollectionStatus.Green,
            optimizer_status=wire.OptimizerStatus(ok=True),
            segments_count=1,
            config=config,
        )
        return wire.GetCollectionInfoResponse(result=info)

    def Create(self, request, context):
        self.faults.meet(context)
        self.shards.create(request)
        return wire.CollectionOperationResponse(result=True)

    def Update(self, request, context):
        self.faults.meet(context)
        told = GrpcToRest.convert_payload(request.metadata)
        self.shards.metadata[request.collection_name] |= told
        return wire.CollectionOperationResponse(result=True)

    def Delete(self, request, context):
        self.faults.meet(context)
        self.shards.delete(request.collection_name)
        return wire.CollectionOperationResponse(result=True)

    def ListAliases(self, request, context):
        self.faults.meet(context)
        found = [
            wire.AliasDescription(alias_name=alias, collection_name=name)
            for alias, name in self.shards.aliases.items()
        ]
        return wire.ListAliasesResponse(aliases=found)

    def UpdateAliases(self, request, context):
        self.faults.meet(context)
        for action in request.actions:
            if action.HasField("delete_alias"):
                del self.shards.aliases[action.delete_alias.alias_name]
            else:
                new = action.create_alias
                assert new.collection_name in self.shards.shards
                self.shards.aliases[new.alias_name] = new.collection_name
        return wire.CollectionOperationResponse(result=True)


class Faults:
    """What goes wrong: a wrong key, an answer that does not come, a server killed on the way."""

    def __init__(self) -> None:
        self.key: str | None = None
        self.hangs = threading.Event()
        self.goes_on = threading.Event()
        self.left: int | None = None  # points that are taken before it is killed
        self.graphs = 0  # queries that asked a graph

    def meet(self, context) -> None:
        """Let a request go on, or not."""
        if self.key is not None and ("api-key", self.key) not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Must provide an API key")
        if self.hangs.is_set():
            self.goes_on.wait(10)

    def take(self, count: int) -> int:
        """How many of so many points come in."""
        if self.left is None:
            return count
        taken = min(self.left, count)
        self.left -= taken
        return taken


class EdgeServer:
    """A server on this machine; started again it has what it had."""

    def __init__(self, certificate: tuple[bytes, bytes] | None = None) -> None:
        self.shards, self.faults = Shards(), Faults()
        self._certificate = certificate
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen, after a stop at the same port."""
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        points_service.add_PointsServicer_to_server(_Points(self.shards, self.faults), self._server)
        collections_service.add_CollectionsServicer_to_server(
            _Collections(self.shards, self.faults), self._server
        )
        place = f"127.0.0.1:{self.port}"
        if self._certificate is None:
            self.port = self._server.add_insecure_port(place)
        else:
            secure = grpc.ssl_server_credentials([self._certificate])
            self.port = self._server.add_secure_port(place, secure)
        self._server.start()

    def stop(self) -> None:
        """As if it was killed."""
        self._server.stop(None).wait()

    def remove(self) -> None:
        """For good."""
        self.stop()
        shutil.rmtree(self.shards.folder, ignore_errors=True)

    def url(self, name: str, more: str = "") -> str:
        """The URL of an index."""
        scheme = "qdrant" if self._certificate is None else "qdrants"
        return f"{scheme}://localhost:{self.port}/{name}{more}"


def _row(number: int) -> edge.Filter:
    match = edge.MatchAny([number])
    return edge.Filter(must=[edge.FieldCondition("row", match=match)])


class EdgeRow:
    """The real segment behind gRPC in the contract of all engines."""

    name = "edge"

    def __init__(self) -> None:
        self._server: EdgeServer | None = None

    def place(self, name: str) -> str:
        """The URL of an index of that name."""
        self._server = self._server or EdgeServer()
        return self._server.url(Path(name).name)

    def kill(self) -> None:
        """As a power cut would."""
        self._server.stop()

    def start(self) -> None:
        """After it was killed."""
        self._server.start()

    def forget(self, name: str) -> None:
        """Remove one of its items behind the back of xmir."""
        _, shard = self._server.shards.find(name)
        shard.update(edge.UpdateOperation.delete_points_by_filter(_row(2)))

    def change(self, name: str) -> None:
        """Let an item have another label, in the same way."""
        _, shard = self._server.shards.find(name)
        shard.update(edge.UpdateOperation.set_payload_by_filter(_row(2), {"label": "changed"}))

    def put_another(self, name: str) -> None:
        """Something under the name that is no index."""
        params = wire.VectorParams(size=3, distance=wire.Distance.Dot)
        config = wire.VectorsConfig(params=params)
        request = wire.CreateCollection(collection_name=name, vectors_config=config)
        self._server.shards.create(request)

    def stop(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.remove()
            self._server = None


class MemoryRow:
    """The client's own copy of the API in memory, in the contract of all engines."""

    name = "memory"

    def __init__(self) -> None:
        client, connect = QdrantClient(":memory:"), session.connect
        session.connect = lambda at: client if at.place == "memory" else connect(at)
        self._client = client

    def place(self, name: str) -> str:
        """The URL of an index of that name."""
        return f"qdrant://memory/{Path(name).name}"

    def stop(self) -> None:
        """End it."""
        self._client.close()
