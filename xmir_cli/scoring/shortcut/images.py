"""The images of a check, and what is left of them under each hiding."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.console import Skips
from xmir_cli.errors import DataError, ItemError
from xmir_cli.metrics.impute import impute
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.shortcut import find_allowed
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.items import Item
from xmir_cli.pictures.reading import Reading, read_image
from xmir_cli.saliency.fills import fill_image
from xmir_cli.saliency.sample import Method, Sample, make_samples, make_target
from xmir_cli.truth.frame import see_mask
from xmir_cli.truth.marks import MarkedImage, Truth, merge
from xmir_cli.wire.model import Preprocessing


@dataclass(frozen=True)
class ImageReader:
    """Reads images as a network sees them, and what they are called by."""

    embedder: Embedder
    group: str  # the column whose images do not count for each other
    jobs: int | None
    skips: Skips  # what cannot be read goes there

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, Reading]]:
        """The images that can be read."""

        def load(item: Item) -> Reading:
            return read_image(item.path, self.embedder.recipe)

        for item, reading in zip(items, decode_all(items, load, self.jobs), strict=True):
            if isinstance(reading, ItemError):
                self.skips.add(item.path, reading)
            else:
                yield item, reading

    def batches(self, items: Sequence[Item]) -> Iterator[list[tuple[Item, Reading]]]:
        """The same, as many at a time as pass at once."""
        readings = self.read(items)
        while batch := list(itertools.islice(readings, self.embedder.batch)):
            yield batch

    def group_of(self, item: Item, reading: Reading) -> str | None:
        """Whose the image is: as a table says, else the file's own tags; None of nobody."""
        return item.text(self.group) or reading.picture.columns.get(self.group) or None


@dataclass(frozen=True)
class HiddenImages:
    """The images that were read, embedded as they are and under each hiding."""

    items: Sequence[Item]
    groups: Sequence[str | None]
    identities: Sequence[str]
    vectors: np.ndarray  # [1 + V, N, D] float32, as they are first

    def under(self, number: int) -> LabelledVectors:
        """The images under a hiding, 0 for none."""
        labels = [item.text("label") or "" for item in self.items]
        return LabelledVectors(self.vectors[number], labels, self.groups)


def embed_hidden(
    reader: ImageReader,
    items: Sequence[Item],
    hidings: Sequence[Booleans],
    fill: str,
    advance: Callable[[], None],
) -> HiddenImages:
    """The images as they are, and with what each hiding [S, S] covers filled in.

    Memory holds a batch of images, and the embeddings of all.
    """
    embedder = reader.embedder
    masks = [torch.from_numpy(each) for each in hidings]
    kept: list[Item] = []
    groups: list[str | None] = []
    identities: list[str] = []
    found: list[list[Tensor]] = [[] for _ in range(1 + len(masks))]
    for batch in reader.batches(items):
        inputs = torch.stack([reading.input for _, reading in batch])
        found[0].append(embedder.embed(inputs, len(items)))
        for parts, mask in zip(found[1:], masks, strict=True):
            left = hide(inputs, mask, fill, embedder.recipe)
            parts.append(embedder.embed(left, len(items)))
        kept += [item for item, _ in batch]
        groups += [reader.group_of(item, reading) for item, reading in batch]
        identities += [reading.identity for _, reading in batch]
        for _ in batch:
            advance()
    if not kept:
        raise DataError(f"none of {len(items)} images could be read")
    vectors = torch.stack([torch.cat(each) for each in found]).numpy()
    return HiddenImages(kept, groups, identities, vectors)


def hide(images: Tensor, hidden: Tensor, fill: str, recipe: Preprocessing) -> Tensor:
    """Images [N, 3, S, S] with the pixels hidden [S, S] filled, which tells nothing of them."""
    if fill == "road":
        return torch.cat([impute(each, hidden[None]) for each in images])
    if fill == "mean":
        seen = (~hidden).to(images)
        colors = (images * seen).sum(dim=(2, 3), keepdim=True) / seen.sum()
    else:
        colors = torch.stack([fill_image(fill, each, recipe, 0.0) for each in images])
    return torch.where(hidden, colors, images)


def cover_masks(
    reader: ImageReader, items: Sequence[Item], truths: Sequence[Truth]
) -> tuple[list[Item], list[Booleans]]:
    """What the masks of any image cover [S, S], of each place of masks; the images they fit.

    An image without a mask covers nothing. Raises DataError where no image has one.
    """
    size = reader.embedder.size
    covered = [np.zeros((size, size), dtype=bool) for _ in truths]
    known = [False] * len(truths)
    kept = []
    for item, reading in reader.read(items):
        crop = reading.view.crop
        image = MarkedImage(item.path, item.columns)
        try:
            marks = [
                merge(shapes, None) if (shapes := truth.of(image, crop.image_size)) else None
                for truth in truths
            ]
        except ItemError as error:
            reader.skips.add(item.path, error)
            continue
        kept.append(item)
        for place, found in enumerate(marks):
            known[place] |= found is not None
            for mark in found or ():
                covered[place][crop.shown(size)] |= see_mask(mark.mask, crop, size, 0.0).mask
    for truth, there in zip(truths, known, strict=True):
        if not there:
            raise DataError(truth.say_nothing())
    return kept, covered


@dataclass(frozen=True)
class SuspectArea:
    """Where saliency is summed, and whose."""

    method: Method
    area: Booleans  # [S, S]

    def share_of(self, embedder: Embedder, target: Tensor, explained: Sample) -> float:
        """The share of the positive saliency that lies in the area; NaN where there is none."""
        found = self.method(embedder, make_target(target), explained)
        positive = found.saliency.double().clamp(min=0)
        total = float(positive.sum())
        return float(positive[torch.from_numpy(self.area)].sum()) / total if total > 0 else np.nan


def draw_donors(groups: Sequence[str | None], seed: int) -> Integers:
    """An image of another group for each [N], which lends it its suspect part; -1 without one."""
    random, allowed = np.random.default_rng(seed), find_allowed(groups)
    return np.array([random.choice(np.flatnonzero(row)) if row.any() else -1 for row in allowed])


def measure_shares(
    reader: ImageReader,
    images: HiddenImages,
    pairs: Sequence[tuple[int, int]],
    suspect: SuspectArea,
    advance: Callable[[], None],
) -> Floats:
    """The share [2, N] of each image's positive saliency in the suspect area.

    Its map says where it resembles its first hit; once as it is, once with the area of its donor.
    `pairs` are the numbers of both. Images are read again.
    """
    embedder, count = reader.embedder, len(images.items)
    targets, mask = torch.from_numpy(images.vectors[0]), torch.from_numpy(suspect.area)
    asked = [
        images.items[number] for place, (_, donor) in enumerate(pairs) for number in (place, donor)
    ]
    again = replace(reader, skips=Skips()).read(asked)
    shares: list[list[float]] = []
    while pair := list(itertools.islice(again, 2 * embedder.batch)):
        inputs = torch.stack([reading.input for _, reading in pair])
        own, lent = inputs[::2], inputs[1::2]
        hits = [hit for hit, _ in pairs[len(shares) :]]
        both = [
            make_samples(embedder, [*each], 2 * count)
            for each in (own, torch.where(mask, lent, own))
        ]
        for hit, *samples in zip(hits, *both, strict=False):
            shares.append([suspect.share_of(embedder, targets[hit], each) for each in samples])
            advance()
    if len(shares) < count:
        raise DataError("images that could be read before cannot be any more")
    return np.array(shares).T
