"""`xmir montage`: one page of queries, retrieved images and their overlays."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, UsageError
from xmir_cli.store.atomic import atomic_file, refuse_existing
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.outputs import refuse_input

if TYPE_CHECKING:
    from xmir_cli.pages.page import Entry


def command(
    records: options.Records = "-",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .png or .pdf file.")
    ] = None,
    side: Annotated[
        int, typer.Option("--side", min=48, max=2048, help="Pixels of a picture's place.")
    ] = 224,
    alpha: Annotated[
        float, typer.Option("--alpha", min=0, max=1, help="Opacity of the overlays.")
    ] = 0.6,
    force: options.Force = False,
) -> int:
    """Draw one page of queries, hits and their overlays.

    One query a row: framed blue, then its retrieved images by rank, framed green where the labels
    agree and vermilion where they do not. Records of several saliency methods stand side by side.
    Overlays of one method share one scale, which the colour bar below gives. Matches are numbered
    boxes; of a query's only hit also on the query. A --region of a query is framed there.

    \b
    xmir query q/*.png --top 3 | xmir saliency | xmir montage -o figure4.png
    """
    if output is None or output.suffix.lower() not in {".png", ".pdf"}:
        raise UsageError("--output: expected a file that ends in .png or .pdf")
    refuse_existing(output, force)
    from xmir_cli.pages.page import Look, layers_of, read_entries, row_of
    from xmir_cli.render.montage import montage

    skips = console.Skips()
    with open_lines(records, "montage") as stream:
        entries = list(read_entries(read_records(stream), skips))
    if not entries:
        raise DataError("no usable record" if skips.total else "no records on standard input")
    refuse_input(output, (path for entry in entries for path in (entry.query, entry.retrieved)))
    look = Look(alpha, side)
    layers = layers_of(entries, look)
    with console.progress("drawing", len(entries)) as bar:
        rows = []
        for _, group in groupby(entries, key=lambda entry: entry.query):
            row = list(group)
            rows.append(row_of(row, layers, look))
            bar.advance(len(row))
    done = _count(entries, look.bad, skips)
    titles = [layer.name for layer in layers] if len(layers) > 1 else []
    width = max(len(row) for row in rows)
    header = ["query", *titles * width][:width] if titles else []
    shown = [layer for layer in layers if layer.largest]
    picture = montage(rows, header, shown, side)
    with atomic_file(output) as file:
        picture.save(file, format=output.suffix[1:].upper())
    console.note(f"{output}: {len(rows)} queries, {picture.width} x {picture.height} pixels")
    return skips.finish(done, "drawn")


def _count(entries: "Sequence[Entry]", bad: Mapping[str, str], skips: console.Skips) -> int:
    """How many records are drawn with all their files; DataError when there is none."""
    done = 0
    for entry in entries:
        path = next((path for path in entry.files if path in bad), None)
        if path is None:
            done += 1
        else:
            skips.add(path, bad[path])
    if not done:
        raise DataError(f"none of {skips.total} records could be drawn; nothing was written")
    return done
