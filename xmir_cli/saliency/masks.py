"""Soft random masks and what is learnt about each pixel from the scores of masked images."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Masks:
    """N masks of RISE: grids of visible cells, enlarged bilinearly and shifted at random.

    Drawn all at once from their own generator: neither the batch nor the global state matters.
    """

    grids: Tensor  # [N, cells, cells], 1 = visible
    shifts: Tensor  # [N, 2] rows and columns, below the side of a cell
    size: int  # pixels of a mask's side

    def __len__(self) -> int:
        return len(self.grids)

    def render(self, start: int, stop: int) -> Tensor:
        """The masks of this range: [B, size, size], 1 = kept, 0 = hidden."""
        grids = self.grids[start:stop, None]
        side = (grids.shape[-1] + 1) * cell_side(self.size, grids.shape[-1])
        large = functional.interpolate(grids, size=(side, side), mode="bilinear")[:, 0]
        crops = [
            mask[top : top + self.size, left : left + self.size]
            for mask, (top, left) in zip(large, self.shifts[start:stop].tolist(), strict=True)
        ]
        return torch.stack(crops)


def draw_masks(count: int, cells: int, probability: float, size: int, seed: int) -> Masks:
    """`count` masks whose every pixel is kept with `probability` on average."""
    generator = torch.Generator().manual_seed(seed)
    grids = torch.rand(count, cells, cells, generator=generator) < probability
    shifts = torch.randint(cell_side(size, cells), (count, 2), generator=generator)
    return Masks(grids.float(), shifts, size)


def cell_side(size: int, cells: int) -> int:
    """Pixels of an enlarged cell's side: as many as `cells` of them need to fill the image."""
    return -(-size // cells)


class MaskMoments:
    """Sums over masks m [size, size] and their scores s: what every estimate is made of."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.score, self.score2 = 0.0, 0.0  # sums of s and s^2
        zeros = torch.zeros(size, size, dtype=torch.float64)
        self.mask, self.mask2 = zeros, zeros  # of m and m^2
        self.product, self.product2 = zeros, zeros  # of s m and (s m)^2
        self.mixed = zeros  # of s^2 m

    def add(self, masks: Tensor, scores: Tensor) -> None:
        """Take masks [B, size, size] and their scores [B] into account."""
        m, s = masks.double(), scores.double()
        self.count += len(s)
        self.score += float(s.sum())
        self.score2 += float(s.square().sum())
        self.mask = self.mask + m.sum(dim=0)
        self.mask2 = self.mask2 + m.square().sum(dim=0)
        self.product = self.product + torch.einsum("b,bhw->hw", s, m)
        self.product2 = self.product2 + torch.einsum("b,bhw->hw", s.square(), m.square())
        self.mixed = self.mixed + torch.einsum("b,bhw->hw", s.square(), m)

    def mean_of(self, offset: float, scale: float) -> tuple[Tensor, Tensor]:
        """The mean of s (m - offset) / scale over the masks and its standard error."""
        mean = (self.product - offset * self.score) / self.count
        second = self.product2 - 2 * offset * self.mixed + offset**2 * self.score2
        variance = (second / self.count - mean.square()).clamp(min=0)
        return mean / scale, (variance / (self.count - 1)).sqrt() / scale

    def slope(self) -> tuple[Tensor, Tensor]:
        """Cov(s, m) / Var(m), the least-squares slope of s on m, and its standard error.

        Zero where all masks are alike.
        """
        mean = self.mask / self.count
        spread = self.mask2 - self.count * mean.square()
        known = spread > 1e-9 * self.count
        spread = torch.where(known, spread, 1.0)
        slope = torch.where(known, (self.product - mean * self.score) / spread, 0.0)
        total = self.score2 - self.score**2 / self.count
        unexplained = (total - slope.square() * spread).clamp(min=0) / max(self.count - 2, 1)
        return slope, torch.where(known, (unexplained / spread).sqrt(), 0.0)
