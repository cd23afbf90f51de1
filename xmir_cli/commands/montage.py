"""`xmir montage`: one page of queries, retrieved images and their overlays."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, ItemError, UsageError
from xmir_cli.records import Record, text, window_of
from xmir_cli.store.atomic import atomic_file, refuse_existing
from xmir_cli.store.jsonl import open_lines, read_records

if TYPE_CHECKING:
    from PIL import Image

    from xmir_cli.render.montage import Bar, Cell


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
    Overlays of one method share one scale, which the colour bar below gives.

    \b
    xmir query q/*.png --top 3 | xmir saliency | xmir montage -o figure4.png
    """
    if output is None or output.suffix.lower() not in {".png", ".pdf"}:
        raise UsageError("--output: expected a file that ends in .png or .pdf")
    refuse_existing(output, force)
    from xmir_cli.render.montage import montage

    skips = console.Skips()
    with open_lines(records, "montage") as stream:
        entries = list(_read(read_records(stream), skips))
    if not entries:
        raise DataError("no usable record" if skips.total else "no records on standard input")
    layers = _layers(entries)
    with console.progress("drawing", len(entries)) as bar:
        rows = []
        for _, group in groupby(entries, key=lambda entry: entry.query):
            row = list(group)
            rows.append(_row(row, layers, alpha, skips))
            bar.advance(len(row))
    titles = [layer.name for layer in layers] if len(layers) > 1 else []
    width = max(len(row) for row in rows)
    header = ["query", *titles * width][:width] if titles else []
    shown = [layer for layer in layers if layer.largest]
    picture = montage(rows, header, shown, side)
    with atomic_file(output) as file:
        picture.save(file, format=output.suffix[1:].upper())
    console.note(f"{output}: {len(rows)} queries, {picture.width} x {picture.height} pixels")
    return skips.finish(len(entries), "drawn")


@dataclass(frozen=True)
class _Entry:
    """One record as the page needs it."""

    query: str
    retrieved: str
    layer: str  # what is drawn over the picture: the method, and which side it explains
    saliency: str | None  # path of the map
    window: str  # of DICOM greys
    record: Record

    @property
    def hit(self) -> tuple[str, object]:
        """What records of several methods for one retrieved image share."""
        return self.retrieved, self.record.get("rank")


def _read(
    lines: Iterable[tuple[int, Record | ItemError]], skips: console.Skips
) -> Iterator[_Entry]:
    for number, line in lines:
        where = f"line {number}"
        if isinstance(line, ItemError):
            skips.add(where, line.reason)
            continue
        try:
            yield _entry(line, where)
        except DataError as error:
            skips.add(where, f"bad-record: {error}")


def _entry(record: Record, where: str) -> _Entry:
    layer = str(record.get("method", ""))
    if record.get("explains") == "query":
        layer += " (query)"
    saliency = text(record, "saliency", where) if "saliency" in record else None
    query, retrieved = text(record, "query", where), text(record, "retrieved", where)
    return _Entry(query, retrieved, layer, saliency, window_of(record, where), record)


def _layers(entries: Sequence[_Entry]) -> "list[Bar]":
    """The methods in order of appearance, each with the largest absolute value of its maps."""
    from xmir_cli.render.colormap import automatic, scale
    from xmir_cli.render.montage import Bar
    from xmir_cli.store.arrays import read_array

    layers: dict[str, Bar] = {}
    for entry in entries:
        bar = layers.get(entry.layer, Bar(entry.layer, "inferno", 0.0))
        if entry.saliency is not None:
            saliency = read_array(Path(entry.saliency))
            signed = "blue-red" in {bar.colormap, automatic(saliency)}
            bar = Bar(
                bar.name, "blue-red" if signed else "inferno", max(bar.largest, scale(saliency))
            )
        layers[entry.layer] = bar
    return list(layers.values())


def _row(
    entries: Sequence[_Entry], layers: "Sequence[Bar]", alpha: float, skips: console.Skips
) -> "list[Cell]":
    """The query, then for each retrieved image one cell a layer; an absent one stays empty."""
    from xmir_cli.render.montage import QUERY, UNKNOWN, Cell

    first = entries[0]
    label = str(first.record.get("query_label") or "")
    row = [
        Cell(
            _picture(first.query, first.window, skips),
            QUERY,
            ("query", label, Path(first.query).name),
        )
    ]
    for _, group in groupby(entries, key=lambda entry: entry.hit):
        of_layer = {entry.layer: entry for entry in group}
        for layer in layers:
            entry = of_layer.get(layer.name)
            row.append(
                Cell(None, UNKNOWN, ())
                if entry is None
                else Cell(_overlay(entry, layer, alpha, skips), _frame(entry), _caption(entry))
            )
    return row


def _overlay(
    entry: _Entry, layer: "Bar", alpha: float, skips: console.Skips
) -> "Image.Image | None":
    from xmir_cli.render.overlay import Display, overlay
    from xmir_cli.store.arrays import read_array

    explained = entry.query if entry.record.get("explains") == "query" else entry.retrieved
    picture = _picture(explained, entry.window, skips)
    roi = entry.record.get("roi")
    if picture is None or entry.saliency is None or not isinstance(roi, list):
        return picture
    saliency = read_array(Path(entry.saliency))
    return overlay(picture, saliency, roi, Display(layer.colormap, alpha), layer.largest)


def _picture(path: str, window: str, skips: console.Skips) -> "Image.Image | None":
    from xmir_cli.images.decode import decode
    from xmir_cli.render.overlay import to_rgb

    try:
        return to_rgb(decode(path, window).pixels)
    except ItemError as error:
        skips.add(path, error.reason)
        return None


def _frame(entry: _Entry) -> tuple[int, int, int]:
    from xmir_cli.render.montage import CORRECT, UNKNOWN, WRONG

    match = entry.record.get("match")
    return UNKNOWN if not isinstance(match, bool) else CORRECT if match else WRONG


def _caption(entry: _Entry) -> tuple[str, ...]:
    record = entry.record
    similarity = record.get("similarity")
    shown = f"{similarity:.3f}" if isinstance(similarity, float) else ""
    verdict = {True: "correct", False: "wrong"}.get(record.get("match"), "")  # type: ignore[call-overload] # None is no key
    meta = record.get("meta")
    name = meta.get("id") if isinstance(meta, dict) else None
    return (
        f"{record.get('rank', '')}  {shown}  {verdict}".strip(),
        str(record.get("retrieved_label") or ""),
        str(name or Path(entry.retrieved).name),
    )
