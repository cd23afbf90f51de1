"""Weight transfer: the image seen with the channel weights of the gallery's nearest labelled image.

Source: Chen et al., Adapting Grad-CAM for embedding networks, WACV 2020. An image of the gallery is
an anchor whose triplets say which channels tell its label from the others; a new image borrows the
weights of its nearest anchor, so that it needs neither a label nor a gradient. The map shows what
speaks for the neighbour's label; it does not depend on the other image of the pair.

With affine layers after an average pooling the weights of an anchor are a function of embeddings
alone, so that those in the index are all that is stored. With another pooling the neighbour lends
the direction in the space of embeddings, which is the same thing where both apply.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch

from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.forms import form_of
from xmir_cli.saliency.sample import Explanation, LabelledGallery, Sample, need_image
from xmir_cli.saliency.upsample import upsample

MARGIN = 0.2  # of the triplets that count, as in training
_TWINS = 1e-3  # the distance below which two unit embeddings differ by rounding alone


@dataclass(frozen=True)
class Method:
    """M = ReLU(sum_c alpha_c A_c), alpha the mean weights of the image's nearest anchors."""

    neighbors: Annotated[int, "how many of the gallery's nearest images lend their weights"] = 1

    unit = "weighted activation"
    need_gallery = True
    from_features = True
    of_places = True
    misleads_on_tokens = True
    doubtful = True

    def __post_init__(self) -> None:
        if self.neighbors < 1:
            raise SettingError("neighbors", f"expected 1 or more, found {self.neighbors}")

    def __call__(
        self,
        embedder: Embedder,
        target: Sample,
        explained: Sample,
    ) -> Explanation:
        need_image(
            target,
            "weight-transfer does not look at the query: it says nothing of words or concepts",
        )
        if explained.gallery is None:
            raise SettingError(
                "method",
                "no gallery to borrow from",
                "Only 'xmir saliency' lends one: the index that records of 'xmir query' name.",
                value="weight-transfer",
            )
        nearest = anchors(explained.gallery, explained.embedding.numpy(), self.neighbors)
        directions = [anchor_direction(explained.gallery, anchor) for anchor in nearest]
        direction = torch.from_numpy(np.mean(directions, axis=0)).float()
        form = form_of(embedder, explained, bias=False)
        pulled = form.pull(direction)
        length = explained.raw.norm()  # the map is one of the raw embedding
        grid = (pulled.places * length).reshape(form.grid).clamp(min=0)
        return Explanation(upsample(grid, embedder.size), 0, form.told)


def anchors(gallery: LabelledGallery, embedding: np.ndarray, count: int) -> np.ndarray:
    """The nearest images that have triplets: others share a label with them, and others none.

    Nearest first, ties in the gallery's order. Raises SettingError when there is none.
    """
    sharing = gallery.labels.sharing
    able = np.flatnonzero((sharing > 1) & (sharing < np.count_nonzero(sharing)))
    if not len(able):
        raise SettingError(
            "method",
            "the gallery has no triplets",
            "Two labels, and two images of one of them, are the least.",
            value="weight-transfer",
        )
    similarities = gallery.embeddings @ embedding
    nearest: np.ndarray = able[np.argsort(-similarities[able], kind="stable")[:count]]
    return nearest


def anchor_direction(gallery: LabelledGallery, anchor: int) -> np.ndarray:
    """Where an anchor's triplets want its embedding to go: minus the gradient of their loss, [D].

    L = the mean of d(a, p) - d(a, n) + margin over the triplets that violate it, or over all of
    them when none does; d is the Euclidean distance of unit embeddings, the gradient is taken
    through the normalisation and left without the factor 1 / |e|. Images that are the anchor's
    twins have no direction and count for nothing.
    """
    own = gallery.embeddings[anchor]
    distance = np.sqrt(np.maximum(2 - 2 * (gallery.embeddings @ own).astype(np.float64), 0))
    same = gallery.labels.grade_as(anchor) > 0
    other = ~same & (gallery.labels.sharing > 0)
    same[anchor] = False
    times = np.zeros(len(distance))  # in how many triplets an image is, negative of another label
    times[same] = np.searchsorted(np.sort(distance[other]), distance[same] + MARGIN)
    far = np.searchsorted(np.sort(distance[same]), distance[other] - MARGIN, side="right")
    times[other] = far - np.count_nonzero(same)
    if not times.any():
        times[same], times[other] = np.count_nonzero(other), -np.count_nonzero(same)
    triplets = times[same].sum()
    apart = distance > _TWINS
    times = np.where(apart, times / np.where(apart, distance, 1), 0) / triplets
    pull = times.astype(np.float32) @ gallery.embeddings - times.sum() * own
    direction: np.ndarray = pull - own * (own @ pull)
    return direction
