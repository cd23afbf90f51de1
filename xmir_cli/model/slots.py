"""Images to embeddings in fixed batches, so that a resumed run gives the same bits."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from xmir_cli.console import show
from xmir_cli.errors import DataError, ItemError
from xmir_cli.images.decode import decode_bytes, read_bytes
from xmir_cli.model.batches import decode_all
from xmir_cli.model.embedder import Embedder
from xmir_cli.records import DECODED
from xmir_cli.store.parts import Row

BATCHES = 4  # in a slot, so that many processors have something to do

Known = Callable[[str, str], Row | None]  # the row of a path with this SHA-256, if there is one


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A decoded image that the network has not seen yet."""

    row: Row  # its vector still empty
    image: Tensor  # [3, S, S] in model space


def embed_slots(
    embedder: Embedder, paths: Sequence[str], size: int, known: Known, jobs: int | None
) -> Iterator[list[Row | ItemError]]:
    """The rows of each `size` paths in order, errors in the place of images that cannot be used.

    The bits of an embedding depend on what shares its batch. A slot is therefore always the same
    paths, and either all of its rows are known or all are made.

    Raises:
        DataError: The network gave NaN or infinity, for the image that is named.
    """

    def load(path: str) -> Row | _Waiting:
        data = read_bytes(path)
        sha256 = hashlib.sha256(data).hexdigest()
        return known(path, sha256) or _decode(embedder, data, path, sha256)

    def load_anew(path: str) -> Row | _Waiting:
        data = read_bytes(path)
        return _decode(embedder, data, path, hashlib.sha256(data).hexdigest())

    loaded = decode_all(paths, load, jobs)
    for start in range(0, len(paths), size):
        slot = list(islice(loaded, size))
        here = paths[start : start + size]
        if any(isinstance(item, _Waiting) for item in slot):
            if any(isinstance(item, Row) for item in slot):
                slot = list(decode_all(here, load_anew, jobs))
            yield _embed(embedder, here, slot)
        else:
            yield [item for item in slot if not isinstance(item, _Waiting)]


def _decode(embedder: Embedder, data: bytes, path: str, sha256: str) -> _Waiting:
    picture = decode_bytes(data, path, embedder.spec.preprocessing.window)
    columns = dict(picture.columns)
    if picture.done:
        columns[DECODED] = ", ".join(picture.done)
    row = Row(sha256, picture.width, picture.height, np.empty(0, np.float32), columns)
    return _Waiting(row, embedder.to_input(embedder.view(picture)))


def _embed(
    embedder: Embedder, paths: Sequence[str], slot: Sequence[Row | _Waiting | ItemError]
) -> list[Row | ItemError]:
    images = [item.image for item in slot if isinstance(item, _Waiting)]
    vectors = iter(embedder.embed(torch.stack(images)).numpy()) if images else iter(())
    done: list[Row | ItemError] = []
    for path, item in zip(paths, slot, strict=True):
        if isinstance(item, _Waiting):
            vector = next(vectors)
            if not np.isfinite(vector).all():
                raise DataError(
                    f"{show(path)}: the network gave NaN or infinity; nothing was written",
                    "Try --precision fp32."
                    if embedder.precision != "fp32"
                    else "Are the weights and the preprocessing those of this network?",
                )
            done.append(replace(item.row, vector=vector))
        else:
            done.append(item)
    return done
