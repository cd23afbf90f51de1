"""Control: Sobel edges of the image itself; what a method must beat that only found contrast.

Source: Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, section on edge detectors.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.sample import Explanation, Sample


@dataclass(frozen=True)
class Method:
    """S(u) = the length of the Sobel gradient of the mean over the channels."""

    unit = "contrast of the greys"
    control = True

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:  # noqa: ARG002 # sees no network
        gray = explained.input.mean(dim=0)[None, None]
        padded = functional.pad(gray, (1, 1, 1, 1), mode="replicate")
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
        kernels = torch.stack([across, across.T])[:, None]
        gradient = functional.conv2d(padded, kernels)[0]
        return Explanation(gradient.norm(dim=0), 0)
