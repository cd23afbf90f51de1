"""Images to embeddings in fixed batches, so that a resumed run gives the same bits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from xmir_cli import steps
from xmir_cli.console import show
from xmir_cli.embedding.parts import EmbeddedRow
from xmir_cli.errors import DataError, ItemError
from xmir_cli.model.embedder import PART, Embedder
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.files import open_image
from xmir_cli.pictures.reading import Reading, read_file, read_image
from xmir_cli.pictures.scales import meet_scales
from xmir_cli.wire.columns import DECODED, SEPARATOR

BATCHES = 4  # in a slot, so that many processors have something to do

KeepMap = Callable[[np.ndarray], int]  # takes a feature map [C, h, w] and gives its number
KnownRow = Callable[
    [str, str], EmbeddedRow | None
]  # the row of a path with this SHA-256, if there is one


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A decoded image that the network has not seen yet."""

    row: EmbeddedRow  # its vector still empty
    image: Tensor  # [3, S, S] in model space


def slot_size(embedder: Embedder, batches: int = BATCHES) -> int:
    """The paths of a slot: where a thread passes more images at once, more for as many threads."""
    return batches * embedder.batch * embedder.part // PART


def embed_slots(  # noqa: PLR0913 # what is made, and the two sides of what is kept
    embedder: Embedder,
    paths: Sequence[str],
    size: int,
    known: KnownRow,
    jobs: int | None,
    keep: KeepMap | None = None,
) -> Iterator[list[EmbeddedRow | ItemError]]:
    """The rows of each `size` paths in order, errors in the place of images that cannot be used.

    The bits of an embedding depend on what shares its batch, and on whether the job is a large one
    (see Embedder). A slot is therefore always the same paths, and either all of its rows are known
    or all are made; only a list that has grown large since goes on with other last bits.

    `keep` takes the last feature maps; an image whose map it refuses counts as one that cannot be
    used.

    Raises:
        DataError: The network gave NaN or infinity, for the image that is named.
    """

    def load(path: str) -> EmbeddedRow | _Waiting:
        file = open_image(path)
        if row := known(path, file.sha256):
            meet_scales(row.columns.get(DECODED, "").split(SEPARATOR))
            return row
        return _wait(read_file(file, recipe))

    def load_anew(path: str) -> EmbeddedRow | _Waiting:
        return _wait(read_image(path, recipe))

    recipe = embedder.recipe

    loaded = decode_all(paths, load, jobs, size)  # the next slot, while this one is embedded
    for start in range(0, len(paths), size):
        slot = list(islice(loaded, size))
        here = paths[start : start + size]
        if any(isinstance(item, _Waiting) for item in slot):
            if any(isinstance(item, EmbeddedRow) for item in slot):
                slot = list(decode_all(here, load_anew, jobs))
            yield _embed(embedder, here, slot, len(paths), keep)
        else:
            yield [item for item in slot if not isinstance(item, _Waiting)]


def _wait(reading: Reading) -> _Waiting:
    picture = reading.picture
    columns = dict(picture.columns)
    if picture.done:
        columns[DECODED] = SEPARATOR.join(picture.done)
    row = EmbeddedRow(
        reading.sha256, picture.width, picture.height, np.empty(0, np.float32), columns
    )
    return _Waiting(row, reading.input)


def _embed(
    embedder: Embedder,
    paths: Sequence[str],
    slot: Sequence[EmbeddedRow | _Waiting | ItemError],
    job: int,
    keep: KeepMap | None,
) -> list[EmbeddedRow | ItemError]:
    images = [item.image for item in slot if isinstance(item, _Waiting)]
    steps.begin(len(images))
    made = _made(embedder, torch.stack(images), job, keep) if images else iter(())
    done: list[EmbeddedRow | ItemError] = []
    for path, item in zip(paths, slot, strict=True):
        if isinstance(item, _Waiting):
            vector, maps = next(made)
            if not np.isfinite(vector).all():
                raise DataError(
                    f"{show(path)}: the network gave NaN or infinity; nothing was written",
                    "Try `precision` fp32."
                    if embedder.precision != "fp32"
                    else "Are the weights and the preprocessing those of this network?",
                )
            done.append(_whole(replace(item.row, vector=vector), maps, keep))
        else:
            done.append(item)
    return done


def _made(
    embedder: Embedder, images: Tensor, job: int, keep: KeepMap | None
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """The vector of each image, and its feature map where one is to be kept."""
    if keep is None:
        return ((vector, None) for vector in embedder.embed(images, job).numpy())
    vectors, maps = embedder.embed_with_features(images, job)
    return zip(vectors.numpy(), maps.numpy(), strict=True)


def _whole(
    row: EmbeddedRow, maps: np.ndarray | None, keep: KeepMap | None
) -> EmbeddedRow | ItemError:
    if keep is None or maps is None:
        return row
    try:
        return replace(row, features=keep(maps))
    except ItemError as error:
        return error.bare
