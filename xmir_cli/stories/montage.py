"""Draw pages of queries, hits and their overlays."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from xmir_cli import console
from xmir_cli.commands.montage import Montage
from xmir_cli.console import Records, Skips
from xmir_cli.errors import DataError, ItemError
from xmir_cli.pages.captions import short_names
from xmir_cli.pages.clusters import cluster_lines, without_others
from xmir_cli.pages.columns import MapColumn, QueryRow, columns_of, name_columns, rows_of
from xmir_cli.pages.entries import PageEntry, Read, read_entries
from xmir_cli.pages.legend import legend_of
from xmir_cli.pages.outlines import Outlines
from xmir_cli.pages.page import Look, is_there, map_of
from xmir_cli.pages.rows import START, RowPictures, RowStyle, row_of
from xmir_cli.pages.scales import Measure, bars_of, measure
from xmir_cli.pages.sheets import Paging, find_others, for_paper, nth, write_pdf, write_pictures
from xmir_cli.pictures.identity import file_of
from xmir_cli.render.footer import draw_bars, draw_legend
from xmir_cli.render.montage import ColorBar, PageLayout, draw_header, draw_row, stack
from xmir_cli.render.overlay import Display
from xmir_cli.screen.pages import shown
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.outputs import refuse_input
from xmir_cli.truth.sources import open_truth

__all__ = ["Montage", "run"]


def run(asked: Montage) -> Records:
    """No record: the pages are written.

    `asked.records` names a file of JSON lines, one record a line.
    """
    skips = Skips()
    with open_lines(asked.records) as stream:
        known = list(read_entries(read_records(stream), skips))
    entries = without_others(known)
    if not entries:
        raise DataError("no usable record" if skips.total else "no records on standard input")
    rows = rows_of(entries)
    _refuse(asked, len(rows), entries)
    look = Look(asked.alpha, asked.side)
    measures = _measure(entries, look)
    there = [entry for entry in entries if is_there(entry, look)]
    if not there:
        raise _nothing(len(entries))
    order, rows = columns_of(rows), rows_of(there)
    page = _page_of(asked, there, order, look, measures)
    page.style.clusters.update(cluster_lines(known))
    with console.progress("drawing", len(there)) as bar:
        sheets = shown(asked.show, page.paging.fill(page.draw(rows, bar.advance)))
        if asked.is_pdf:
            count = write_pdf(asked.page, sheets, page.paging.landscape)
            told = f"{asked.page}: {_count(count, 'page')}"
        else:
            files = write_pictures(asked.page, sheets, asked.force)
            told = _span(files)
            if others := find_others(asked.page, files):
                console.warning(f"{_span(others)}: of an earlier run, no page of this one")
    if page.style.outlines is not None:
        page.style.outlines.say()
    done = _drawn(entries, page.style.look.bad, skips)
    console.note(f"{told}: {_count_rows(page)}")
    yield from ()
    return skips.finish(done, "drawn")


@dataclass
class _Page:
    """All that the rows share, and how many are drawn."""

    style: RowStyle
    paging: Paging
    bars: Callable[[QueryRow], dict[MapColumn, ColorBar]]
    own_bars: bool  # whether each row has bars of its own
    drawn: int = 0

    def draw(
        self, rows: Sequence[QueryRow], advance: Callable[[int], None]
    ) -> Iterator[list[Image.Image]]:
        """The lines of the rows that can be drawn; raises DataError where none can."""
        layout = self.paging.layout
        for row in rows:
            bars = self.bars(row)
            found = row_of(row, bars, self.style)
            advance(len(row.entries))
            if found is not None:
                self.drawn += 1
                strips = draw_row(*found, layout)
                if self.own_bars and bars:
                    strips.append(_draw_bars(list(bars.values()), layout, self.style.look.alpha))
                yield strips
        if not self.drawn:
            raise _nothing(sum(len(row.entries) for row in rows))


def _measure(entries: Sequence[PageEntry], look: Look) -> dict[str, Measure]:
    """The numbers of the maps that can be read, by their paths."""
    measures: dict[str, Measure] = {}
    for entry in entries:
        saliency = map_of(entry, look)
        if saliency is not None:
            measures[entry.saliency or ""] = measure(saliency)
    return measures


def _page_of(
    asked: Montage,
    entries: Sequence[PageEntry],
    order: Sequence[MapColumn],
    look: Look,
    measures: Mapping[str, Measure],
) -> _Page:
    """What the rows share; of the records that are there, for others change no scale, no legend."""
    rows = rows_of(entries)
    names = name_columns(sorted(columns_of(rows), key=order.index))
    bars = bars_of(rows, names, measures)  # a column without any readable map is none
    names = {column: names[column] for column in bars}
    clustered = all(entry.place is not None for entry in entries)
    bare = not bars or not (clustered or all(entry.is_self for entry in entries))
    titles = [*(["retrieved"] if bare else []), *names.values()]
    titles = ["exemplar"] if clustered else titles
    most = max(len(row.hits) for row in rows)
    layout = PageLayout(asked.side, titles, most, "cluster" if clustered else "query")
    layout = for_paper(layout) if asked.is_pdf else layout
    truth = open_truth(asked.masks, asked.boxes, asked.columns)
    outlines = None if truth is None else Outlines(truth, entries)
    style = RowStyle(look, list(names), bare, short_names(entries), RowPictures(look), outlines)
    own = asked.scale == "row"
    footer = [draw_legend(legend_of(entries, asked.marks), layout.width, layout.text)]
    if bars and not own:
        footer.insert(0, _draw_bars(list(bars.values()), layout, asked.alpha))
    paging = Paging(layout, draw_header(layout), stack(footer, layout.width), asked.rows_of_page)
    of_row = (lambda row: bars_of([row], names, measures)) if own else (lambda _: bars)
    return _Page(style, paging, of_row, own)


def _nothing(records: int) -> DataError:
    return DataError(f"none of {records} records could be drawn; nothing was written")


def _draw_bars(bars: Sequence[ColorBar], layout: PageLayout, alpha: float) -> Image.Image:
    return draw_bars(bars, layout.width, layout.text, Display(alpha=alpha, start=START))


def _refuse(asked: Montage, rows: int, entries: Sequence[PageEntry]) -> None:
    """Refuse to write over what is read, and over pictures that are there already."""
    inputs = [file_of(name) for entry in entries for name, _ in entry.files]
    refuse_input(asked.page, inputs)
    if asked.rows_of_page is None or asked.is_pdf or rows <= asked.rows_of_page:
        return
    for number in range(1, -(-rows // asked.rows_of_page) + 1):
        refuse_existing(nth(asked.page, number), asked.force)
        refuse_input(nth(asked.page, number), [asked.records, *inputs])


def _span(files: Sequence[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{files[0]} to {files[-1]}"


def _count_rows(page: _Page) -> str:
    if page.paging.layout.asks == "cluster":
        return _count(page.drawn, "cluster")
    return "1 query" if page.drawn == 1 else f"{page.drawn} queries"


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _drawn(entries: Sequence[PageEntry], bad: Mapping[Read, ItemError], skips: Skips) -> int:
    """How many records are drawn with all their files."""
    done = 0
    for entry in entries:
        file = next((file for file in entry.files if file in bad), None)
        if file is None:
            done += 1
        else:
            skips.add(file[0], bad[file])
    return done
