"""The indexes that records come from: what a pair is told apart from, and who lends weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import cast

import torch

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError, UsageError
from xmir_cli.explain.cases import Case
from xmir_cli.explain.requests import Request
from xmir_cli.gallery.engines import open_gallery
from xmir_cli.gallery.protocol import Conditions, Gallery, identity_in
from xmir_cli.gallery.texts import numbers_of
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.view import frame_of
from xmir_cli.retrieval.queries import Question
from xmir_cli.saliency.sample import Labelled, stored_samples
from xmir_cli.store.names import restored, typed


@dataclass(frozen=True)
class Origin:
    """The index that a record came from."""

    gallery: Gallery

    @property
    def digest(self) -> str:
        """Names its content."""
        return self.gallery.digest

    @cached_property
    def labelled(self) -> Labelled:
        """Its embeddings and labels, as methods take them."""
        (everything,) = self.gallery.iterate(len(self.gallery), ["label"])
        return Labelled(everything.vectors, numbers_of(everything.columns["label"]))

    def lend(self, embedder: Embedder, images: Mapping[str, str]) -> dict[str, Case]:
        """The cases of those images that are items here with feature maps; their files may be gone.

        `images` says which image each path is. The cases have no pictures and no inputs, and are
        for methods that work `from_features`.
        """
        gallery, recipe = self.gallery, embedder.recipe
        if not gallery.has_features or not gallery.model.same_embedding(embedder.spec):
            return {}
        items = zip(images, gallery.by_identity(list(images.values())), strict=True)
        known = {path: keys[0] for path, keys in items if keys}
        if not known:
            return {}
        keys = list(known.values())
        maps, vectors = gallery.features_of(keys), gallery.vectors_of(keys)
        samples = stored_samples(embedder, torch.from_numpy(maps), torch.from_numpy(vectors))
        cases = {}
        for path, row, sample in zip(known, gallery.columns_of(keys), samples, strict=True):
            size = cast("tuple[int, int]", (row["width"], row["height"]))
            frame = frame_of(recipe, *size)
            cases[path] = Case(
                images[path], frame, replace(sample, roi=frame.roi), None, stored=True
            )
        return cases

    def negatives(self, request: Request, query: Case, count: int) -> list[tuple[str, str | None]]:
        """The images most like the query whose label is not the retrieved image's.

        Their paths and identities, best first. Raises ItemError where labels are missing or there
        are fewer than `count`.
        """
        own = request.record.get("retrieved_label")
        if not isinstance(own, str):
            raise ItemError(Cause.NO_NEGATIVE, "retrieved_label: expected a string, found nothing")
        question = Question(request.query, query.sample.embedding.numpy(), {}, query.identity)
        others = Conditions(differs=(("label", typed(own)),), not_itself=True)
        [hits] = self.gallery.search([question], count, others)
        if len(hits.keys) < count:
            raise ItemError(
                Cause.NO_NEGATIVE,
                f"{len(hits.keys)} images of {self.gallery.name} have another label "
                f"than {own}, {count} are needed",
            )
        rows = self.gallery.columns_of(hits.keys)
        return [(restored(str(row["path"])), identity_in(row)) for row in rows]


@cache
def origin_at(name: str) -> Origin:
    """The index of that name, opened once; raises ItemError when it is not to be used."""
    try:
        return Origin(open_gallery(name))
    except (DataError, UsageError) as error:
        raise ItemError(Cause.BAD_RECORD, f"index: {error}") from None


def origin_of(request: Request) -> Origin:
    """The index that the record of a request names; raises ItemError when there is none."""
    name = request.record.get("index")
    if not isinstance(name, str):
        raise ItemError(Cause.BAD_RECORD, "index: expected the path that 'xmir query' writes")
    return origin_at(name)
