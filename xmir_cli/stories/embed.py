"""Turn images into unit vectors: alike images lie near."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.commands.embed import Embed
from xmir_cli.console import Records, Skips
from xmir_cli.embedding.parts import EmbeddedRow, Parts
from xmir_cli.embedding.slots import BATCHES, embed_slots, slot_size
from xmir_cli.errors import DataError, ItemError
from xmir_cli.images.dicom_tags import key_mark
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.text_sources import hash_words
from xmir_cli.pictures.items import Item, hint_for_images, list_items
from xmir_cli.store.embeddings import Embeddings, write_as, write_stream
from xmir_cli.store.jsonl import write_records
from xmir_cli.store.outputs import receipt, refuse_ending, refuse_input
from xmir_cli.store.turns import hold
from xmir_cli.wire.model import ModelSpec

__all__ = ["Embed", "run"]


def run(asked: Embed) -> Records:
    """One `xmir.artifact/1` record, the receipt of the file.

    Without an output there is no record: the embeddings are written to standard output.
    """
    with hold(asked.file, asked.resume):
        return (yield from _run(asked))


def _run(asked: Embed) -> Records:
    skips, file = Skips(), asked.file
    listed = list_items(asked.images, asked.null, asked.where, asked.columns)
    items = _without_duplicates(listed, skips)
    if file is not None:
        refuse_input(file, [item.file for item in items])
        _refuse_ending(file, asked.file_format)
    refuse_input(asked.left_out, [item.file for item in items], "left_out")
    if asked.left_out is not None:
        refuse_ending(asked.left_out, "JSON lines", [".jsonl", ".ndjson"], setting="left_out")
    spec = _model(asked)
    embedder = load_embedder(spec, asked.device, asked.precision, asked.batch)
    embedder.spec = replace(embedder.spec, words_sha256=hash_words(embedder.spec))
    parts = _parts(asked, items, embedder)
    rows = _embed(embedder, items, parts, asked.jobs, skips)
    if asked.left_out is not None:
        write_records(asked.left_out, skips.listed)
    if not rows:
        raise DataError(
            f"none of {len(listed)} inputs could be read; nothing was written",
            hint_for_images(asked.images),
        )
    embeddings = parts.table(rows)
    if file is None:
        _write_to_pipe(embeddings)
    else:
        write_as(asked.file_format, file, embeddings)
        parts.remove()
        made = "vectors" if asked.file_format == "npy" else "embeddings"
        yield receipt(made, file, embeddings.vectors.shape, skips.total)
    return skips.finish(len(rows), "embedded")


def _refuse_ending(file: Path, form: str) -> None:
    if form == "arrow":
        refuse_ending(file, "an Arrow stream", [".arrows", ".arrow", ".ipc"])
    elif form == "parquet":
        other = {".npy": "npy", ".arrow": "arrow", ".arrows": "arrow"}.get(file.suffix.lower())
        hint = ": pandas, Polars and DuckDB read that"
        if other:
            hint = f", or write it with `file_format` {other}"
        refuse_ending(file, "Parquet", [".parquet", ".pq"], hint)


def _without_duplicates(listed: Sequence[Item], skips: Skips) -> list[Item]:
    items: dict[str, Item] = {}
    for item in listed:
        if item.id in items:
            error = ItemError(Cause.DUPLICATE_ID, "an earlier input has the same id")
            skips.add(item.id, error, item.path)
        else:
            items[item.id] = item
    return list(items.values())


def _model(asked: Embed) -> ModelSpec:
    spec = resolve_model(asked.choice)
    if asked.fast_decode:
        return replace(spec, preprocessing=replace(spec.preprocessing, jpeg="reduced"))
    return spec


def _parts(asked: Embed, items: Sequence[Item], embedder: Embedder) -> Parts:
    """What is kept on the way, with what an earlier run has kept if this one resumes it."""
    columns = list(dict.fromkeys(name for item in items for name in item.columns))
    made = {
        "device": embedder.device.type,
        "precision": embedder.precision,
        "torch": str(torch.__version__),
    }
    if mark := key_mark():
        made["patient_key"] = mark  # rows of another key are not to be mixed with these
    parts = Parts(asked.file, columns, embedder.spec, made, asked.features)
    if asked.resume:
        console.note(f"{parts.recall()} rows of this model are there already")
    else:
        parts.remove()
    return parts


def _embed(
    embedder: Embedder, items: Sequence[Item], parts: Parts, jobs: int | None, skips: Skips
) -> list[tuple[Item, EmbeddedRow]]:
    """Items with their rows, in order, without those that could not be used."""
    rows: list[tuple[Item, EmbeddedRow]] = []
    todo = iter(items)
    paths = [item.path for item in items]
    with console.progress("embedding", len(items)) as progress:
        size = slot_size(embedder, BATCHES)
        for slot in embed_slots(embedder, paths, size, parts.find, jobs, parts.keep):
            start = len(rows)
            for row, item in zip(slot, todo, strict=False):  # todo is longer, and goes on
                if isinstance(row, ItemError):
                    skips.add(item.id, row, item.path)
                else:
                    rows.append((item, row))
            parts.add(rows[start:])
            progress.advance(len(slot))
    return rows


def _write_to_pipe(embeddings: Embeddings) -> None:
    try:
        write_stream(sys.stdout.buffer, embeddings)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"standard output: {(error.strerror or 'failed').lower()}") from None
