"""The indexes that records come from: what a pair is told apart from, and who lends weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import cast

import torch

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError, UsageError
from xmir_cli.explain.cases import Case
from xmir_cli.explain.requests import Request
from xmir_cli.gallery.engines import open_gallery
from xmir_cli.gallery.protocol import Columns, Conditions, Gallery, ItemKey, identity_in
from xmir_cli.labels import LabelSets, parse_labels
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.crop import find_crop
from xmir_cli.retrieval.queries import Question
from xmir_cli.saliency.centering import GalleryMean, read_mean
from xmir_cli.saliency.sample import LabelledGallery, make_stored_samples
from xmir_cli.store.names import escape_typed, restore_name
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record


@dataclass(frozen=True)
class Origin:
    """The index that a record came from."""

    gallery: Gallery
    _seen: dict[str, "_Lendable | None"] = field(default_factory=dict)  # by identity

    @property
    def digest(self) -> str:
        """Names its content."""
        return self.gallery.digest

    @cached_property
    def labelled(self) -> LabelledGallery:
        """Its embeddings and labels, as methods take them."""
        (everything,) = self.gallery.iterate(len(self.gallery), ["label"])
        labels = LabelSets(everything.columns["label"].to_pylist())
        return LabelledGallery(everything.vectors, labels)

    @cached_property
    def mean(self) -> GalleryMean:
        """The mean of its embeddings; raises ItemError where it cannot be read."""
        try:
            return read_mean(self.gallery.mean)
        except DataError as error:
            raise ItemError(Cause.BAD_RECORD, f"index: {error}") from None

    def lend(self, embedder: Embedder, images: Mapping[str, str]) -> dict[str, Case]:
        """The cases of those images that are items here with feature maps; their files may be gone.

        `images` says which image each path is. The cases have no pictures and no inputs, and are
        for methods that work `from_features`.
        """
        gallery, recipe = self.gallery, embedder.recipe
        if not gallery.has_features or not gallery.model.same_embedding(embedder.spec):
            return {}
        self._look_up([identity for identity in images.values() if identity not in self._seen])
        found = {path: self._seen[identity] for path, identity in images.items()}
        known = {path: item for path, item in found.items() if item is not None}
        if not known:
            return {}
        keys = [item.key for item in known.values()]
        maps, vectors = gallery.features_of(keys), gallery.vectors_of(keys)
        samples = make_stored_samples(embedder, torch.from_numpy(maps), torch.from_numpy(vectors))
        cases = {}
        for (path, item), sample in zip(known.items(), samples, strict=True):
            crop = find_crop(recipe, *item.size)
            sample = replace(sample, roi=crop.roi, picture=crop.image_size)
            cases[path] = Case(images[path], crop, sample, None, stored=True)
        return cases

    def _look_up(self, identities: Sequence[str]) -> None:
        """Look these images up, for good: the hits of one query are hits of others, too."""
        found = self.gallery.by_identity(identities) if identities else []
        firsts = [keys[0] for keys in found if keys]
        rows = iter(self.gallery.columns_of(firsts) if firsts else [])
        for identity, keys in zip(identities, found, strict=True):
            self._seen[identity] = _lendable(keys[0], next(rows)) if keys else None

    def negatives(self, request: Request, query: Case, count: int) -> list[tuple[str, str | None]]:
        """The images most like the query that have labels, but none of the retrieved image's.

        Their paths and identities, best first. Raises ItemError where labels are missing or there
        are fewer than `count`.
        """
        own = request.record.get("retrieved_label")
        if not isinstance(own, str) or not parse_labels(own):
            raise ItemError(Cause.NO_NEGATIVE, "retrieved_label: expected a string, found nothing")
        question = Question(request.query, query.sample.embedding.numpy(), {}, query.identity)
        others = Conditions(other_labels=escape_typed(own), not_itself=True)
        [hits] = self.gallery.search([question], count, others)
        if len(hits.keys) < count:
            raise ItemError(
                Cause.NO_NEGATIVE,
                f"{len(hits.keys)} images of {self.gallery.name} have another label "
                f"than {own}, {count} are needed",
            )
        rows = self.gallery.columns_of(hits.keys)
        return [(restore_name(str(row["path"])), identity_in(row)) for row in rows]


@dataclass(frozen=True)
class _Lendable:
    """An item of an index, and what of it a case needs beside its maps."""

    key: ItemKey
    size: tuple[int, int]  # of the picture


def _lendable(key: ItemKey, row: Columns) -> _Lendable:
    return _Lendable(key, cast("tuple[int, int]", (row["width"], row["height"])))


def begin_run() -> None:
    """Open every index again when it is asked for: it may be another one since the last run."""
    origin_at.cache_clear()


@cache
def origin_at(name: str) -> Origin:
    """The index of that name, opened once a run; raises ItemError when it is not to be used."""
    try:
        return Origin(open_gallery(name))
    except (DataError, UsageError) as error:
        raise ItemError(Cause.BAD_RECORD, f"index: {error}") from None


def origin_of(request: Request) -> Origin:
    """The index that the record of a request names; raises ItemError when there is none."""
    return _origin_in(request.record)


def mean_in(record: Record, spec: ModelSpec, known: str | None) -> GalleryMean:
    """The mean of the index that a record names; raises ItemError when there is none.

    So it does where the index is of another network than `spec`, or the SHA-256 is not the `known`.
    """
    origin = _origin_in(record)
    if not origin.gallery.model.same_embedding(spec):
        raise ItemError(
            Cause.CHANGED, f"another network made the embeddings of {origin.gallery.name}"
        )
    if known is not None and known != origin.mean.sha256:
        raise ItemError(
            Cause.CHANGED,
            f"another mean of the gallery than when the record was made ({origin.gallery.name})",
        )
    return origin.mean


def _origin_in(record: Record) -> Origin:
    name = record.get("index")
    if not isinstance(name, str):
        raise ItemError(Cause.BAD_RECORD, "index: expected the path that 'xmir query' writes")
    return origin_at(name)
