"""Hits as records of the wire."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import cast

from xmir_cli.arrays import clip_cosines
from xmir_cli.gallery.protocol import Columns, Gallery, Hits, identity_in
from xmir_cli.gallery.vectors import Vectors, center_rows, products
from xmir_cli.labels import share_label
from xmir_cli.retrieval.concepts import ConceptShares, direction_of
from xmir_cli.retrieval.evidence import Evidence
from xmir_cli.retrieval.queries import Contribution, Question, Refinement
from xmir_cli.store.cells import to_json
from xmir_cli.store.names import restore_name
from xmir_cli.wire.columns import DECODED, TAG_COLUMNS
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.retrieval import RetrievalRecord

_OWN_KEYS = {"path", "label", "sha256", "width", "height"}  # columns not repeated under `meta`
# nor those of the query that its own keys, or its file, tell
_ASKED_KEYS = {*_OWN_KEYS, *TAG_COLUMNS, DECODED, "id"}
_OTHER_ORDERS = {"relevance", "rerank_distance"}  # keys of hits that are not in that of similarity


def answer(
    gallery: Gallery,
    asked: Sequence[Question],
    found: Sequence[Hits],
    beside: "Beside | None" = None,
) -> Iterator[Record]:
    """One record for each hit, best first, of one query after the other.

    `similarity` is always that of the query's image and the hit. Of a refined query the hits are
    ordered by `relevance`, the similarity to where the examples moved it; of a region by the
    `relevance` that it contributes to the similarity, which is the `share` of it. Where the
    gallery's mean is taken off, both are of `centered`, the similarity of what is left.
    """
    beside = beside or Beside()
    rows = iter(gallery.columns_of([key for hits in found for key in hits.keys]))
    told = beside.told(asked)
    for query, hits, more in zip(asked, found, told, strict=True):
        known = list(islice(rows, len(hits.keys)))
        records = _answer(gallery, query, hits, known, beside.shares)
        yield from beside.near(records, _about(gallery, query), more)


@dataclass(frozen=True)
class Beside:
    """What records tell beside the hits: what concepts hold, evidence, that nothing is near."""

    shares: ConceptShares | None = None
    evidence: Evidence | None = None
    least: float | None = None  # similarity of a hit
    asked: Record = field(default_factory=dict)  # by what was set which images are hits

    def told(self, asked: Sequence[Question]) -> list[Record]:
        """What the records of each query tell of the answer."""
        told = [{} for _ in asked] if self.evidence is None else self.evidence.of(asked)
        return [{"asked": self.asked, **each} for each in told]

    def near(self, records: list[Record], about: Record, told: Record) -> list[Record]:
        """The hits that are near enough, with what is told; or one record that none is."""
        similarities = [cast("float", each["similarity"]) for each in records]
        least = self.least
        if least is None:
            return [{**each, **told} for each in records]
        kept = [each for each, found in zip(records, similarities, strict=True) if found >= least]
        if kept:
            return [{**each, "rank": rank, **told} for rank, each in enumerate(kept, start=1)]
        nearest = max(similarities, default=None)
        remark = _say_none(records, nearest, least)
        remark += f"; {told['remark']}" if "remark" in told else ""
        near: Record = {} if nearest is None else {"nearest": nearest}
        return [{**about, "answer": "none", **near, **told, "remark": remark}]


def _say_none(hits: Sequence[Record], nearest: float | None, least: float) -> str:
    """What is said where no hit is near enough: of others than the hits it is not known.

    In the order of the similarity the first hit is the nearest image that may be found.
    """
    if nearest is None:
        return f"no image is as similar as {least:g}; there is none"
    if not hits[0].keys() & _OTHER_ORDERS:
        return f"no image is as similar as {least:g}; the nearest is at {nearest:.4f}"
    who = f"none of the {len(hits)} hits is" if len(hits) > 1 else "the hit is not"
    return f"{who} as similar as {least:g}: {nearest:.4f} at most; others may be"


def _answer(
    gallery: Gallery,
    query: Question,
    hits: Hits,
    rows: Sequence[Columns],
    shares: ConceptShares | None,
) -> list[Record]:
    label = query.columns.get("label")
    own = _own(query)
    asked: Record = {"query": query.name} if query.name else {}
    named: Record = {"query_identity": query.identity} if query.name else {}
    asked |= query.words.told if query.words else {}
    kept: Record = {} if gallery.store == "float32" else {"store": gallery.store}
    model = _to_json(gallery.model)
    identities = [identity_in(row) for row in rows]
    told = [name for name in rows[0] if name not in _OWN_KEYS] if rows else []
    return [
        {
            "schema": RetrievalRecord.NAME,
            **asked,
            "retrieved": restore_name(str(row["path"])),
            **named,
            "retrieved_identity": identity,
            "rank": rank,
            **numbers,
            "query_label": label,
            **({} if identity == query.identity else own),
            "retrieved_label": row.get("label"),
            "match": share_label(label, row.get("label")),
            "index": gallery.name,
            **kept,
            "model": model,
            "meta": {key: to_json(row[key]) for key in told},
        }
        for rank, (row, identity, numbers) in enumerate(
            zip(rows, identities, _numbers(gallery, query, hits, shares), strict=True), start=1
        )
    ]


def _about(gallery: Gallery, query: Question) -> Record:
    """What is told of a query without any hit."""
    asked: Record = {"query": query.name} if query.name else {}
    asked |= query.words.told if query.words else {}
    asked |= {"query_identity": query.identity} if query.name else {}
    label: Record = {"query_label": query.columns.get("label")}
    model: Record = {"index": gallery.name, "model": _to_json(gallery.model)}
    return {"schema": RetrievalRecord.NAME, **asked, **query.moves, **label, **_own(query), **model}


def _own(query: Question) -> Record:
    """What records tell of the query's columns, unless the hit is the query itself."""
    patient = query.columns.get("patient")
    rest = {
        name: to_json(value)
        for name, value in query.columns.items()
        if name not in _ASKED_KEYS and value is not None
    }
    told: Record = {"query_patient": str(patient)} if patient else {}
    return {**told, "query_meta": rest} if rest else told


def _numbers(
    gallery: Gallery, query: Question, hits: Hits, shares: ConceptShares | None
) -> list[Record]:
    numbers = _ordered(gallery, query, hits)
    if shares is None:
        return numbers
    similarities = [cast("float", each["similarity"]) for each in numbers]
    told = shares.of(query.image, gallery.vectors_of(hits.keys), similarities)
    return [{**each, **more} for each, more in zip(numbers, told, strict=True)]


def _ordered(gallery: Gallery, query: Question, hits: Hits) -> list[Record]:
    """The similarities, and what the hits are ordered by where that is something else."""
    numbers = _compared(gallery, query, hits)
    if hits.distances is None:
        return numbers
    distances = hits.distances.tolist()
    return [
        {**each, "rerank_distance": told} for each, told in zip(numbers, distances, strict=True)
    ]


def _compared(gallery: Gallery, query: Question, hits: Hits) -> list[Record]:
    """The similarities, and the relevance where that is something else."""
    if query.contribution is not None:
        return _of_region(gallery, query, query.contribution, hits)
    if query.refinement is not None:
        return _of_refined(gallery, query, query.refinement, hits)
    return [{"similarity": similarity} for similarity in hits.similarities.tolist()]


def _of_refined(
    gallery: Gallery, query: Question, refinement: Refinement, hits: Hits
) -> list[Record]:
    own, moves = _similarities(gallery, hits, refinement.image), query.moves
    return [
        {"similarity": similarity, "relevance": relevance, **moves}
        for similarity, relevance in zip(own, hits.similarities.tolist(), strict=True)
    ]


def _of_region(
    gallery: Gallery, query: Question, contribution: Contribution, hits: Hits
) -> list[Record]:
    own, moves, pulls = _similarities(gallery, hits, contribution.image), query.moves, query.pulls
    whole, told = own, [Record()] * len(own)
    vectors = gallery.vectors_of(hits.keys)
    if (center := contribution.center) is not None:
        vectors = center_rows(vectors, center.mean)
        whole = (vectors @ center.direction).tolist()
        told = [{"centered": each} for each in whole]
    relevances = hits.similarities * contribution.length
    parts = relevances - (products(vectors, direction_of(pulls)) if pulls else 0)
    return [
        {
            "similarity": similarity,
            "relevance": relevance,
            "share": part / total if total > 0 else None,
            **moves,
            **more,
        }
        for similarity, relevance, part, total, more in zip(
            own, relevances.tolist(), parts.tolist(), whole, told, strict=True
        )
    ]


def _similarities(gallery: Gallery, hits: Hits, image: Vectors) -> list[float]:
    """Those of the hits and the query's own image, whatever they were found by."""
    found: list[float] = clip_cosines(products(gallery.vectors_of(hits.keys), image)).tolist()
    return found


_to_json = cache(ModelSpec.to_json)
