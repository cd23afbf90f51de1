"""Images as queries: the one file of the gallery that runs a network."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from xmir_cli.errors import ItemError, UsageError
from xmir_cli.gallery.asked import Asked, known
from xmir_cli.gallery.folder import Gallery
from xmir_cli.images.decode import decode_bytes, read_bytes
from xmir_cli.model.batches import decode_all
from xmir_cli.model.embedder import Embedder
from xmir_cli.store.inputs import Item

Loaded = tuple[str, Tensor]  # SHA-256 of the file, its view in model space [3, S, S]


def ask_images(
    gallery: Gallery,
    embedder: Embedder,
    items: Sequence[Item],
    jobs: int | None,
    skip: Callable[[str, str], None],
) -> Iterator[list[Asked]]:
    """Queries in the order of the items, a batch at a time; `skip` is told of unusable ones."""

    def load(path: str) -> Loaded:
        data = read_bytes(path)
        picture = decode_bytes(data, path, embedder.spec.preprocessing.window)
        return hashlib.sha256(data).hexdigest(), embedder.to_input(embedder.view(picture))

    pairs = zip(items, decode_all([item.path for item in items], load, jobs), strict=True)
    usable = _without_errors(pairs, skip)
    while batch := list(islice(usable, embedder.batch)):
        vectors = embedder.embed(torch.stack([image for _, (_, image) in batch])).numpy()
        asked = []
        for (item, (sha256, _)), vector in zip(batch, vectors, strict=True):
            if abs((vector**2).sum() - 1) < 1e-3:
                asked.append(Asked(_name(item), vector, _columns(gallery, item, sha256)))
            else:
                skip(item.id, "bad-vector: its embedding is zero, NaN or infinite")
        if asked:
            yield asked


def ask_image(gallery: Gallery, embedder: Embedder, path: str) -> Asked:
    """One image as a query; raises UsageError when it is not to be used."""

    def refuse(name: str, reason: str) -> None:
        raise UsageError(f"{name}: neither an id of the index nor a usable image ({reason})")

    item = Item(path, os.path.abspath(path), {})  # noqa: PTH100 # Path.resolve would follow links
    (asked,) = ask_images(gallery, embedder, [item], 1, refuse)
    return asked[0]


def _without_errors(
    pairs: Iterator[tuple[Item, Loaded | ItemError]], skip: Callable[[str, str], None]
) -> Iterator[tuple[Item, Loaded]]:
    for item, loaded in pairs:
        if isinstance(loaded, ItemError):
            skip(item.id, loaded.reason)
        else:
            yield item, loaded


def _name(item: Item) -> str:
    """The path as it was typed; of a manifest's own ids, the absolute path."""
    typed = os.path.abspath(item.id) == item.path  # noqa: PTH100 # Path.resolve would follow links
    return item.id if typed else item.path


def _columns(gallery: Gallery, item: Item, sha256: str) -> dict[str, str | None]:
    """What the manifest says of the query, completed by the indexed item that is the same file."""
    own = {key: value for key, value in item.columns.items() if value is not None}
    if _name(item) == item.path:
        own["id"] = item.id
    return {**known(gallery, sha256), **own, "path": item.path, "sha256": sha256}
