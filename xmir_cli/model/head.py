"""From feature maps to the raw embedding, and the exact share of every cell in it.

For every pooling here there are equivalent embeddings u_i with sum_i u_i = e, the raw embedding;
affine steps after the pooling keep that when their bias is spread evenly over the cells.
Sources: Stylianou et al. 2019 (average pooling), Zhu et al. 2021 (the other poolings).
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from xmir_cli.model.whitening import Whiten


@runtime_checkable
class Pool(Protocol):
    """A pooling that is homogeneous of degree 1, hence the sum of its cells."""

    def __call__(self, features: Tensor) -> Tensor:
        """Pool [B, C, h, w] to [B, C]."""

    def cells(self, features: Tensor) -> Tensor:
        """Shares [B, h*w, C] of the cells, row-major, that sum to the pooled vector."""


class AveragePool(nn.Module):
    """The mean over all cells."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean(dim=(2, 3))

    def cells(self, features: Tensor) -> Tensor:
        return features.flatten(2).transpose(1, 2) / (features.shape[2] * features.shape[3])


class MaxPool(nn.Module):
    """The largest cell of each channel; tied cells share its value equally."""

    def forward(self, features: Tensor) -> Tensor:
        return features.amax(dim=(2, 3))

    def cells(self, features: Tensor) -> Tensor:
        flat = features.flatten(2).transpose(1, 2)  # [B, n, C]
        largest = flat == flat.amax(dim=1, keepdim=True)
        return flat * largest / largest.sum(dim=1, keepdim=True)


class GeMPool(nn.Module):
    """The generalised mean (mean of a^p)^(1/p) of non-negative features (Radenovic et al. 2018)."""

    def __init__(self, p: float = 3.0, floor: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))
        self.floor = floor

    def forward(self, features: Tensor) -> Tensor:
        return features.clamp(min=self.floor).pow(self.p).mean(dim=(2, 3)).pow(1 / self.p)

    def cells(self, features: Tensor) -> Tensor:
        clamped = features.clamp(min=self.floor)
        pooled = self.forward(features)[:, None, :]  # [B, 1, C]
        flat = clamped.flatten(2).transpose(1, 2)
        return flat.pow(self.p) / (flat.shape[1] * pooled.pow(self.p - 1))


class Head(nn.Module):
    """A pooling, then affine steps: linear layer, BatchNorm neck (in eval mode) or LayerNorm."""

    def __init__(self, pool: nn.Module, after: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.pool = pool
        self.after = nn.ModuleList(after)

    def forward(self, features: Tensor) -> Tensor:
        return self.finish(self.pool(features))

    def finish(self, vector: Tensor) -> Tensor:
        """Raw embeddings [B, D] of pooled features [B, C]."""
        for step in self.after:
            vector = step(vector)
        return vector

    def cells(self, features: Tensor, bias: bool = True) -> Tensor:
        """Equivalent embeddings [B, h*w, D], row-major; they sum to the raw embedding.

        Without `bias` the additive constants are left out and the sum differs by them.
        """
        pool: Pool = self.pool  # type: ignore[assignment] # an nn.Module that is a Pool
        cells, vector = pool.cells(features), self.pool(features)
        for step in self.after:
            cells = _spread(step, cells, vector, bias)
            vector = step(vector)
        return cells

    def pull_back(self, direction: Tensor) -> Tensor | None:
        """The gradient [C] of direction [D] . e with respect to average-pooled features.

        None where it depends on the features: behind another pooling, or with a norm.
        """
        if not isinstance(self.pool, AveragePool):
            return None
        for step in reversed(self.after):
            if isinstance(step, nn.Linear):
                direction = direction @ step.weight.detach()
            elif isinstance(step, nn.BatchNorm1d):
                direction = direction * _scale(step).detach()
            else:
                return None
        return direction

    @property
    def is_sum(self) -> bool:
        """Whether the raw embedding is a sum over the cells, as far as the steps are known."""
        known = nn.Linear | nn.BatchNorm1d | nn.LayerNorm | Whiten
        return isinstance(self.pool, Pool) and all(isinstance(step, known) for step in self.after)

    @property
    def has_norm(self) -> bool:
        """Whether a step is affine for one input only."""
        return any(isinstance(step, nn.LayerNorm | Whiten) for step in self.after)

    def affine(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """The steps after the pooling as one: weight [C, D] and bias [D] for `pooled` [C].

        None of them may be a norm, see `has_norm`.
        """
        probes = torch.cat([torch.zeros_like(pooled)[None], torch.eye(len(pooled)).to(pooled)])
        for step in self.after:
            probes = step(probes)
        return probes[1:] - probes[0], probes[0]


class OpaqueHead(nn.Module):
    """A head that mixes the cells or does more than affine steps: class tokens, attention."""


def _scale(step: nn.BatchNorm1d) -> Tensor:
    """What a BatchNorm in eval mode multiplies each dimension with."""
    assert step.running_var is not None
    scale: Tensor = step.weight * (step.running_var + step.eps).rsqrt()
    return scale


def _spread(step: nn.Module, cells: Tensor, vector: Tensor, bias: bool) -> Tensor:
    """One affine step on every cell's share [B, n, D], its constant spread evenly when `bias`.

    The step is given `vector` [B, D], of which the cells are shares.
    """
    count = cells.shape[1]
    if isinstance(step, Whiten):
        white, shift = step.spread(cells, vector)
        return white + shift / count if bias else white
    if isinstance(step, nn.Linear):
        scaled = cells @ step.weight.T
        constant: Tensor | None = step.bias
    elif isinstance(step, nn.BatchNorm1d):
        assert step.running_mean is not None
        scale = _scale(step)
        scaled = cells * scale
        constant = step.bias - step.running_mean * scale
    else:
        assert isinstance(step, nn.LayerNorm)
        # given the pooled vector, LayerNorm is affine: its mean is linear, its deviation one number
        deviation = (vector.var(dim=-1, unbiased=False)[:, None, None] + step.eps).sqrt()
        scaled = (cells - cells.mean(dim=-1, keepdim=True)) / deviation * step.weight
        constant = step.bias
    return scaled if constant is None or not bias else scaled + constant / count
