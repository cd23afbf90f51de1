"""A collection of Qdrant that is asked and read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from qdrant_client import QdrantClient, models

from xmir_cli.gallery.qdrant.filters import filter_of
from xmir_cli.gallery.qdrant.session import QdrantSession
from xmir_cli.gallery.servers.about import About
from xmir_cli.gallery.servers.clauses import Clause
from xmir_cli.gallery.servers.collection import Batch, Near
from xmir_cli.gallery.servers.columns import ROW, Native
from xmir_cli.gallery.vectors import Vectors

_PAGE = 8192  # items read in one request
_NUMBERS = 1 << 20  # of vectors, in one


@dataclass(frozen=True)
class Points:
    """A whole collection, by a name that no other content ever has."""

    session: QdrantSession
    place: str
    about: About

    def count(self, clauses: Sequence[Clause]) -> int:
        """How many points there are of which all clauses hold."""
        wanted = filter_of(clauses)
        found = self.session.ask(
            lambda client: client.count(self.place, count_filter=wanted, exact=True)
        )
        return int(found.count)

    def distinct(self, stored: str) -> list[Native | None]:
        """The values of a field, each once."""
        found = self.session.ask(
            lambda client: client.facet(self.place, stored, limit=self.about.rows, exact=True)
        )
        values: list[Native | None] = [hit.value for hit in found.hits]
        return [*values, None] if self.count([Clause(stored, (), nothing=True)]) else values

    def read(
        self, clauses: Sequence[Clause], stored: Sequence[str], vectors: bool, span: range | None
    ) -> Batch:
        """The points of which all clauses hold, a page after the other."""
        more: list[models.Condition] = []
        if span is not None:
            within = models.Range(gte=span.start, lt=span.stop)
            more.append(models.FieldCondition(key=ROW, range=within))
        size = max(1, min(_PAGE, _NUMBERS // self.about.dim)) if vectors else _PAGE
        found: list[models.Record] = []
        page: models.ExtendedPointId | None = None
        request = {
            "collection_name": self.place,
            "scroll_filter": filter_of(clauses, more),
            "limit": size,
            "with_payload": [ROW, *stored],
            "with_vectors": vectors,
        }
        while True:
            ask = partial(_scroll, {**request, "offset": page})
            points, page = self.session.ask(ask)
            found += points
            if page is None:
                break
        payloads = [point.payload or {} for point in found]
        return Batch(
            [payload[ROW] for payload in payloads],
            {name: [payload.get(name) for payload in payloads] for name in stored},
            _stack([point.vector for point in found], self.about.dim) if vectors else None,
        )

    def nearest(
        self, query: Vectors, count: int, clauses: Sequence[Clause], graph: int | None
    ) -> Near:
        """The nearest points: by comparing all of which the clauses hold, or by the graph."""
        how = models.SearchParams(exact=True)
        if graph is not None:
            how = models.SearchParams(exact=False, hnsw_ef=max(graph, count))
        asked, wanted = query.tolist(), filter_of(clauses)

        def ask(client: QdrantClient) -> list[models.ScoredPoint]:
            found = client.query_points(
                self.place,
                query=asked,
                query_filter=wanted,
                search_params=how,
                limit=count,
                with_payload=[ROW],
                with_vectors=True,
            )
            return list(found.points)

        points = self.session.ask(ask)
        rows = np.array([(point.payload or {})[ROW] for point in points], dtype=np.int64)
        vectors = _stack([point.vector for point in points], self.about.dim)
        farthest = points[-1].score if len(points) == count else -np.inf
        return Near(rows, vectors, farthest)


def _scroll(
    request: Mapping[str, Any], client: QdrantClient
) -> tuple[list[models.Record], models.ExtendedPointId | None]:
    """A page of points, and where the next one begins."""
    points, page = client.scroll(**request)
    return list(points), page


def _stack(vectors: Sequence[object], dim: int) -> Vectors:
    if not vectors:
        return np.empty((0, dim), np.float32)
    return np.array(cast("Sequence[Sequence[float]]", vectors), dtype=np.float32)
