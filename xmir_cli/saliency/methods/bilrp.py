"""BiLRP at the last feature map: which pairs of regions make the similarity, by relevance.

Source: Eberle et al., Building and interpreting deep similarity models, IEEE TPAMI 2022. Every
dimension of the embedding is traced back to the cells by layer-wise relevance propagation (LRP) in
either image; the products of both, summed over the dimensions, are the joint relevance of pairs of
cells. It stops at the last feature map, which lies before the head: there it is exact for a head of
pooling and affine layers, where further down it would rest on rules for each kind of layer. With
gamma 0 and no bias, or without a head, it is activation mapping.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.matches import grid_of, strongest_matches
from xmir_cli.saliency.sample import Explanation, Match, Sample, similarity
from xmir_cli.saliency.upsample import upsample

_STABLE = 1e-9  # added to the size of every denominator
_TINY = 1e-12  # the norm below which an embedding counts as zero


@dataclass(frozen=True)
class Method:
    """S[j] = sum_i R[i, j], R = sum_m LRP_m(target) x LRP_m(explained) / (|e_target| |e|)."""

    gamma: Annotated[
        float,
        "how much more the weights count that agree with a dimension's sign, LRP-gamma; 0 counts "
        "all alike",
    ] = 0.25
    matches: Annotated[
        int, "how many of the strongest pairs of regions to name in the record and to draw"
    ] = 0

    from_features = True
    exact = True

    def __post_init__(self) -> None:
        for name, value in (("gamma", self.gamma), ("matches", self.matches)):
            if not value >= 0:
                raise SettingError(name, f"expected 0 or more, found {value}")

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        other = target.center(relevances(embedder, target, self.gamma))
        own = relevances(embedder, explained, self.gamma)
        shares = own @ other.sum(dim=0)
        matches: tuple[Match, ...] = ()
        if self.matches:
            pairs = other @ explained.center(own).T
            matches = strongest_matches(pairs, target, explained, self.matches)
        residual = similarity(target, explained) - float(shares.double().sum())
        grid = shares.reshape(grid_of(explained))
        return Explanation(upsample(grid, embedder.size), 0, {"residual": residual}, matches)


def relevances(embedder: Embedder, sample: Sample, gamma: float) -> Tensor:
    """What each cell has in each dimension of the unit embedding: [n, D] on the CPU.

    They sum to f = e / |e| but for what the head's constants hold. With a [C] the pooled features,
    W and b the head's affine layers as one:

        R_m[c] = a_c V_cm / (sum_c a_c V_cm + the bias) * e_m
        V_cm = (1 + gamma) W_cm where a_c W_cm has the sign of e_m, else W_cm; the bias likewise

    so that no denominator is smaller than e_m. A cell takes from R_m[c] what it adds to a_c.
    """
    head = embedder.network.head
    with torch.no_grad():
        cells = head.pool.cells(sample.features[None])[0].float()  # [n, C]
        weight, bias = head.affine(cells.sum(dim=0))
    cells, weight, bias = cells.cpu(), weight.cpu(), bias.cpu()
    pooled, raw = cells.sum(dim=0), sample.raw
    favoured = weight * (1 + gamma * (pooled[:, None] * weight * raw > 0))
    total = pooled @ favoured + bias * (1 + gamma * (bias * raw > 0))
    stable = torch.where(total < 0, total - _STABLE, total + _STABLE)
    shares: Tensor = cells @ favoured * (raw / stable)
    norm = raw.norm()
    return torch.zeros_like(shares) if norm < _TINY else shares / norm
