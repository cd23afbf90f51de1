"""`xmir query`: the indexed images that are most like a new one."""

import os
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, UsageError

_COLUMNS = ["rank", "similarity", "meta.id", "retrieved_label", "match", "query"]


def command(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGES]...",
            help="Image files, globs, folders, a CSV/TSV/Parquet manifest with a 'path' column, "
            "or - for paths on standard input.",
        ),
    ] = None,
    index: Annotated[
        Path | None,
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
    """
    if not (images or ids or vectors or everything):
        raise UsageError("nothing to ask with", "Name images, --id, --vector or --all.")
    from numpy import stack

    from xmir_cli.gallery.asked import answer, filters, given, indexed, rows_of
    from xmir_cli.gallery.folder import open_gallery
    from xmir_cli.store.inputs import list_items, parse_where

    gallery = open_gallery(str(_index(index).absolute()))
    if model:
        gallery = gallery.relocated(str(model.absolute()))
    narrowed = filters(gallery.items, parse_where(where), exclude_same, no_self)
    rows = [*rows_of(gallery, ids or []), *(range(len(gallery.items)) if everything else [])]
    skips, done, total = console.Skips(), 0, len(rows)
    sources = [indexed(gallery, rows), given(gallery, vectors or [], skips.add)]
    if images:
        items = list_items(images, null, None, "query")
        total += len(items)
        from xmir_cli.gallery.pictures import ask_images  # here, for these two import torch
        from xmir_cli.model.loader import load_embedder

        embedder = load_embedder(gallery.manifest.model, device, precision)
        embedder.batch = batch
        sources.insert(0, ask_images(gallery, embedder, items, jobs, skips.add))
    with (
        console.Printer(form or "", _COLUMNS, "retrieved") as printer,
        console.progress("querying", total) as bar,
    ):
        for asked in chain.from_iterable(sources):
            queries = stack([query.vector for query in asked])
            found = gallery.search(queries, top, narrowed.scope(asked))
            for query, hits in zip(asked, found, strict=True):
                for record in answer(gallery, query, hits):
                    printer.write(record)
            done += len(asked)
            bar.advance(len(asked))
    if not done:
        raise DataError(f"none of {skips.total} queries could be used; nothing was written")
    return skips.finish(done, "answered")


def _index(index: Path | None) -> Path:
    """The index of the flag, of the environment, or the only one in the current folder."""
    if index is not None:
        return index
    if named := os.environ.get("XMIR_INDEX"):
        return Path(named)
    here = sorted(path.name for path in Path().glob("*.xmir"))
    if len(here) == 1:
        return Path(here[0])
    found = f"{len(here)} are here: {', '.join(here[:5])}" if here else "no *.xmir is here"
    raise UsageError(f"which index? {found}", "Name it with --index or in $XMIR_INDEX.")
