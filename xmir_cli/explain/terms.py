"""Terms nearest to an image, or shared by two: a textual explanation of a retrieval.

The score of a term is its similarity to the image, s(t, r) = f_t . f_r. Of a pair it is the smaller
of the two, min(s(t, q), s(t, r)): a term is shared only as far as both images show it. A mean or a
product would let one image make up for the other, and of two negative similarities the product is
positive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xmir_cli.errors import ItemError, need_usable
from xmir_cli.explain.cases import Case
from xmir_cli.explain.requests import Request
from xmir_cli.model.embedder import Embedder
from xmir_cli.retrieval.queries import Asked
from xmir_cli.retrieval.words import embed_many
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.description import DescriptionRecord

_KEPT = ("retrieved_label", "index", "meta")  # of a record of 'xmir query'


@dataclass(frozen=True, eq=False)
class Terms:
    """Terms with their unit embeddings [T, D]."""

    asked: Sequence[Asked]
    vectors: Tensor
    model: Record  # whose embeddings they are

    def near(self, images: Sequence[Tensor], count: int) -> list[tuple[int, list[float]]]:
        """The `count` terms of the highest scores, each with its similarity to each image [D].

        Best first; equal scores fall in the order of the terms.
        """
        products = self.vectors.double() @ torch.stack(list(images)).double().T  # [T, images]
        similarities = products.clamp(-1, 1)
        order = similarities.amin(dim=1).argsort(descending=True, stable=True)[:count]
        return [(place, similarities[place].tolist()) for place in order.tolist()]


def embed_terms(embedder: Embedder, asked: Sequence[Asked]) -> Terms:
    """The terms in the space of an embedder's images; raises ModelError as `ask_words`."""
    vectors = embed_many(embedder, [each.words for each in asked])
    return Terms(asked, vectors, embedder.spec.to_json())


def describe(
    terms: Terms, request: Request, found: Mapping[str, Case | ItemError], count: int
) -> list[Record]:
    """A record a term, best first, of the retrieved image, or of what it shares with its query.

    Raises ItemError for an image that cannot be used, or is not the recorded one.
    """
    names = [request.retrieved, *([] if request.is_self or not request.query else [request.query])]
    cases = [need_usable(found[name]) for name in names]
    request.check_identities(cases[-1].identity, cases[0].identity)
    near = terms.near([case.sample.embedding for case in cases], count)
    return [
        {
            "schema": DescriptionRecord.NAME,
            **terms.asked[place].told,
            "retrieved": request.retrieved,
            "retrieved_identity": cases[0].identity,
            "rank": rank,
            "similarity": similarities[0],
            "score": min(similarities),
            **(_shared(names[1], cases[1], similarities[1]) if len(names) > 1 else {}),
            **{key: request.record[key] for key in _KEPT if key in request.record},
            "model": terms.model,
        }
        for rank, (place, similarities) in enumerate(near, start=1)
    ]


def _shared(name: str, case: Case, similarity: float) -> Record:
    return {
        "shared_with": name,
        "shared_identity": case.identity,
        "shared_similarity": similarity,
    }


def turned(record: Record) -> Record:
    """The same term of a pair, of its other image; what is known of the first goes."""
    mirrored = {
        "retrieved": record["shared_with"],
        "retrieved_identity": record["shared_identity"],
        "similarity": record["shared_similarity"],
        "shared_with": record["retrieved"],
        "shared_identity": record["retrieved_identity"],
        "shared_similarity": record["similarity"],
    }
    return {key: value for key, value in {**record, **mirrored}.items() if key not in _KEPT}
