"""Images to embeddings in fixed batches, so that a resumed run gives the same bits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from xmir_cli import steps
from xmir_cli.console import show
from xmir_cli.embedding.known import KnownRow
from xmir_cli.embedding.parts import EmbeddedRow
from xmir_cli.errors import DataError, ItemError
from xmir_cli.model.embedder import PART, Embedder
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.files import open_image
from xmir_cli.pictures.reading import Reading, read_file, read_image
from xmir_cli.pictures.scales import meet_scales
from xmir_cli.store.features import narrow_map
from xmir_cli.wire.columns import DECODED, SEPARATOR

BATCHES = 4  # in a slot, so that many processors have something to do

KnownAt = Callable[[str], KnownRow | None]  # the row of a path that an earlier run made


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A decoded image that the network has not seen yet."""

    row: EmbeddedRow  # its vector still empty
    image: Tensor  # [3, S, S] in model space


def slot_size(embedder: Embedder, batches: int = BATCHES) -> int:
    """The paths of a slot: where a thread passes more images at once, more for as many threads."""
    return batches * embedder.batch * embedder.part // PART


def embed_slots(  # noqa: PLR0913 # what is made, of how much, and what is there already
    embedder: Embedder,
    paths: Sequence[str],
    size: int,
    job: int,
    known: KnownAt,
    jobs: int | None,
    features: bool = False,
) -> Iterator[list[EmbeddedRow | KnownRow | ItemError]]:
    """The rows of each `size` paths in order, errors in the place of images that cannot be used.

    The bits of an embedding depend on what shares its batch, and on whether the whole job, of so
    many images, is a large one (see Embedder). A slot is therefore always the same paths, whoever
    makes it, and either all of its rows are known or all are made; only a list that has grown large
    since goes on with other last bits.

    With `features` the last feature maps are kept; an image whose map does not fit float16 counts
    as one that cannot be used.

    Raises:
        DataError: The network gave NaN or infinity, for the image that is named.
    """

    def load(path: str) -> KnownRow | _Waiting:
        file, row = open_image(path), known(path)
        if row is not None and row.sha256 == file.sha256:
            meet_scales(row.decoded.split(SEPARATOR))
            return row
        return _wait(read_file(file, recipe))

    def load_anew(path: str) -> _Waiting:
        return _wait(read_image(path, recipe))

    recipe = embedder.recipe

    loaded = decode_all(paths, load, jobs, size)  # the next slot, while this one is embedded
    for start in range(0, len(paths), size):
        slot: list[KnownRow | _Waiting | ItemError] = list(islice(loaded, size))
        here = paths[start : start + size]
        if any(isinstance(item, _Waiting) for item in slot):
            if any(isinstance(item, KnownRow) for item in slot):
                slot = list(decode_all(here, load_anew, jobs))
            yield _embed(embedder, here, slot, job, features)
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
    slot: Sequence[KnownRow | _Waiting | ItemError],
    job: int,
    features: bool,
) -> list[EmbeddedRow | KnownRow | ItemError]:
    images = [item.image for item in slot if isinstance(item, _Waiting)]
    steps.begin(len(images))
    made = _made(embedder, torch.stack(images), job, features) if images else iter(())
    done: list[EmbeddedRow | KnownRow | ItemError] = []
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
            done.append(_whole(replace(item.row, vector=vector), maps))
        else:
            done.append(item)
    return done


def _made(
    embedder: Embedder, images: Tensor, job: int, features: bool
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """The vector of each image, and its feature map where it is to be kept."""
    if not features:
        return ((vector, None) for vector in embedder.embed(images, job).numpy())
    vectors, maps = embedder.embed_with_features(images, job)
    return zip(vectors.numpy(), maps.numpy(), strict=True)


def _whole(row: EmbeddedRow, maps: np.ndarray | None) -> EmbeddedRow | ItemError:
    try:
        return row if maps is None else replace(row, features=narrow_map(maps))
    except ItemError as error:
        return error.bare
