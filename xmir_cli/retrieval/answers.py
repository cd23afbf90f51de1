"""Hits as records of the wire."""

from collections.abc import Mapping

from xmir_cli.gallery.folder.engine import Gallery
from xmir_cli.gallery.folder.exact import Hits
from xmir_cli.gallery.vectors import products
from xmir_cli.pictures.identity import identity_of
from xmir_cli.records import RETRIEVAL, Record
from xmir_cli.retrieval.queries import Asked, Part
from xmir_cli.store.names import restored

_OWN_KEYS = {"path", "label", "sha256", "width", "height"}  # columns not repeated under `meta`


def answer(gallery: Gallery, query: Asked, hits: Hits) -> list[Record]:
    """One record for each hit, best first.

    `similarity` is always that of the query's image and the hit. Of a refined query the hits are
    ordered by `relevance`, the similarity to where the examples moved it; of a region by the
    `relevance` that it contributes to the similarity, which is the `share` of it.
    """
    label = query.columns.get("label")
    rows = gallery.items.take(hits.indices).to_pylist()
    return [
        {
            "schema": RETRIEVAL,
            "query": query.name,
            "retrieved": restored(row["path"]),
            "query_identity": _identity(query.columns),
            "retrieved_identity": _identity(row),
            "rank": rank,
            **numbers,
            "query_label": label,
            "retrieved_label": row.get("label"),
            "match": _match(label, row.get("label")),
            "index": gallery.path,
            "model": gallery.model,
            "meta": {key: value for key, value in row.items() if key not in _OWN_KEYS},
        }
        for rank, (row, numbers) in enumerate(
            zip(rows, _numbers(gallery, query, hits), strict=True), start=1
        )
    ]


def _numbers(gallery: Gallery, query: Asked, hits: Hits) -> list[Record]:
    if query.part is not None:
        return _of_part(gallery, query.part, hits)
    found = hits.similarities.tolist()
    if query.examples is None:
        return [{"similarity": similarity} for similarity in found]
    names = {
        "like": [example.name for example in query.examples.like],
        "unlike": [example.name for example in query.examples.unlike],
    }
    own = products(gallery.vectors[hits.indices], query.examples.image).tolist()
    return [
        {"similarity": similarity, "relevance": relevance, **names}
        for similarity, relevance in zip(own, found, strict=True)
    ]


def _of_part(gallery: Gallery, part: Part, hits: Hits) -> list[Record]:
    own = products(gallery.vectors[hits.indices], part.image).tolist()
    relevances = (hits.similarities * part.length).tolist()
    return [
        {
            "similarity": similarity,
            "relevance": relevance,
            "region": list(part.region),
            "share": relevance / similarity if similarity > 0 else None,
        }
        for similarity, relevance in zip(own, relevances, strict=True)
    ]


def _identity(columns: Mapping[str, str | None]) -> str | None:
    """Which image it is; None where that is not known."""
    path, sha256 = columns.get("path"), columns.get("sha256")
    return identity_of(sha256, path) if path and sha256 else None


def _match(first: str | None, second: str | None) -> bool | None:
    return None if first is None or second is None else first == second
