"""Draw one page of queries, hits and their overlays."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from xmir_cli import console
from xmir_cli.commands.montage import Montage
from xmir_cli.console import Records, Skips
from xmir_cli.errors import DataError, ItemError
from xmir_cli.pages.entries import PageEntry, Read, read_entries
from xmir_cli.pages.page import Look, layers_of, row_of
from xmir_cli.pictures.identity import file_of
from xmir_cli.render.montage import montage
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.outputs import refuse_input

__all__ = ["Montage", "run"]


def run(asked: Montage) -> Records:
    """No record: the page is written.

    `asked.records` names a file of JSON lines, one record a line.
    """
    skips, output = Skips(), asked.page
    with open_lines(asked.records) as stream:
        entries = list(read_entries(read_records(stream), skips))
    if not entries:
        raise DataError("no usable record" if skips.total else "no records on standard input")
    refuse_input(output, (file_of(name) for entry in entries for name, _ in entry.files))
    look = Look(asked.alpha, asked.side)
    layers = layers_of(entries, look)
    with console.progress("drawing", len(entries)) as bar:
        rows = []
        for _, group in groupby(entries, key=lambda entry: entry.asked):
            row = list(group)
            rows.append(row_of(row, layers, look))
            bar.advance(len(row))
        rows = [row for row in rows if row]
    done = _count(entries, look.bad, skips)
    titles = [layer.name for layer in layers] if len(layers) > 1 else []
    width = max(len(row) for row in rows)
    header = ["query", *titles * width][:width] if titles else []
    picture = montage(rows, header, [layer for layer in layers if layer.largest], asked.side)
    with atomic_file(output) as file:
        # else a PDF holds the name of a temporary file, and the time
        own = {"title": None, "creationDate": None, "modDate": None}
        picture.save(file, format=output.suffix[1:].upper(), **own)
    queries = "1 query" if len(rows) == 1 else f"{len(rows)} queries"
    console.note(f"{output}: {queries}, {picture.width} x {picture.height} pixels")
    yield from ()
    return skips.finish(done, "drawn")


def _count(entries: Sequence[PageEntry], bad: Mapping[Read, ItemError], skips: Skips) -> int:
    """How many records are drawn with all their files; DataError when there is none."""
    done = 0
    for entry in entries:
        file = next((file for file in entry.files if file in bad), None)
        if file is None:
            done += 1
        else:
            skips.add(file[0], bad[file])
    if not done:
        raise DataError(f"none of {skips.total} records could be drawn; nothing was written")
    return done
