"""The indexes that records come from: what a pair is told apart from, and who lends weights."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from xmir_cli.errors import DataError, ItemError
from xmir_cli.explain.cases import Case
from xmir_cli.explain.requests import Request
from xmir_cli.gallery.folder.engine import Gallery, open_gallery
from xmir_cli.gallery.folder.exact import Scope
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.frame import frame_of
from xmir_cli.retrieval.queries import rows_with
from xmir_cli.saliency.sample import Labelled, stored_samples
from xmir_cli.store.names import restored


@dataclass(frozen=True)
class Origin:
    """The index that a record came from."""

    gallery: Gallery

    @cached_property
    def digest(self) -> str:
        """Names its content."""
        files = sorted(self.gallery.manifest.files.items())
        return hashlib.sha256(json.dumps(files).encode()).hexdigest()

    @cached_property
    def labelled(self) -> Labelled:
        """Its embeddings and labels, as methods take them."""
        kinds = self.gallery.items["label"].combine_chunks().dictionary_encode().indices
        labels = kinds.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return Labelled(self.gallery.vectors, labels)

    def lend(self, embedder: Embedder, paths: Sequence[str]) -> dict[str, Case]:
        """The cases of those images that are items here with feature maps; their files may be gone.

        They have no pictures and no inputs, and are for methods that work `from_features`.
        """
        maps, recipe = self.gallery.features, embedder.spec.preprocessing
        known = {path: self._places[path] for path in paths if path in self._places}
        if maps is None or not known or not self._fits(embedder):
            return {}
        rows = [place[0] for place in known.values()]
        vectors = torch.from_numpy(self.gallery.vectors[rows])
        samples = stored_samples(embedder, torch.from_numpy(maps[rows]), vectors)
        cases = {}
        for (path, (_, sha256, *size)), sample in zip(known.items(), samples, strict=True):
            frame = frame_of(recipe, *size)
            cases[path] = Case(sha256, frame, replace(sample, roi=frame.roi), None, stored=True)
        return cases

    def _fits(self, embedder: Embedder) -> bool:
        return self.gallery.manifest.model.same_embedding(embedder.spec)

    @cached_property
    def _places(self) -> dict[str, tuple[int, str, int, int]]:
        """Row, hash, width and height of every item, by its path."""
        items = self.gallery.items
        columns = [items[name].to_pylist() for name in ("sha256", "width", "height")]
        paths = map(restored, items["path"].to_pylist())
        return dict(zip(paths, zip(range(len(items)), *columns, strict=True), strict=True))

    def negatives(self, request: Request, query: Case, count: int) -> list[str]:
        """The paths of the images most like the query whose label is not the retrieved image's.

        Best first. Raises ItemError where labels are missing or there are fewer than `count`.
        """
        own = request.record.get("retrieved_label")
        if not isinstance(own, str):
            raise ItemError("no-negative: retrieved_label: expected a string, found nothing")
        other = pc.fill_null(pc.not_equal(self.gallery.items["label"], own), False).to_numpy()
        itself = rows_with(self.gallery.items, "sha256", query.sha256)
        vector = query.sample.embedding.numpy()[None]
        hits = self.gallery.search(vector, count, Scope(other, [itself]))[0].indices
        if len(hits) < count:
            raise ItemError(
                f"no-negative: {len(hits)} images of {self.gallery.path} have another label "
                f"than {own}, {count} are needed"
            )
        paths: list[str] = self.gallery.items["path"].take(pa.array(hits)).to_pylist()
        return [restored(path) for path in paths]


@cache
def origin_at(path: str) -> Origin:
    """The index in a folder, opened once; raises ItemError when it is not to be used."""
    try:
        return Origin(open_gallery(path))
    except DataError as error:
        raise ItemError(f"bad-record: index: {error}") from None


def origin_of(request: Request) -> Origin:
    """The index that the record of a request names; raises ItemError when there is none."""
    path = request.record.get("index")
    if not isinstance(path, str):
        raise ItemError("bad-record: index: expected the path that 'xmir query' writes")
    return origin_at(path)
