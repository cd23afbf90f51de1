"""Sliding-window occlusion (SBSM): how much farther the image moves when a part is hidden.

Source: Dong et al., Explainability for content-based image retrieval, CVPR workshops 2019.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from xmir_cli.errors import SettingError
from xmir_cli.guesses import near_hint
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.fills import NAMES, fill_image, is_fill
from xmir_cli.saliency.hidden import Hiding, hidden_embeddings
from xmir_cli.saliency.sample import Explanation, Sample
from xmir_cli.saliency.windows import boxes, coverage_mean


@dataclass(frozen=True)
class Method:
    """S(u) = mean over the windows i that cover u of max(0, d(f_target, f_i) - d(f_target, f))."""

    window_size: Annotated[int, "side of the hidden square, pixels"] = 24
    stride: Annotated[int, "pixels from one window to the next"] = 5
    grid: Annotated[
        Literal["paper", "centered", "valid"],
        "where windows start: paper and centered overhang the borders, valid does not",
    ] = "paper"
    distance: Annotated[Literal["euclidean", "cosine"], "between the unit embeddings"] = "euclidean"
    clip_windows: Annotated[
        bool, "a window that brings the images closer counts 0; without, it counts negative"
    ] = True
    fill: Annotated[
        str, "what hides: gray (0 in model space), black, mean of the image, blur or #RRGGBB"
    ] = "gray"
    incremental: Annotated[
        bool, "compute only what a window changes, where that saves work; the map stays the same"
    ] = True
    similarity_tolerance: Annotated[
        float,
        "error in a similarity that is worth the speed, such as 1e-4: changes far from a window "
        "are left out as long as windows computed exactly stay within half of it; 0 is exact. "
        "It bounds similarities: a value of the map may be off by as much with cosine, with "
        "euclidean by about it over the pair's distance, at most the root of twice it (0.014 of "
        "1e-4)",
    ] = 0.0
    budget: Annotated[
        float,
        "seconds an image: windows from coarse to fine as far as they last, the coarse grid in "
        "any case; the map then depends on the machine, and convergence in the details compares "
        "it to that of half its windows; 0 computes all",
    ] = 0.0

    unit = "distance moved when hidden"

    def __post_init__(self) -> None:
        for name, value in (("window_size", self.window_size), ("stride", self.stride)):
            if value < 1:
                raise SettingError(name, f"expected 1 pixel or more, found {value}")
        seconds, error = self.budget, self.similarity_tolerance
        for name, number in (("similarity_tolerance", error), ("budget", seconds)):
            if not number >= 0:
                raise SettingError(name, f"expected 0 or more, found {number}")
        if not is_fill(self.fill):
            raise SettingError(
                "fill",
                f"expected gray, black, mean, blur or #RRGGBB, found {self.fill}",
                near_hint(self.fill, NAMES),
            )

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        windows = boxes(embedder.size, self.window_size, self.stride, self.grid)
        hidden = hidden_embeddings(
            embedder, target, explained, windows, self._hiding(embedder, explained)
        )
        moved = self._distances(target, hidden.embeddings)
        delta = moved - self._distances(target, explained.embedding[None])
        if self.clip_windows:
            delta = delta.clamp(min=0)
        saliency = coverage_mean(windows[hidden.rows], delta[hidden.rows], embedder.size)
        details = hidden.details
        if self.budget:
            half = hidden.rows[: (len(hidden.rows) + 1) // 2]
            rough = coverage_mean(windows[half], delta[half], embedder.size)
            details |= {
                "windows": float(len(hidden.rows)),
                "windows_wanted": float(len(windows)),
                "convergence": correlation(rough, saliency),
            }
        return Explanation(saliency, hidden.evaluations, details)

    def _distances(self, target: Sample, others: Tensor) -> Tensor:
        """Distances [N] to unit embeddings [N, D], from the difference vector for its precision."""
        euclidean: Tensor = (others.double() - target.embedding.double()).norm(dim=1)
        if self.distance == "euclidean":
            return euclidean
        nothing = (others == 0).all(dim=1) | (target.embedding == 0).all()
        return torch.where(nothing, 1.0, euclidean.square() / 2)

    def _hiding(self, embedder: Embedder, explained: Sample) -> Hiding:
        recipe = embedder.recipe
        return Hiding(
            ("occlusion", self.window_size, self.stride, self.grid, self.fill),
            fill_image(self.fill, explained.input, recipe, self.window_size / 2),
            self.window_size // self.stride,
            self.incremental,
            self.similarity_tolerance,
            self.budget,
        )


def correlation(first: Tensor, second: Tensor) -> float:
    """Pearson's of two maps; 1 of the same map, even a constant one, 0 where just one is."""
    if torch.equal(first, second):
        return 1.0
    centred = [(each.double() - each.double().mean()).flatten() for each in (first, second)]
    lengths = centred[0].norm() * centred[1].norm()
    return float(centred[0] @ centred[1] / lengths) if lengths > 0 else 0.0
