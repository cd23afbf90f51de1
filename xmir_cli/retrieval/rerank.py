"""The first hits of queries in a new order, by whom they have as neighbours among themselves."""

from collections.abc import Iterator, Sequence

import numpy as np

from xmir_cli.gallery.protocol import Gallery, Hits
from xmir_cli.reciprocal import new_order


def rerank(gallery: Gallery, found: Sequence[Hits], top: int) -> Iterator[Hits]:
    """The best `top` of each query's hits by their distances, which they have beside them.

    Only the hits are looked at: whoever searches gives as many as are to be put in order.
    """
    for hits in found:
        vectors = gallery.vectors_of(hits.keys).astype(np.float64)
        order, distances = new_order(hits.similarities, vectors @ vectors.T)
        kept = order[:top]
        keys = [hits.keys[place] for place in kept.tolist()]
        yield Hits(keys, hits.similarities[kept], distances[kept])
