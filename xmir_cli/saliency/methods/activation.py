"""Activation mapping: the exact share of every place of the image in the similarity.

Where the last feature map is pooled and what follows is affine, places are its cells, and the head
gives each its share. In every other network the scalars that the image itself decided are held:
attention weights, the deviations of norms, the gate f(x) / x of every pointwise function. With
these constants the embedding is affine in the first tokens t_j of a transformer, and in the cells
of a map that more than affine steps follow:

    s = sum_j t_j . ds/dt_j + rest     places: patch tokens; prefix: class token and registers

`rest` is what constants write, computed by itself, by a pass with the held constants and no image;
`residual` is what all of it misses of the similarity. One that is more than rounding is an error.

Source: Stylianou et al., Visualizing deep similarity networks, WACV 2019; Zhu et al., Visual
explanation for deep metric learning, IEEE TIP 2021. For what is held: Ali et al., XAI for
transformers, ICML 2022; Achtibat et al., AttnLRP, ICML 2024. For `path` direct: Gandelsman et al.,
Interpreting CLIP's image representation, ICLR 2024. The matrix of all pairs of cells is, up to the
norms, what BiLRP (Eberle et al., IEEE TPAMI 2022) gives when it stops at the last feature map.
"""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from xmir_cli.affine.form import Pulled
from xmir_cli.affine.passes import Grid
from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.forms import USUAL, Where, form_of, tell
from xmir_cli.saliency.matches import strongest_matches
from xmir_cli.saliency.regions import point_weights
from xmir_cli.saliency.sample import Explanation, Match, Sample, need_image, similarity
from xmir_cli.saliency.upsample import upsample

_LAYER = re.compile(r"[1-9]\d{0,3}x[1-9]\d{0,3}")
_POINT = re.compile(r"\d{1,6}(\.\d{1,6})?,\d{1,6}(\.\d{1,6})?")


@dataclass(frozen=True)
class Method:
    """S[j] = f_target . u_j / |e| with sum_j u_j + rest = e, so they sum to the similarity."""

    bias: Annotated[
        Literal["spread", "separate", "drop"],
        "the head's constant: spread over the cells (exact), kept out of the explained image's "
        "map, or dropped from both images; where constants of many layers are held, as in "
        "transformers, they are `rest` and never spread",
    ] = "spread"
    clip: Annotated[
        Literal["none", "cell", "pair"],
        "negative shares: kept, cut off a cell, or cut off a pair of cells (Zhu and x-mir)",
    ] = "none"

    point: Annotated[
        str,
        "X,Y, a pixel of the other image at its own size, upright as its EXIF orientation says: "
        "maps what resembles this place, not the whole; its share of the similarity is in the "
        "details",
    ] = ""
    matches: Annotated[
        int, "how many of the strongest pairs of regions to name in the record and to draw"
    ] = 0

    layer: Annotated[
        str,
        "HxW, rows and columns of places: the same exact shares at an earlier map of the network, "
        "such as 14x14, which is finer than the last; a size that it has not lists those it has",
    ] = ""
    path: Annotated[
        Literal["hops", "direct"],
        "of a transformer, how a place's token reaches the embedding: by all hops through its "
        "blocks, or directly, by what the values of each attention write, past the blocks behind",
    ] = "hops"

    unit = "similarity per place"
    from_features = True
    of_places = True
    exact = True

    def __post_init__(self) -> None:
        if self.point and not _POINT.fullmatch(self.point):
            raise SettingError("point", f"expected X,Y, found {self.point}")
        if self.matches < 0:
            raise SettingError("matches", f"expected 0 or more, found {self.matches}")
        if self.point and self.matches:
            raise SettingError(
                "matches", "pairs of all regions do not go with a single `point`", "Leave one out."
            )
        if self.layer and not _LAYER.fullmatch(self.layer):
            raise SettingError("layer", f"expected HxW such as 14x14, found {self.layer}")
        if self.layer and self.path == "direct":
            raise SettingError("layer", "direct writes start at the tokens", "Leave one out.")

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        for setting, of_pairs in (
            ("point", self.point),
            ("matches", self.matches),
            ("clip", self.clip == "pair"),
            ("bias", self.bias == "drop"),
        ):
            if of_pairs:
                need_image(
                    target,
                    "asks for the places of two images, and words or a concept asked",
                    setting,
                )
        form = form_of(embedder, explained, self._where, self.bias == "spread")
        pulled = self._pull(embedder, target, explained)
        total = float(pulled.places.double().sum())
        missed = similarity(target, explained) - total - pulled.prefix - pulled.rest
        matches: tuple[Match, ...] = ()
        if self.matches:
            pairs = self._pairs(embedder, target, explained)
            matches = strongest_matches(pairs, (target, explained), form.grid, self.matches)
        return Explanation(
            upsample(pulled.places.reshape(form.grid), embedder.size),
            0,
            {**({"share": total} if self.point else {"residual": missed}), **tell(form, pulled)},
            matches,
        )

    def _pull(self, embedder: Embedder, target: Sample, explained: Sample) -> Pulled:
        """What the explained image's places and the rest of it hold."""
        form = form_of(embedder, explained, self._where, self.bias == "spread")
        pulled = form.pull(self._direction(embedder, target))
        if self.clip == "none":
            return pulled
        places = pulled.places.clamp(min=0)
        if self.clip == "pair":
            pairs = self._pairs(embedder, target, explained)
            places = self._weights(target, form.grid) @ pairs
        return replace(pulled, places=places)

    @property
    def _where(self) -> Where:
        return Where(self.layer, self.path == "direct")

    def _direction(self, embedder: Embedder, target: Sample) -> Tensor:
        """What the explained image is shared out along [D]: the target, or a part of it."""
        if not self.point and self.bias != "drop":
            return target.embedding
        form = form_of(embedder, target, self._where, self.bias != "drop")
        weights = self._weights(target, form.grid)
        return target.center(form.push(weights)[None], float(weights.mean()))[0]

    def _weights(self, target: Sample, grid: Grid) -> Tensor:
        """How much each of the target's places counts [n]: all alike, or those of the point."""
        if not self.point:
            return torch.ones(grid[0] * grid[1])
        x, y = (float(place) for place in self.point.split(","))
        wide, high = target.picture
        if not (x < wide and y < high):
            reason = f"beyond the image, which is {wide:g} x {high:g} pixels when upright"
            raise SettingError("point", reason, value=self.point)
        weights = point_weights((x, y), target.crop, grid)
        if weights is None:
            left, top, width, height = target.crop
            raise SettingError(
                "point",
                "outside what the network sees of the image",
                f"It sees {width:g} x {height:g} pixels from {left:g},{top:g}.",
                value=self.point,
            )
        return weights

    def _pairs(self, embedder: Embedder, target: Sample, explained: Sample) -> Tensor:
        """What each pair of places adds to the similarity: [n, n] on the CPU, rows the target's."""
        own = scaled_cells(embedder, explained, self.bias == "spread", self._where)
        other = scaled_cells(embedder, target, self.bias != "drop", self._where)
        pairs = (other @ own.T).cpu()
        return pairs.clamp(min=0) if self.clip == "pair" else pairs


def scaled_cells(embedder: Embedder, sample: Sample, bias: bool, where: Where = USUAL) -> Tensor:
    """What each place writes into the unit embedding: [n, D].

    Of an image that is centred, into what that left of it.
    """
    return sample.center(form_of(embedder, sample, where, bias).written())
