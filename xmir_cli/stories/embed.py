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
from xmir_cli.embedding.parts import Parts
from xmir_cli.embedding.slots import BATCHES, embed_slots, slot_size
from xmir_cli.errors import DataError, ItemError
from xmir_cli.images.dicom_tags import key_mark
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.text_sources import hash_words
from xmir_cli.pictures.items import Item, hint_for_images, list_items
from xmir_cli.store.embedding_table import Header
from xmir_cli.store.embedding_writers import write_arrow, write_as
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
    parts = Parts(file, items, _header(asked, embedder))
    try:
        return (yield from _write(asked, embedder, items, parts, skips))
    finally:
        if file is None:
            parts.remove()


def _write(
    asked: Embed, embedder: Embedder, items: Sequence[Item], parts: Parts, skips: Skips
) -> Records:
    """Embed the items and write what became of them."""
    if asked.resume:
        console.note(f"{parts.recall()} rows of this model are there already")
    else:
        parts.remove()
    _embed(asked, embedder, items, parts, skips)
    if asked.left_out is not None:
        write_records(asked.left_out, skips.listed)
    if not len(parts):
        raise DataError(
            f"none of {skips.total} inputs could be read; nothing was written",
            hint_for_images(asked.images),
        )
    if asked.file is None:
        _write_to_pipe(parts)
    else:
        write_as(asked.file_format, asked.file, parts.header, parts.tables())
        parts.remove()
        made = "vectors" if asked.file_format == "npy" else "embeddings"
        yield receipt(made, asked.file, (len(parts), embedder.dim), skips.total)
    return skips.finish(len(parts), "embedded")


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


def _header(asked: Embed, embedder: Embedder) -> Header:
    """What made the rows, and what they are made of."""
    made = {
        "device": embedder.device.type,
        "precision": embedder.precision,
        "torch": str(torch.__version__),
    }
    if mark := key_mark():
        made["patient_key"] = mark  # rows of another key are not to be mixed with these
    features = embedder.feature_shape() if asked.features else None
    return Header(None, embedder.dim, embedder.spec, made, features)


def _embed(
    asked: Embed, embedder: Embedder, items: Sequence[Item], parts: Parts, skips: Skips
) -> None:
    """Take up the rows of all items, in order, and count those that could not be used."""
    paths = [item.path for item in items]
    size, first = slot_size(embedder, BATCHES), 0
    with console.progress("embedding", len(items)) as progress:
        for slot in embed_slots(
            embedder, paths, size, len(items), parts.find, asked.jobs, asked.features
        ):
            for number, row in enumerate(slot, first):
                if isinstance(row, ItemError):
                    skips.add(items[number].id, row, items[number].path)
            parts.add(first, slot)
            first += len(slot)
            progress.advance(len(slot))


def _write_to_pipe(parts: Parts) -> None:
    try:
        write_arrow(sys.stdout.buffer, parts.header, parts.tables())
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"standard output: {(error.strerror or 'failed').lower()}") from None
