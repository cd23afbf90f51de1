"""RISE for similarity: what the image keeps of its similarity behind random soft masks.

Source: Petsiuk et al., RISE, BMVC 2018; the debiased form after xaitk-saliency, the correlation
after CorrRISE (Lu, Xu and Ebrahimi, WACV 2024), here as the slope of the similarity on the mask.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from xmir_cli import steps
from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.masks import MaskMoments, Masks, draw_masks
from xmir_cli.saliency.sample import Explanation, Sample


@dataclass(frozen=True)
class Method:
    """From s_i = s(target, m_i * image): Cov(s, m(u)) / Var(m(u)), or means of s_i m_i(u)."""

    masks: Annotated[int, "how many; the error falls with their square root"] = 1000
    cells: Annotated[int, "cells of a mask's side before it is enlarged"] = 7
    probability: Annotated[float, "that a cell is visible"] = 0.5
    estimate: Annotated[
        Literal["slope", "debiased", "rise"],
        "slope: similarity gained a unit of visibility, signed; debiased: mean of s (m - p); rise: "
        "mean of s m / p, the paper's, never negative for non-negative similarities",
    ] = "slope"
    seed: Annotated[int, "another seed gives other masks; all images share them"] = 0
    unit = "similarity per visibility"
    doubtful = True

    def __post_init__(self) -> None:
        for name, value, least in (("masks", self.masks, 2), ("cells", self.cells, 1)):
            if value < least:
                raise SettingError(name, f"expected {least} or more, found {value}")
        if not 0 < self.probability < 1:
            raise SettingError(
                "probability", f"expected a number between 0 and 1, found {self.probability:g}"
            )

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        masks = draw_masks(self.masks, self.cells, self.probability, embedder.size, self.seed)
        embeddings = self._masked_embeddings(embedder, explained, masks)
        scores = embeddings.double() @ target.embedding.double()
        saliency, error = self._estimate(masks, scores, embedder.batch)
        details = {"standard_error": float(error.mean())}
        return Explanation(saliency.float(), len(masks), details)

    def _masked_embeddings(self, embedder: Embedder, explained: Sample, masks: Masks) -> Tensor:
        """Unit embeddings [N, D] behind each mask; hidden is 0 in model space, the mean grey.

        They do not depend on the target: one computation serves every query.
        """
        key = ("rise", self.masks, self.cells, self.probability, self.seed)
        if key not in explained.memo:
            steps.begin(len(masks))

            def hide(rows: Tensor) -> Tensor:
                masked = masks.render(int(rows[0]), int(rows[-1]) + 1)
                return masked[:, None] * explained.input

            explained.memo[key] = embedder.embed_made(torch.arange(len(masks)), hide)
        return explained.memo[key]

    def _estimate(self, masks: Masks, scores: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """The map and its standard error [size, size], from the masks drawn once more."""
        moments = MaskMoments(masks.size)
        for start in range(0, len(masks), batch):
            rendered = masks.render(start, min(start + batch, len(masks)))
            moments.add(rendered, scores[start : start + batch])
        if self.estimate == "slope":
            return moments.slope()
        if self.estimate == "debiased":
            return moments.mean_of(self.probability, 1.0)
        return moments.mean_of(0.0, self.probability)
