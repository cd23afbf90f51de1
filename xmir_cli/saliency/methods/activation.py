"""Activation mapping: the exact share of every cell of the last feature map in the similarity.

Source: Stylianou et al., Visualizing deep similarity networks, WACV 2019; Zhu et al., Visual
explanation for deep metric learning, IEEE TIP 2021.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.sample import Explanation, Sample, similarity
from xmir_cli.saliency.upsample import upsample

_TINY = 1e-12  # the norm below which an embedding counts as zero


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

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        shares = self._grid(embedder, target, explained)
        residual = similarity(target, explained) - float(shares.double().sum())
        grid = shares.reshape(explained.features.shape[1:])
        return Explanation(upsample(grid, embedder.size), 0, {"residual": residual})

    def _grid(self, embedder: Embedder, target: Sample, explained: Sample) -> Tensor:
        """Shares [n] of the explained image's cells."""
        own = scaled_cells(embedder, explained, self.bias == "spread")
        if self.clip == "pair":
            other = scaled_cells(embedder, target, self.bias == "spread")
            return (other @ own.T).clamp(min=0).sum(dim=0)
        whole = target.embedding.to(own)
        if self.bias == "drop":
            whole = scaled_cells(embedder, target, bias=False).sum(dim=0)
        shares = own @ whole
        return shares.clamp(min=0) if self.clip == "cell" else shares


def scaled_cells(embedder: Embedder, sample: Sample, bias: bool) -> Tensor:
    """Equivalent embeddings u_i / |e| of the cells: [n, D]; with the bias they sum to f."""
    with torch.no_grad():
        cells = embedder.cells(sample.features[None], bias)[0].float()
    norm = sample.raw.norm().to(cells)
    return torch.zeros_like(cells) if norm < _TINY else cells / norm
