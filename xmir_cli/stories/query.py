"""Find the indexed images that are most like a new one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from xmir_cli import console
from xmir_cli.commands.query import Query
from xmir_cli.console import Ending, Records, Skips
from xmir_cli.errors import DataError
from xmir_cli.gallery.engines import make_absolute, open_gallery
from xmir_cli.gallery.protocol import Gallery
from xmir_cli.pictures.items import Item, hint_for_images, list_items
from xmir_cli.retrieval.answers import answer
from xmir_cli.retrieval.conditions import (
    check_columns,
    leave_out,
    list_values,
    make_conditions,
    warn_of_nobody,
)
from xmir_cli.retrieval.queries import (
    ImageOptions,
    Question,
    ask_all,
    ask_items,
    ask_vectors,
    find_ids,
)
from xmir_cli.retrieval.refine import find_examples, refine
from xmir_cli.retrieval.region import parse_region
from xmir_cli.store.where import parse_where

if TYPE_CHECKING:  # torch, 1.5 s that a query by --id or --vector does not pay
    from xmir_cli.model.embedder import Embedder

__all__ = ["Query", "run"]


def run(query: Query) -> Records:
    """One `xmir.retrieval/1` record a hit, nearest first, in the order of the queries."""
    region = None if query.region is None else parse_region(query.region)
    weights = None if query.model is None else str(query.model.absolute())
    gallery = open_gallery(make_absolute(query.gallery), weights)
    ask = _Network(gallery, query)
    likes = find_examples(gallery, query.like or [], ask.image, "like")
    unlikes = find_examples(gallery, query.unlike or [], ask.image, "unlike")
    conditions = make_conditions(
        parse_where(query.where), query.exclude_same, query.no_self, query.per
    )
    check_columns(gallery, conditions)
    conditions = leave_out(gallery, conditions, [*likes, *unlikes])
    items = list_items(query.images, query.null, None, query.columns) if query.images else []
    keys = find_ids(gallery, query.ids or [])
    known = len(keys) + (len(gallery) if query.everything else 0)
    skips, done = Skips(), 0
    handed = list(ask_vectors(gallery, query.vectors or [], skips.add))
    sources = [
        ask.images(items, ImageOptions(query.jobs, region, query.center), skips),
        ask_items(gallery, keys),
        ask_all(gallery) if query.everything else iter(()),
        iter(handed),
    ]
    if not (items or known or query.vectors):
        sources, likes = [iter([likes[:1]])], likes[1:]
    values: list[object] = []  # of the queries in the column of `exclude_same`
    with console.progress("querying", len(items) + known) as bar:
        for block in chain.from_iterable(sources):
            asked = [refine(each, likes, unlikes) for each in block]
            found = gallery.search(asked, query.top, conditions, query.center)
            for each, hits in zip(asked, found, strict=True):
                yield from answer(gallery, each, hits)
            done += len(asked)
            values += [each.columns.get(query.exclude_same or "") for each in asked]
            bar.advance(len(asked))
    if not done:
        raise DataError(
            f"none of {skips.total} queries could be used; nothing was written",
            hint_for_images(query.images or ()),
        )
    ending = skips.finish(done, "answered")
    return _doubt(ending, gallery, query.exclude_same, values)


def _doubt(
    ending: Ending, gallery: Gallery, column: str | None, values: Sequence[object]
) -> Ending:
    """The ending with what is to be said where nothing was left out for want of a value."""
    if column is None:
        return ending
    doubt = warn_of_nobody(column, values, list_values(gallery, column))
    return replace(ending, warnings=(*ending.warnings, doubt)) if doubt else ending


class _Network:
    """The index's network, which is loaded when the first image is to be embedded."""

    def __init__(self, gallery: Gallery, query: Query) -> None:
        self.gallery, self.query = gallery, query

    @cached_property
    def embedder(self) -> "Embedder":
        from xmir_cli.model.loader import load_embedder  # see above

        query = self.query
        return load_embedder(self.gallery.model, query.device, query.precision, query.batch)

    def image(self, path: str) -> Question:
        """One image as a query."""
        from xmir_cli.retrieval.image_queries import ask_image  # see above

        return ask_image(self.gallery, self.embedder, path)

    def images(
        self, items: Sequence[Item], options: ImageOptions, skips: Skips
    ) -> Iterator[list[Question]]:
        """Images as queries, a batch at a time."""
        if not items:
            return iter(())
        from xmir_cli.retrieval.image_queries import ask_images  # see above

        return ask_images(self.gallery, self.embedder, items, options, skips.add)
