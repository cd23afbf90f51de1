"""Loading a collection on a server: what it will say of itself, and the items that are missing."""

from collections.abc import Iterator

from xmir_cli import console
from xmir_cli.gallery.protocol import Build, SearchKind
from xmir_cli.gallery.servers.about import About
from xmir_cli.gallery.servers.collection import Batch, Place, batch_rows
from xmir_cli.gallery.servers.columns import KeptColumn, plan_columns
from xmir_cli.gallery.servers.digest import ROWS, Digest
from xmir_cli.gallery.servers.recall import measure_recall
from xmir_cli.gallery.vectors import Vectors, mean_vector
from xmir_cli.store.embedding_source import EmbeddingSource

EXACT_BELOW = 1_000_000  # rows; from there on a graph is worth its building, for it stays in memory


def plan_load(place: Place, source: EmbeddingSource, build: Build) -> About:
    """What the collection will say of itself; the embeddings are gone through once."""
    digest = Digest()
    columns: list[KeptColumn] = []

    def vectors() -> Iterator[Vectors]:
        for block in source.blocks(ROWS):
            columns[:] = columns or plan_columns(block.items.schema, place.kinds)
            yield digest.add(block.items, block.vectors)

    mean = mean_vector(vectors())
    kind = choose_kind(source, build)
    return About(
        kind=kind,
        rows=source.rows,
        dim=source.dim,
        model=source.model,
        columns=columns,
        digest=digest.text,
        mean=mean,
        settings=build.graph if kind == "hnsw" else None,
        spread=build.spread,
    )


def choose_kind(source: EmbeddingSource, build: Build) -> SearchKind:
    """The search that is asked for, else what is worth it for so many items."""
    return build.kind or ("exact" if source.rows < EXACT_BELOW else "hnsw")


def load_items(place: Place, about: About, source: EmbeddingSource) -> About:
    """Put the items in that are missing."""
    start = place.begin(about)
    if start:
        console.note(f"goes on after {start} of {about.rows} items")
    with console.progress("loading", about.rows) as bar:
        bar.go_on(start)

        def batches() -> Iterator[Batch]:
            for batch in _encode(about, source, start):
                yield batch
                bar.advance(len(batch.rows))

        place.put(about, batches(), start)
    return place.finish(about, measure_recall)


def _encode(about: About, source: EmbeddingSource, start: int) -> Iterator[Batch]:
    """The items from a row on as the server keeps them, a request at a time."""
    first = 0
    for block in source.blocks(batch_rows(about.dim)):
        rows = range(first, first + len(block.vectors))
        first = rows.stop
        if rows.stop > start:
            values = {each.stored: each.encode(block.items[each.name]) for each in about.columns}
            yield Batch(rows, values, block.vectors)
