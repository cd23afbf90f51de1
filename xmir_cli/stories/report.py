"""Write a page for a browser: maps, curves, tables."""

from xmir_cli import console
from xmir_cli.commands.report import Report
from xmir_cli.console import Records, Skips, escape
from xmir_cli.errors import DataError
from xmir_cli.pages.html import fill, load_template, told_size
from xmir_cli.pages.outlines import Outlines
from xmir_cli.pages.report.album import MEGABYTE, Album
from xmir_cli.pages.report.files import FILES
from xmir_cli.pages.report.page import Page
from xmir_cli.pages.report.stream import Stream
from xmir_cli.pictures.identity import file_of
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.outputs import refuse_input
from xmir_cli.truth.sources import open_truth

__all__ = ["Report", "run"]


def run(asked: Report) -> Records:
    """No record: the page is written.

    `asked.records` names a file of JSON lines, one record a line, of any schemas.
    """
    template = load_template(FILES)
    skips, stream, output = Skips(), Stream(), asked.page
    with open_lines(asked.records) as lines:
        stream.read(read_records(lines), skips)
    if not stream.records:
        raise DataError("no usable record" if skips.total else "no records on standard input")
    files = (file_of(name) for entry in stream.entries.values() for name, _ in entry.files)
    refuse_input(output, files)
    truth = open_truth(asked.masks, asked.boxes, asked.columns)
    outlines = None if truth is None else Outlines(truth, stream.entries.values())
    album = Album(asked.side, asked.limit * MEGABYTE)
    with console.progress("drawing", len(stream.entries)) as bar:
        page = Page(stream, album, outlines).gather(bar.advance)
    if outlines is not None:
        outlines.say()
    for (name, _), error in album.bad.items():
        skips.add(name, error)
    if album.bad and not album.uris:
        raise DataError(f"none of {len(album.bad)} files could be read; nothing was written")
    text = fill(template, FILES, page.values(escape(asked.title)), page.data(asked.alpha))
    album.check(len(text))
    with atomic_file(output) as file:
        file.write(text)
    records = len(stream.records)
    told = "1 record" if records == 1 else f"{records} records"
    console.note(f"{output}: {told}, {told_size(len(text))}")
    yield from ()
    return skips.finish(records, "shown")
