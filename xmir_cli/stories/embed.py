"""Turn images into unit vectors: alike images lie near."""

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import torch

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.commands.embed import Embed
from xmir_cli.console import Records, Skips
from xmir_cli.embedding.adapting import adapt
from xmir_cli.embedding.delivery import check_ending, deliver
from xmir_cli.embedding.known import KnownRow
from xmir_cli.embedding.own_shard import OwnShard, find_lone_task, local_rank
from xmir_cli.embedding.parts import EmbeddedRow, Parts
from xmir_cli.embedding.ray_slots import cluster, cluster_device, find_files, ray_slots
from xmir_cli.embedding.ray_worker import WorkerOrder
from xmir_cli.embedding.shares import Work, is_last, refuse_others, share_items, to_shard
from xmir_cli.embedding.slots import BATCHES, embed_slots, slot_size
from xmir_cli.errors import DataError, ItemError, Status
from xmir_cli.images.dicom_tags import key_mark
from xmir_cli.launch import leave_ranks
from xmir_cli.model.adapter import read_adapter
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.text_sources import hash_words
from xmir_cli.pictures.exclusion import leaving_out, read_exclusion
from xmir_cli.pictures.items import Item, hint_for_images, list_items
from xmir_cli.retrieval.conditions import allowed_by
from xmir_cli.store.embedding_header import Header
from xmir_cli.store.jsonl import write_records
from xmir_cli.store.outputs import refuse_ending, refuse_input
from xmir_cli.store.turns import hold
from xmir_cli.store.unfinished import parts_folder
from xmir_cli.store.where import parse_where
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

__all__ = ["Embed", "run"]


def run(asked: Embed) -> Records:
    """One `xmir.artifact/1` record, the receipt of the file.

    Without an output there is no record: the embeddings are written to standard output.
    """
    if asked.places.folder is not None:
        asked.places.folder.mkdir(exist_ok=True)
    with hold(asked.places.file):
        ending = yield from _run(_taking_up(asked))
    if asked.places.piece is None:
        return ending
    early = ending.status != Status.DONE
    return replace(ending, afterwards=partial(leave_ranks, early))


def _taking_up(asked: Embed) -> Embed:
    """The same, going on from what another run has made or left since it was asked."""
    file = asked.places.file
    if file is None or asked.force or asked.resume:
        return asked
    meanwhile = any(os.path.lexists(each) for each in (file, parts_folder(file)))
    return replace(asked, resume=True) if meanwhile else asked


def _run(asked: Embed) -> Records:
    if asked.stored is not None:
        return (yield from _adapt(asked, asked.stored))
    file = asked.places.file
    leave_out = leaving_out(asked.exclude, asked.jobs)
    listed = list_items(asked.images, asked.null, asked.where, asked.columns, leave_out)
    items, twice = _without_duplicates(listed)
    if file is not None:
        refuse_input(file, (item.file for item in items))
        check_ending(file, asked.file_format)
    refuse_input(asked.places.skips, (item.file for item in items), "left_out")
    if asked.left_out is not None:
        refuse_ending(asked.left_out, "JSON lines", [".jsonl", ".ndjson"], setting="left_out")
    embedder = _load(asked)
    with nullcontext() if asked.engine == "local" else cluster(asked.engine):
        return (yield from _embed_listed(asked, embedder, items, twice))


def _adapt(asked: Embed, source: str) -> Records:
    """Apply a head to the vectors that are stored."""
    adapter, file, skips = read_adapter(str(asked.model)), asked.places.file, Skips()
    where = parse_where(asked.where)
    exclusion = None if asked.exclude is None else read_exclusion(asked.exclude)
    made = adapt(source, adapter, lambda items: allowed_by(items, where), skips.add, exclusion)
    rows = made.header.rows or 0
    if not rows:
        raise DataError(f"{source}: no row is as `where` says")
    console.note(f"no image is read: the head {asked.model} is applied to {rows} stored vectors")
    if file is not None:
        check_ending(file, asked.file_format)
    yield from deliver(asked.places, made.header, made.tables, rows, skips)
    if asked.places.skips is not None:
        write_records(asked.places.skips, skips.listed)
    return skips.finish(rows, "embedded")


def _embed_listed(
    asked: Embed, embedder: Embedder, items: list[Item], twice: list[tuple[int, Item]]
) -> Records:
    """Embed what was listed, whoever makes the slots."""
    header, size, piece = _header(asked, embedder), slot_size(embedder, BATCHES), asked.places.piece
    own, file = share_items(piece, len(items), size), asked.places.file
    task = None if piece is not None else find_lone_task()
    if task is not None:
        console.note(
            console.in_words(
                f"task {task} is alone in its array and does all images; "
                "where it is one of several, say by `shard` which"
            )
        )
    if piece is not None and asked.places.folder is not None:
        header = to_shard(header, piece.shard, items, size)
        _begin_shard(asked, piece, own, header)
    parts, skips = Parts(file, items, header), Skips()
    for before, item in twice:
        if before in own or (before == len(items) and is_last(piece)):
            error = ItemError(Cause.DUPLICATE_ID, "an earlier input has the same id")
            skips.add(item.id, error, item.path)
    try:
        _embed(asked, embedder, Work(items, own, size), parts, skips)
        yield from _write(asked, parts, skips)
    finally:
        if file is None:
            parts.remove()
    return skips.finish(len(parts), "embedded")


def _begin_shard(asked: Embed, piece: OwnShard, own: range, header: Header) -> None:
    """Say what this process does, unless others in the folder do something else."""
    assert asked.places.folder is not None
    if not asked.force:
        refuse_others(asked.places.folder, header, piece)
    told = f" ({piece.told})" if piece.told else ""
    which = f"images {own.start + 1} to {own.stop}" if own else "no images"
    console.note(f"shard {piece.shard.number} of {piece.shard.count}{told}: {which}")


def _write(asked: Embed, parts: Parts, skips: Skips) -> Iterator[Record]:
    """Write what became of the items, and give the receipt of a file."""
    if asked.places.skips is not None:
        write_records(asked.places.skips, skips.listed)
    if not len(parts) and asked.places.folder is None:
        raise DataError(
            f"none of {skips.total} inputs could be read; nothing was written",
            hint_for_images(asked.images),
        )
    receipts = deliver(asked.places, parts.header, parts.tables(), len(parts), skips)
    if asked.places.file is not None:
        parts.remove()
    yield from receipts


def _without_duplicates(listed: Sequence[Item]) -> tuple[list[Item], list[tuple[int, Item]]]:
    """The items without those whose id came before; these with how many came before them."""
    ids: set[str] = set()
    items: list[Item] = []
    twice: list[tuple[int, Item]] = []
    for item in listed:
        if item.id in ids:
            twice.append((len(items), item))
        else:
            ids.add(item.id)
            items.append(item)
    return items, twice


def _load(asked: Embed) -> Embedder:
    """The network; where others do the work it is only looked at here."""
    if asked.engine == "local":
        embedder = load_embedder(_model(asked), _device(asked), asked.precision, asked.batch)
    else:
        embedder = load_embedder(_model(asked), "cpu", batch=asked.batch)
    embedder.spec = replace(embedder.spec, words_sha256=hash_words(embedder.spec))
    return embedder


def _device(asked: Embed) -> str:
    """The device of the name; of several processes on a host each has a CUDA device of its own."""
    local = local_rank()
    if local is None or asked.device not in {"auto", "cuda"} or not torch.cuda.is_available():
        return asked.device
    device = f"cuda:{local % torch.cuda.device_count()}"
    console.note(f"running on {device}")
    return device


def _model(asked: Embed) -> ModelSpec:
    spec = resolve_model(asked.choice)
    if asked.fast_decode:
        return replace(spec, preprocessing=replace(spec.preprocessing, jpeg="reduced"))
    return spec


def _header(asked: Embed, embedder: Embedder) -> Header:
    """What made the rows, and what they are made of."""
    own = embedder.device.type if asked.engine == "local" else cluster_device(asked.device)
    made = {
        "device": own,
        "precision": asked.precision,
        "torch": str(torch.__version__),
    }
    if mark := key_mark():
        made["patient_key"] = mark  # rows of another key are not to be mixed with these
    features = embedder.feature_shape() if asked.features else None
    return Header(None, embedder.dim, embedder.spec, made, features)


def _embed(asked: Embed, embedder: Embedder, work: Work, parts: Parts, skips: Skips) -> None:
    """Take up the rows of a process's own items, in order, and count those of no use."""
    if asked.resume:
        console.note(f"{parts.recall()} images of this model are there already")
    else:
        parts.remove()
    items, first = work.items, work.own.start
    with console.progress("embedding", len(work.own)) as progress:
        for slot in _slots(asked, embedder, work, parts):
            for number, row in enumerate(slot, first):
                if isinstance(row, ItemError):
                    skips.add(items[number].id, row, items[number].path)
            parts.add(first, slot)
            first += len(slot)
            known = sum(isinstance(row, KnownRow) for row in slot)
            progress.go_on(known)
            progress.advance(len(slot) - known)


def _slots(
    asked: Embed, embedder: Embedder, work: Work, parts: Parts
) -> Iterator[Sequence[EmbeddedRow | KnownRow | ItemError]]:
    """What becomes of the process's own items, some at a time."""
    job, jobs, features = len(work.items), asked.jobs, asked.features
    if asked.engine == "local":
        paths = [work.items[number].path for number in work.own]
        return embed_slots(embedder, paths, work.size, job, parts.find, jobs, features)
    spec, files = find_files(embedder.spec)
    made = parts.header.made
    order = WorkerOrder(spec, made, asked.batch, work.size, job, jobs, features, files)
    return ray_slots(work, parts.find, order)
