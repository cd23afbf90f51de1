"""Control: a Gaussian in the middle; what a method must beat that only found the centre."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.sample import Explanation, Sample


@dataclass(frozen=True)
class Method:
    """S(u) = exp(-|u - middle|^2 / (2 sigma^2)), sigma a share of the image's side."""

    sigma: Annotated[float, "width of the Gaussian, as a share of the side"] = 0.25

    from_features = True
    control = True

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise SettingError("sigma", f"expected a number above 0, found {self.sigma:g}")

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:  # noqa: ARG002 # sees no image
        return Explanation(center_map(embedder.size, self.sigma), 0)


def center_map(size: int, sigma: float) -> Tensor:
    """The map [size, size]."""
    place = (torch.arange(size) + 0.5) / size - 0.5
    profile = torch.exp(-place.square() / (2 * sigma**2))
    return torch.outer(profile, profile)
