"""Sliding-window occlusion (SBSM): how much farther the image moves when a part is hidden.

Source: Dong et al., Explainability for content-based image retrieval, CVPR workshops 2019.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from xmir_cli.errors import UsageError
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.incremental import embed_hidden, worthwhile
from xmir_cli.saliency.fills import fill_image, is_fill
from xmir_cli.saliency.sample import Explanation, Sample
from xmir_cli.saliency.windows import box_sums, boxes, coverage_mean


@dataclass(frozen=True)
class Method:
    """S(u) = mean over the windows i that cover u of max(0, d(f_target, f_i) - d(f_target, f))."""

    window: Annotated[int, "side of the hidden square, pixels"] = 24
    stride: Annotated[int, "pixels from one window to the next"] = 5
    grid: Annotated[
        Literal["paper", "centered", "valid"],
        "where windows start: paper and centered overhang the borders, valid does not",
    ] = "paper"
    distance: Annotated[Literal["euclidean", "cosine"], "between the unit embeddings"] = "euclidean"
    clip: Annotated[
        Literal["mask", "none"],
        "mask: a window that brings the images closer counts 0; none: it counts negative",
    ] = "mask"
    fill: Annotated[
        str, "what hides: gray (0 in model space), black, mean of the image, blur or #RRGGBB"
    ] = "gray"
    incremental: Annotated[
        bool, "compute only what a window changes, where that saves work; the map stays the same"
    ] = True

    def __post_init__(self) -> None:
        for name, value in (("window", self.window), ("stride", self.stride)):
            if value < 1:
                raise UsageError(f"--{name}: expected 1 pixel or more, found {value}")
        if not is_fill(self.fill):
            raise UsageError(
                f"--fill: expected gray, black, mean, blur or #RRGGBB, found {self.fill}"
            )

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        windows = boxes(embedder.size, self.window, self.stride, self.grid)
        hidden, evaluations, details = self._hidden_embeddings(embedder, explained, windows)
        moved = self._distances(target, hidden)
        delta = moved - self._distances(target, explained.embedding[None])
        if self.clip == "mask":
            delta = delta.clamp(min=0)
        saliency = coverage_mean(windows, delta, embedder.size)
        return Explanation(saliency, evaluations, details)

    def _distances(self, target: Sample, others: Tensor) -> Tensor:
        """Distances [N] to unit embeddings [N, D], from the difference vector for its precision."""
        euclidean: Tensor = (others.double() - target.embedding.double()).norm(dim=1)
        if self.distance == "euclidean":
            return euclidean
        nothing = (others == 0).all(dim=1) | (target.embedding == 0).all()
        return torch.where(nothing, 1.0, euclidean.square() / 2)

    def _hidden_embeddings(
        self, embedder: Embedder, explained: Sample, windows: Tensor
    ) -> tuple[Tensor, int, dict[str, float]]:
        """Unit embeddings [N, D] with each window hidden, how many passes they take, and how.

        They do not depend on the target: one computation serves every query, both directions and
        self-similarity. A window that hides what equals its fill changes nothing and costs nothing.
        """
        image, recipe = explained.input, embedder.spec.preprocessing
        fill = fill_image(self.fill, image, recipe, self.window / 2)
        changed = box_sums((image != fill).any(dim=0), windows) > 0
        shown = windows[changed]
        program = worthwhile(embedder, shown) if self.incremental else None
        key = ("occlusion", self.window, self.stride, self.grid, self.fill, self.incremental)
        if key not in explained.memo:
            embeddings = explained.embedding.repeat(len(windows), 1)
            embeddings[changed] = embed_hidden(embedder, (image, fill), shown, program)
            explained.memo[key] = embeddings
        details = {"incremental": float(program is not None)}
        return explained.memo[key], len(shown), details
