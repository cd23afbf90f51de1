"""`xmir index`: embeddings in, a folder that `xmir query` searches out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError
from xmir_cli.printer import Printer
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.outputs import need_folder, receipt


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="EMBEDDINGS",
            help="What 'xmir embed' wrote: a Parquet file, a folder of parts, a receipt, or - for "
            "an Arrow stream or receipt on standard input.",
        ),
    ],
    target: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="The index, NAME.xmir.")
    ],
    kind: Annotated[
        Literal["auto", "exact", "hnsw"],
        typer.Option("--kind", help="auto: exact below 1,000,000 rows, else hnsw."),
    ] = "auto",
    m: Annotated[int, typer.Option("--m", min=2, max=512, help="HNSW: links of a node.")] = 16,
    ef_construction: Annotated[
        int, typer.Option("--ef-construction", min=1, help="HNSW: candidates while building.")
    ] = 200,
    ef: Annotated[int, typer.Option("--ef", min=1, help="HNSW: candidates while searching.")] = 64,
    seed: options.Seed = 0,
    force: options.Force = False,
    form: options.Format = None,
) -> int:
    """Build a searchable index of embeddings.

    The folder holds manifest.json, vectors.npy, items.parquet and, for HNSW, graph.hnsw. The same
    embeddings give the same bytes. Rows that are zero, NaN or infinite are left out (exit 3).

    Search is exact but where an HNSW index gets 256 queries or more in one command, without
    filters: then the graph finds nearly all of the nearest (its recall is said here).
    """
    from xmir_cli.gallery.engines import folder_of

    output = folder_of(target)
    refuse_existing(output, force)
    _refuse_other(output)
    from xmir_cli.gallery.folder.build import build_gallery
    from xmir_cli.gallery.folder.manifest import GraphSettings
    from xmir_cli.gallery.vectors import keep_usable
    from xmir_cli.store.embeddings import read_embeddings

    embeddings = read_embeddings(source, allow_nan=True)
    names = embeddings.items["id"].to_pylist()
    embeddings, left_out = keep_usable(embeddings)
    skips = console.Skips()
    for row in left_out:
        skips.add(str(names[row]), f"bad-vector: row {row} is zero, NaN or infinite")
    settings = GraphSettings(m, ef_construction, ef, seed)
    manifest = build_gallery(embeddings, output, None if kind == "auto" else kind, settings)
    if manifest.recall_at_10 is not None:
        console.note(f"recall at 10 of the graph against exact search: {manifest.recall_at_10:.4f}")
    with Printer(form or "", ["kind", "path", "rows", "dim", "skipped"], "path") as printer:
        shape = (manifest.rows, manifest.dim)
        printer.write(receipt("index", output, shape, skips.total))
    return skips.finish(manifest.rows, "indexed")


def _refuse_other(output: Path) -> None:
    """Refuse to replace anything but an index; it might be the input."""
    if output.exists() and not (output / "manifest.json").is_file():
        raise DataError(f"{output}: not an index, so it is not replaced")
    need_folder(output)
