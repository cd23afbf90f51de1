"""Images as queries: the one file of retrieval that runs a network."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from xmir_cli import console
from xmir_cli.arrays import Floats
from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError, ModelError
from xmir_cli.gallery.protocol import Columns, Gallery
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.crop import Crop
from xmir_cli.pictures.items import Item
from xmir_cli.pictures.reading import read_image
from xmir_cli.pictures.scales import meet_scales
from xmir_cli.retrieval.queries import Center, Contribution, ImageOptions, Question, look_up
from xmir_cli.retrieval.region import Region, cell_shares
from xmir_cli.saliency.centering import GalleryMean, read_mean
from xmir_cli.saliency.forms import form_of
from xmir_cli.saliency.sample import Sample, make_samples
from xmir_cli.store.names import escape_name
from xmir_cli.wire.columns import DECODED, SEPARATOR


@dataclass(frozen=True, eq=False)
class _Loaded:
    identity: str  # of the image
    sha256: str  # of its file
    crop: Crop
    input: Tensor  # the view in model space [3, S, S]
    turned: bool  # upright, unlike the file's own pixels


def ask_images(
    gallery: Gallery,
    embedder: Embedder,
    items: Sequence[Item],
    options: ImageOptions,
    skip: Callable[[str, ItemError], None],
) -> Iterator[list[Question]]:
    """Queries in the order of the items, a batch at a time; `skip` is told of unusable ones.

    Raises ModelError for a region where the embedding is no sum over the cells of a feature map.
    """

    def load(path: str) -> _Loaded:
        reading = read_image(path, embedder.recipe)
        crop, turned = reading.view.crop, reading.picture.turned
        return _Loaded(reading.identity, reading.sha256, crop, reading.input, turned)

    _meet_scales(gallery)
    loaded = decode_all([item.path for item in items], load, options.jobs)
    usable = _without_errors(zip(items, loaded, strict=True), skip)
    if options.region is not None:
        usable = _told_of_turns(usable)
    mean = read_mean(gallery.mean) if options.center else None
    while batch := list(islice(usable, embedder.batch)):
        questions = []
        identities = [each.identity for _, each in batch]
        known = zip(identities, look_up(gallery, identities), strict=True)
        images = torch.stack([each.input for _, each in batch])
        sights = _embed(embedder, images, len(items), options.region is not None)
        for (item, each), told, (vector, sample) in zip(batch, known, sights, strict=True):
            columns = {**told[1], **_own_columns(item, each.sha256)}
            query = Question(_name(item), vector, columns, identity=told[0])
            try:
                _refuse_unfit(vector)
                if sample is not None and options.region is not None:
                    part = _push(embedder, sample, each.crop, options.region)
                    query = _narrow(query, part, options.region, mean)
                questions.append(query)
            except ItemError as error:
                skip(item.id, error)
        if questions:
            yield questions


def _meet_scales(gallery: Gallery) -> None:
    """Take note of the grey scales of the gallery's images, so that other ones are said."""
    if DECODED not in gallery.column_names or gallery.model.preprocessing.window != "auto":
        return
    for decoded in gallery.distinct(DECODED).to_pylist():
        meet_scales((decoded or "").split(SEPARATOR))


def ask_image(gallery: Gallery, embedder: Embedder, path: str) -> Question:
    """One image as a query; raises ItemError when it is not to be used."""

    def refuse(name: str, error: ItemError) -> None:
        del name
        raise error

    item = Item(path, os.path.abspath(path), {})  # noqa: PTH100 # Path.resolve would follow links
    (questions,) = ask_images(gallery, embedder, [item], ImageOptions(1), refuse)
    return questions[0]


def _embed(
    embedder: Embedder, images: Tensor, job: int, by_places: bool
) -> Iterator[tuple[Vectors, Sample | None]]:
    """Unit embeddings [D] of images [B, 3, S, S] and, when asked, all that is known of them."""
    if not by_places:
        yield from ((vector, None) for vector in embedder.embed(images, job).numpy())
        return
    for sample in make_samples(embedder, list(images), job):
        yield sample.embedding.numpy(), sample


def _refuse_unfit(vector: Vectors) -> None:
    if not abs((vector**2).sum() - 1) < 1e-3:
        raise ItemError(Cause.BAD_VECTOR, "its embedding is zero, NaN or infinite")


def _push(embedder: Embedder, sample: Sample, crop: Crop, region: Region) -> Floats:
    """What the region writes into the unit embedding [D]; raises ItemError for one not seen."""
    try:
        form = form_of(embedder, sample)
        shares = cell_shares(region, crop.roi, crop.image_size, form.grid)
        return form.push(torch.from_numpy(shares.ravel())).double().numpy()
    except ModelError as error:  # whose hint is about maps
        raise ModelError(f"`region`: {error}", "Ask with the whole image, or crop it.") from None


def _narrow(query: Question, part: Floats, region: Region, mean: GalleryMean | None) -> Question:
    """The query by its region only, which raises ItemError when that holds nothing.

    A mean is what is taken off the image and the hits.
    """
    length = float(np.linalg.norm(part))
    if length < 1e-12:
        raise ItemError(Cause.REGION_BLANK, "it adds nothing to the embedding")
    vector = (part / length).astype(np.float32)
    found = Contribution(region, query.vector, length)
    return replace(query, vector=vector, contribution=_center(found, mean))


def _center(found: Contribution, mean: GalleryMean | None) -> Contribution:
    if mean is None:
        return found
    direction, length = mean.take_off(torch.from_numpy(found.image))
    if not length:
        raise ItemError(Cause.REGION_BLANK, "the image is the mean of the index")
    center = Center(mean.vector.numpy(), mean.sha256, direction.numpy())
    return replace(found, length=found.length / length, center=center)


def _without_errors(
    pairs: Iterator[tuple[Item, _Loaded | ItemError]], skip: Callable[[str, ItemError], None]
) -> Iterator[tuple[Item, _Loaded]]:
    for item, loaded in pairs:
        if isinstance(loaded, ItemError):
            skip(item.id, loaded)
        else:
            yield item, loaded


def _told_of_turns(pairs: Iterator[tuple[Item, _Loaded]]) -> Iterator[tuple[Item, _Loaded]]:
    """The same; the first picture that was turned upright is named, for regions lie in that."""
    told = False
    for item, loaded in pairs:
        if loaded.turned and not told:
            width, height = loaded.crop.image_size
            console.note(
                f"{item.id}: turned by its EXIF orientation; the region is one of the upright "
                f"picture, {width} x {height} pixels"
            )
            told = True
        yield item, loaded


def _name(item: Item) -> str:
    """The path as it was typed; of a manifest's own ids, the absolute path."""
    is_path = os.path.abspath(item.id) == item.path  # noqa: PTH100 # Path.resolve would follow links
    return item.id if is_path else item.path


def _own_columns(item: Item, sha256: str) -> Columns:
    """What the manifest and the file say of the query."""
    own = {key: value for key, value in item.columns.items() if value is not None}
    if _name(item) == item.path:
        own["id"] = item.id
    own |= {"path": item.path, "sha256": sha256}
    return {
        key: escape_name(value) if isinstance(value, str) else value for key, value in own.items()
    }
