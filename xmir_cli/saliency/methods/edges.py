"""Control: Sobel edges of the image itself; what a method must beat that only found contrast.

Source: Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, section on edge detectors.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.sample import Explanation, Sample


@dataclass(frozen=True)
class Method:
    """S(u) = the length of the Sobel gradient of the mean over the channels."""

    unit = "contrast of the greys"
    control = True

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:  # noqa: ARG002 # sees no network
        return Explanation(edge_map(explained.input), 0)


def edge_map(image: Tensor) -> Tensor:
    """The map [H, W] of an image [3, H, W]."""
    gray = image.mean(dim=0)[None, None]
    padded = functional.pad(gray, (1, 1, 1, 1), mode="replicate")
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    kernels = torch.stack([across, across.T])[:, None]
    gradient = functional.conv2d(padded, kernels)[0]
    length: Tensor = gradient.norm(dim=0)
    return length
