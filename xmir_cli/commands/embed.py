"""`xmir embed`: images in, a table of unit vectors out."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, ItemError, UsageError
from xmir_cli.printer import Printer
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.jsonl import write_records
from xmir_cli.store.outputs import need_folder, receipt, refuse_input

if TYPE_CHECKING:
    from xmir_cli.embedding.parts import Parts, Row
    from xmir_cli.model.embedder import Embedder
    from xmir_cli.pictures.items import Item
    from xmir_cli.store.embeddings import Embeddings

Kind = Literal["parquet", "npy", "arrow"]


def command(
    images: options.Images,
    null_separated: options.NullSeparated = False,
    where: options.Where = None,
    model: options.Model = None,
    architecture: options.Architecture = None,
    weights: options.Weights = None,
    head: options.Head = None,
    input_size: options.InputSize = None,
    mean: options.Mean = None,
    std: options.Std = None,
    window: options.Window = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The embeddings, NAME.parquet. Without it, or with -, an Arrow stream goes into "
            "the pipe.",
        ),
    ] = None,
    kind: Annotated[
        Kind,
        typer.Option(
            "--format",
            help="parquet; arrow: an Arrow IPC stream; npy: the bare matrix, its rows described "
            "in NAME.items.parquet.",
        ),
    ] = "parquet",
    features: Annotated[
        bool,
        typer.Option(
            "--features",
            help="Also keep each image's last feature map, so that 'xmir saliency' makes maps "
            "of activation, attention, gradcam, bilrp and weight-transfer without the network. "
            "float16; 100 kB an image with densenet121.",
        ),
    ] = False,
    fast_decode: Annotated[
        bool,
        typer.Option(
            "--fast-decode",
            help="Decode large JPEGs at a half, a quarter or an eighth of their size, still twice "
            "what the network wants. Travels with the model. Embeddings move: on radiographs their "
            "cosine with the exact ones was 0.997 or more.",
        ),
    ] = False,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    batch: options.Batch = 16,
    jobs: options.Jobs = None,
    left_out: Annotated[
        Path | None,
        typer.Option(
            "--skips",
            metavar="FILE.jsonl",
            help="Also write path and code of every image that was left out; xmir embed - takes "
            "such a file.",
        ),
    ] = None,
    resume: options.Resume = False,
    force: options.Force = False,
) -> int:
    """Turn images into unit vectors: alike images lie near.

    Without --model or --arch it is the paper's network: densenet121 with ImageNet weights. Images
    that cannot be read are named and left out (exit 3). --resume keeps every row whose file and
    model are the same, of an interrupted run or of an existing output.
    """
    output = None if output == Path("-") else output
    _check_output(output, kind, resume, force)
    if features and kind == "npy":
        raise UsageError("--features: a bare matrix holds none", "Use --format parquet.")
    if left_out is not None:
        need_folder(left_out)
        refuse_existing(left_out, force or resume)
    from xmir_cli.pictures.items import list_items

    skips = console.Skips()
    asked = list_items(images, null_separated, where, "embed")
    items = _without_duplicates(asked, skips)
    if output is not None:
        refuse_input(output, [*images, *(item.path for item in items)])
    from xmir_cli.model.loader import load_embedder, make_spec

    spec = make_spec(model, architecture, weights, head, input_size, mean, std, window)
    if fast_decode:
        spec = replace(spec, preprocessing=replace(spec.preprocessing, jpeg="reduced"))
    embedder = load_embedder(spec, device, precision)
    embedder.batch = batch
    parts = _parts(output, items, embedder, resume, features)
    rows = _embed(embedder, items, parts, jobs, skips)
    if left_out is not None:
        write_records(left_out, skips.listed)
    if not rows:
        raise DataError(f"none of {len(asked)} inputs could be read; nothing was written")
    from xmir_cli.store.embeddings import write_as

    embeddings = parts.table(rows)
    if output is None:
        _write_to_pipe(embeddings)
    else:
        write_as(kind, output, embeddings)
        parts.remove()
        _print_receipt(output, kind, embeddings, skips)
    return skips.finish(len(rows), "embedded")


def _check_output(output: Path | None, kind: Kind, resume: bool, force: bool) -> None:
    """Refuse what would only come out after hours of work."""
    if output is None:
        if resume or kind == "npy":
            raise UsageError(f"{'--resume' if resume else '--format npy'} needs an output: -o FILE")
        if sys.stdout is None:
            raise DataError("standard output is closed")
        if sys.stdout.isatty():
            raise UsageError(
                "embeddings are no text for a terminal",
                "Name a file (-o cxr.parquet) or pipe them: xmir embed ... | xmir index - -o DIR",
            )
        return
    if kind == "npy" and output.suffix != ".npy":
        raise UsageError(f"{output}: --format npy writes NAME.npy and NAME.items.parquet")
    need_folder(output)
    refuse_existing(output, force or resume)
    if not resume and not force:
        from xmir_cli.embedding.parts import refuse_leftover

        refuse_leftover(output)


def _without_duplicates(asked: "Sequence[Item]", skips: console.Skips) -> "list[Item]":
    items: dict[str, Item] = {}
    for item in asked:
        if item.id in items:
            skips.add(item.id, "duplicate-id: an earlier input has the same id", item.path)
        else:
            items[item.id] = item
    return list(items.values())


def _parts(
    output: Path | None,
    items: "Sequence[Item]",
    embedder: "Embedder",
    resume: bool,
    features: bool,
) -> "Parts":
    from torch import __version__ as torch_version

    from xmir_cli.embedding.parts import Parts
    from xmir_cli.images.dicom_tags import key_mark

    columns = list(dict.fromkeys(name for item in items for name in item.columns))
    made = {
        "device": embedder.device.type,
        "precision": embedder.precision,
        "torch": str(torch_version),
    }
    if mark := key_mark():
        made["patient_key"] = mark  # rows of another key are not to be mixed with these
    parts = Parts(output, columns, embedder.spec, made, features)
    if resume:
        console.note(f"{parts.recall()} rows of this model are there already")
    else:
        parts.remove()
    return parts


def _embed(
    embedder: "Embedder",
    items: "Sequence[Item]",
    parts: "Parts",
    jobs: int | None,
    skips: console.Skips,
) -> "list[tuple[Item, Row]]":
    """Items with their rows, in order, without those that could not be used."""
    from xmir_cli.embedding.slots import BATCHES, embed_slots

    rows: list[tuple[Item, Row]] = []
    todo = iter(items)
    paths = [item.path for item in items]
    with console.progress("embedding", len(items)) as progress:
        size = BATCHES * embedder.batch
        for slot in embed_slots(embedder, paths, size, parts.known, jobs, parts.keep):
            start = len(rows)
            for row, item in zip(slot, todo, strict=False):  # todo is longer, and goes on
                if isinstance(row, ItemError):
                    skips.add(item.id, row.reason, item.path)
                else:
                    rows.append((item, row))
            parts.add(rows[start:])
            progress.advance(len(slot))
    return rows


def _write_to_pipe(embeddings: "Embeddings") -> None:
    from xmir_cli.store.embeddings import write_stream

    try:
        write_stream(sys.stdout.buffer, embeddings)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"standard output: {(error.strerror or 'failed').lower()}") from None


def _print_receipt(
    output: Path, kind: Kind, embeddings: "Embeddings", skips: console.Skips
) -> None:
    made = "vectors" if kind == "npy" else "embeddings"
    with Printer("", ["kind", "path", "rows", "dim", "skipped"], "path") as printer:
        printer.write(receipt(made, output, embeddings.vectors.shape, skips.total))
