"""Integrated gradients of the similarity: pixel by pixel, along the way from a bare baseline.

Source: Sundararajan et al., Axiomatic attribution for deep networks, ICML 2017. The map sums to
s(image) - s(baseline) up to the error of the sum over steps, `completeness_residual` in the
details. Without biases a network's embedding only grows along the way from gray and its direction
stays: the similarity then jumps at the baseline itself, and the residual is all of it.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from xmir_cli import steps
from xmir_cli.affine.deriving import deriving
from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder, unit
from xmir_cli.saliency.fills import fill_image
from xmir_cli.saliency.sample import Explanation, Sample, similarity

_BLUR = 0.1  # sigma of the blurred baseline, as a share of the side


@dataclass(frozen=True)
class Method:
    """S(u) = sum over the channels of (x - b) * mean_k ds(b + (k - 1/2)/K (x - b))/dx."""

    path_baseline: Annotated[
        Literal["gray", "black", "blur"],
        "where the way begins: gray (0 in model space), black, or the image blurred",
    ] = "gray"
    path_steps: Annotated[int, "points on the way, at the middle of equal parts"] = 32

    unit = "similarity per pixel"
    misleads_on_tokens = True
    doubtful = True

    def __post_init__(self) -> None:
        if self.path_steps < 1:
            raise SettingError("path_steps", f"expected 1 or more, found {self.path_steps}")

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        image, recipe = explained.input, embedder.recipe
        baseline = fill_image(self.path_baseline, image, recipe, _BLUR * embedder.size)
        way = image - baseline
        gradient = torch.zeros_like(image, dtype=torch.float64)
        steps.begin(self.path_steps)
        for places in ((torch.arange(self.path_steps) + 0.5) / self.path_steps).split(
            embedder.batch
        ):
            points = baseline + places[:, None, None, None] * way
            gradient += input_gradients(embedder, target, points).double().sum(dim=0)
            steps.advance(len(places))
        saliency = (way * gradient / self.path_steps).sum(dim=0)
        start = embedder.embed(baseline[None])[0].double() @ target.embedding.double()
        gained = similarity(target, explained) - float(start)
        details = {"completeness_residual": gained - float(saliency.sum())}
        return Explanation(saliency.float(), self.path_steps + 1, details)


def input_gradients(embedder: Embedder, target: Sample, images: Tensor) -> Tensor:
    """The gradients [B, 3, S, S], on the CPU, of the similarity of images to the target."""
    leaf = images.to(embedder.device, memory_format=torch.channels_last).requires_grad_()
    with deriving(), torch.enable_grad():
        embeddings = unit(embedder.network(leaf.clone()).float())
        total = (embeddings @ target.embedding.to(embeddings)).sum()
        (gradients,) = torch.autograd.grad(total, leaf)
    return gradients.cpu()
