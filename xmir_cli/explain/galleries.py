"""The indexes that records come from: what a pair is told apart from, and who lends weights."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.errors import DataError, ItemError
from xmir_cli.explain.cases import Case
from xmir_cli.explain.requests import Request
from xmir_cli.gallery.asked import rows_with
from xmir_cli.gallery.exact import Scope
from xmir_cli.gallery.folder import Gallery, open_gallery
from xmir_cli.saliency.sample import Labelled
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
