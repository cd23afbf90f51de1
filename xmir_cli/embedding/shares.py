"""A job that several processes share: which images are a process's own, and what is there."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xmir_cli.embedding.own_shard import OwnShard
from xmir_cli.errors import DataError, ExistsError
from xmir_cli.pictures.items import Item
from xmir_cli.store.embedding_header import Header
from xmir_cli.store.embedding_readers import ParquetSource, open_parquet
from xmir_cli.store.shards import Shard


@dataclass(frozen=True)
class Work:
    """What a process has to embed."""

    items: Sequence[Item]  # of the whole job
    own: range  # numbers of those that are this process's
    size: int  # items of a slot


def is_last(piece: OwnShard | None) -> bool:
    """Whether no other process has later items."""
    return piece is None or piece.shard.number == piece.shard.count


def share_items(piece: OwnShard | None, items: int, size: int) -> range:
    """The numbers of the items that are a process's own, whole slots of `size` items."""
    count = -(-items // size)
    slots = range(count) if piece is None else piece.shard.share(count)
    return range(slots.start * size, min(items, slots.stop * size))


def to_shard(header: Header, shard: Shard, items: Sequence[Item], size: int) -> Header:
    """The header of a shard of the job that embeds these items in slots of that size."""
    total = hashlib.sha256(f"{size} {header.features}".encode())
    for item in items:
        told = f"{item.id}\0{item.path}\0{sorted(item.columns.items())}\n"
        total.update(told.encode("utf-8", "surrogateescape"))
    return replace(header, shard=shard, job=total.hexdigest())


def refuse_others(folder: Path, header: Header, piece: OwnShard) -> None:
    """Raise ExistsError for a folder with shards of another job, or other files of that name."""
    begun = (
        next(iter(sorted(parts.glob("part-*"))), None) for parts in folder.glob("part-*.parts")
    )
    for path in [*sorted(folder.glob("part-*.parquet")), *begun]:
        try:
            found = None if path is None else open_parquet(path)
        except DataError:  # damaged: told by whoever reads it
            continue
        if found is not None and (reason := _other(found, header)):
            raise ExistsError(f"{found.path}: {reason}", _advice(found.shard, piece))


def _advice(its: Shard | None, piece: OwnShard) -> str:
    other = "Name another folder, or start again with `force`."
    if its is None or not piece.told or its.count == piece.shard.count:
        return other
    return f"Say by `shard` which of the {its.count} this is, such as {its}. {other}"


def _other(found: ParquetSource, header: Header) -> str:
    """In what a part is not of the job; nothing where it is."""
    mine, its = header.shard, found.shard
    assert mine is not None
    if its is None:
        return "is no shard of a job"
    if its.count != mine.count:
        return f"is one of {its.count} shards, and this is one of {mine.count}"
    if not found.model.same_embedding(header.model):
        return "is of another model"
    if dict(found.made) != dict(header.made):
        other = next(iter(dict(found.made).items() ^ dict(header.made).items()))[0]
        return f"was made otherwise ({other})"
    return "" if found.job == header.job else "is of another list of images, or of other settings"
