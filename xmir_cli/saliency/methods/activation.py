"""Activation mapping: the exact share of every cell of the last feature map in the similarity.

Source: Stylianou et al., Visualizing deep similarity networks, WACV 2019; Zhu et al., Visual
explanation for deep metric learning, IEEE TIP 2021. The matrix of all pairs of cells is, up to the
norms, what BiLRP (Eberle et al., IEEE TPAMI 2022) gives when it stops at the last feature map.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.matches import grid_of, strongest_matches
from xmir_cli.saliency.regions import point_weights
from xmir_cli.saliency.sample import Explanation, Match, Sample, similarity
from xmir_cli.saliency.upsample import upsample

_TINY = 1e-12  # the norm below which an embedding counts as zero
_POINT = re.compile(r"\d{1,6}(\.\d{1,6})?,\d{1,6}(\.\d{1,6})?")


@dataclass(frozen=True)
class Method:
    """S[j] = f_target . u_j / |e| with sum_j u_j = e, hence sum_j S[j] = the similarity."""

    bias: Annotated[
        Literal["spread", "separate", "drop"],
        "the head's constant: spread over the cells (exact), kept out of the explained image's "
        "map, or dropped from both images",
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

    from_features = True
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

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        shares = self._grid(embedder, target, explained)
        total = float(shares.double().sum())
        residual = {"residual": similarity(target, explained) - total}
        matches: tuple[Match, ...] = ()
        if self.matches:
            pairs = self._pairs(embedder, target, explained)
            matches = strongest_matches(pairs, target, explained, self.matches)
        return Explanation(
            upsample(shares.reshape(grid_of(explained)), embedder.size),
            0,
            {"share": total} if self.point else residual,
            matches,
        )

    def _grid(self, embedder: Embedder, target: Sample, explained: Sample) -> Tensor:
        """Shares [n] of the explained image's cells."""
        if self.clip == "pair":
            return self._weights(target) @ self._pairs(embedder, target, explained)
        own = _cells(embedder, explained, self.bias == "spread")
        whole = target.embedding.to(own)
        if self.point or self.bias == "drop":
            cells = scaled_cells(embedder, target, self.bias != "drop")
            whole = self._weights(target).to(own) @ cells
        shares = _scaled(own @ whole, explained)
        return shares.clamp(min=0) if self.clip == "cell" else shares

    def _weights(self, target: Sample) -> Tensor:
        """How much each of the target's cells counts [n]: all alike, or those of the point."""
        grid = grid_of(target)
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
        """What each pair of cells adds to the similarity: [n, n] on the CPU, rows the target's."""
        own = scaled_cells(embedder, explained, self.bias == "spread")
        other = scaled_cells(embedder, target, self.bias != "drop")
        pairs = (other @ own.T).cpu()
        return pairs.clamp(min=0) if self.clip == "pair" else pairs


def scaled_cells(embedder: Embedder, sample: Sample, bias: bool) -> Tensor:
    """Equivalent embeddings u_i / |e| of the cells: [n, D]; with the bias they sum to f.

    Of an image that is centred, to what that left of it.
    """
    return sample.center(_scaled(_cells(embedder, sample, bias), sample))


def _cells(embedder: Embedder, sample: Sample, bias: bool) -> Tensor:
    with torch.no_grad():
        return embedder.cells(sample.features[None], bias)[0].float()


def _scaled(shares: Tensor, sample: Sample) -> Tensor:
    """Shares in the raw embedding as shares in the unit embedding."""
    length = float(sample.raw.norm())
    return torch.zeros_like(shares) if length < _TINY else shares / length
