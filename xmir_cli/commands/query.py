"""`xmir query`: the indexed images that are most like a new one."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, UsageError
from xmir_cli.printer import Printer

if TYPE_CHECKING:
    from xmir_cli.gallery.protocol import Gallery
    from xmir_cli.model.embedder import Embedder
    from xmir_cli.pictures.items import Item
    from xmir_cli.retrieval.queries import ImageOptions, Question


def command(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGES",
            help="Image files, globs, folders, a CSV/TSV/Parquet manifest with a 'path' column, "
            "or - for paths on standard input.",
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            "-i",
            metavar="DIR",
            help="The index. [default: $XMIR_INDEX, or the only *.xmir here]",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many for each query.")] = 5,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ID", help="Ask with an indexed item; may be repeated."),
    ] = None,
    vectors: Annotated[
        list[str] | None,
        typer.Option("--vector", metavar="FILE.npy", help="Ask with an embedding [D] or [N, D]."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Ask with every indexed item in turn.")
    ] = False,
    where: options.Where = None,
    exclude_same: Annotated[
        str | None,
        typer.Option(
            "--exclude-same",
            metavar="COLUMN",
            help="Leave out the query itself and items with its value there, such as patient.",
        ),
    ] = None,
    no_self: Annotated[
        bool, typer.Option("--no-self", help="Leave out the query itself, by file hash or id.")
    ] = False,
    per: Annotated[
        str | None,
        typer.Option(
            "--per",
            metavar="COLUMN=COUNT",
            help="At most so many hits of each value there, such as patient=1.",
        ),
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(
            "--like",
            metavar="ID|IMAGE",
            help="Move the query towards this one; without a query the first is the query.",
        ),
    ] = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option("--unlike", metavar="ID|IMAGE", help="Move the query away from this one."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            metavar="X,Y,W,H",
            help="Ask with this part of the image only, in pixels of the file.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", metavar="FILE", help="Where the index's weights lie now."),
    ] = None,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    batch: options.Batch = 16,
    jobs: options.Jobs = None,
    null: options.NullSeparated = False,
    form: options.Format = None,
) -> int:
    """Find the indexed images most like a new one.

    One record a hit, nearest first, in the order of the queries. The index knows the model.
    Fewer hits than --top come when the index or the filters leave fewer.

    With --like and --unlike the hits are those nearest to the mean of the query and the liked,
    less half the mean of the unlike; the examples themselves are left out. The similarity is still
    that of the query and the hit, the order is that of the record's relevance.

    With --region the relevance is what that part of the query contributes to the similarity, by
    the exact decomposition of --method activation: the parts of an image add up to the whole. The
    share is the relevance divided by the similarity.
    """
    if not (images or ids or vectors or everything or like):
        raise UsageError("nothing to ask with", "Name images, --id, --vector, --all or --like.")
    if region is not None and (not images or ids or vectors or everything or like or unlike):
        raise UsageError(
            "--region: a part of an image file", "Name IMAGES, without any other way to ask."
        )
    from xmir_cli.gallery.engines import absolute, open_gallery
    from xmir_cli.pictures.items import list_items, parse_where
    from xmir_cli.retrieval.answers import answer
    from xmir_cli.retrieval.conditions import check_columns, leave_out, make_conditions
    from xmir_cli.retrieval.queries import ImageOptions, ask_all, ask_items, ask_vectors, find_ids
    from xmir_cli.retrieval.refine import find_examples, refine
    from xmir_cli.retrieval.region import parse_region

    options = ImageOptions(jobs, None if region is None else parse_region(region))
    weights = None if model is None else str(model.absolute())
    gallery = open_gallery(absolute(_index(index)), weights)
    network = cache(lambda: _load(gallery, device, precision, batch))
    likes = find_examples(gallery, like or [], lambda path: _picture(gallery, network, path))
    unlikes = find_examples(gallery, unlike or [], lambda path: _picture(gallery, network, path))
    conditions = make_conditions(parse_where(where), exclude_same, no_self, per)
    check_columns(gallery, conditions)
    conditions = leave_out(gallery, conditions, [*likes, *unlikes])
    items = list_items(images, null, None, "query") if images else []
    keys = find_ids(gallery, ids or [])
    known = len(keys) + (len(gallery) if everything else 0)
    skips, done = console.Skips(), 0
    handed = list(ask_vectors(gallery, vectors or [], skips.add))
    job = len(items) + known + sum(map(len, handed))
    sources = [
        _pictures(gallery, network, items, options, skips),
        ask_items(gallery, keys),
        ask_all(gallery) if everything else iter(()),
        iter(handed),
    ]
    refined = bool(likes or unlikes)
    if not (items or known or vectors):
        sources, likes = [iter([likes[:1]])], likes[1:]
    with (
        Printer(form or "", _columns(refined, region is not None), "retrieved") as printer,
        console.progress("querying", len(items) + known) as bar,
    ):
        for block in chain.from_iterable(sources):
            queries = [refine(query, likes, unlikes) for query in block]
            found = gallery.search(queries, top, conditions, job)
            for query, hits in zip(queries, found, strict=True):
                for record in answer(gallery, query, hits):
                    printer.write(record)
            done += len(queries)
            bar.advance(len(queries))
    if not done:
        raise DataError(f"none of {skips.total} queries could be used; nothing was written")
    return skips.finish(done, "answered")


def _columns(refined: bool, part: bool) -> list[str]:
    """What a table shows."""
    order = ["relevance"] if refined or part else []
    share = ["share"] if part else []
    return ["rank", *order, "similarity", *share, "meta.id", "retrieved_label", "match", "query"]


def _load(gallery: "Gallery", device: str, precision: str, batch: int) -> "Embedder":
    from xmir_cli.model.loader import load_embedder  # here, for it imports torch

    embedder = load_embedder(gallery.model, device, precision)
    embedder.batch = batch
    return embedder


def _picture(gallery: "Gallery", network: Callable[[], "Embedder"], path: str) -> "Question":
    from xmir_cli.retrieval.image_queries import ask_image

    return ask_image(gallery, network(), path)


def _pictures(
    gallery: "Gallery",
    network: Callable[[], "Embedder"],
    items: Sequence["Item"],
    options: "ImageOptions",
    skips: console.Skips,
) -> Iterator[list["Question"]]:
    if not items:
        return iter(())
    from xmir_cli.retrieval.image_queries import ask_images

    return ask_images(gallery, network(), items, options, skips.add)


def _index(index: str | None) -> str:
    """The index of the flag, of the environment, or the only one in the current folder."""
    if index is not None:
        return index
    if named := os.environ.get("XMIR_INDEX"):
        return named
    here = sorted(path.name for path in Path().glob("*.xmir"))
    if len(here) == 1:
        return here[0]
    found = f"{len(here)} are here: {', '.join(here[:5])}" if here else "no *.xmir is here"
    raise UsageError(f"which index? {found}", "Name it with --index or in $XMIR_INDEX.")
