"""Grad-CAM for embeddings: feature maps weighted by the gradient of a similarity to the target.

Source: Selvaraju et al., Grad-CAM, ICCV 2017; Chen et al., Adapting Grad-CAM for embedding
networks, WACV 2020; without pooled gradients RGrad-CAM of Zhu et al., IEEE TIP 2021.

`dot` is a share map: with average pooling its cells sum to e_target . (e - b) before the ReLU, and
without a head it is activation mapping times |e_target| |e|. `cosine` and `distance` are contrast
maps: without a head their cells sum to zero, and an image with itself has no map at all, for the
cosine is flat there and the distance has no gradient.

It looks at the last feature map alone. On transformers late tokens have exchanged places, so that
the map misleads; where a class token behind the last block is all that counts, it is refused.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from xmir_cli.errors import ModelError
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.sample import Explanation, Sample
from xmir_cli.saliency.upsample import upsample

_SAME = 1e-6  # the distance below which two unit embeddings differ by rounding alone
_TINY = 1e-12  # the norm below which an embedding counts as zero


@dataclass(frozen=True)
class Method:
    """M = ReLU(sum_c alpha_c A_c), alpha_c = mean over the cells of dt/dA_c."""

    gradient_of: Annotated[
        Literal["dot", "cosine", "distance"],
        "t: the product of the raw embeddings, or their cosine or minus their distance, which "
        "have no map for an image with itself",
    ] = "dot"
    relu: Annotated[bool, "cut off cells that speak against the similarity"] = True
    pooled: Annotated[
        bool, "average the gradient over the cells; false is RGrad-CAM, which max pooling asks for"
    ] = True

    unit = "target per place"
    from_features = True
    misleads_on_tokens = True

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        direction = embedding_gradient(self.gradient_of, target, explained)
        gradient = embedder.gradient(explained.features, direction)
        if self.pooled:
            gradient = gradient.mean(dim=(1, 2), keepdim=True)  # [C, 1, 1]
        grid = (gradient * explained.features).sum(dim=0)
        _refuse_flat(grid, explained.features)
        details = {"gradient_norm": float(direction.norm())}
        if self.gradient_of == "distance" and not direction.any():
            details["undefined"] = 1.0
        return Explanation(
            upsample(grid.clamp(min=0) if self.relu else grid, embedder.size), 0, details
        )


def _refuse_flat(grid: Tensor, features: Tensor) -> None:
    """Raise ModelError for a map [h, w] that is the same where features [C, h, w] are not."""
    same = bool((grid == grid[0, 0]).all()) and bool(grid[0, 0] != 0)
    if same and bool((features != features[:, :1, :1]).any()):
        raise ModelError(
            "no cell of the last map counts for this embedding, which a class token holds",
            "Use `method` activation, which looks through all blocks.",
        )


def embedding_gradient(name: str, target: Sample, explained: Sample) -> Tensor:
    """dt/de [D] at the explained image's raw embedding; zeros where it does not exist.

    The cosine's is (I - f f^T) f_target / |e|. Written with f_target - f, which differs by nothing
    that the projection keeps, it is exactly zero for an image with itself.
    """
    if name == "dot":
        return target.raw
    own = explained.embedding.double()
    difference = target.embedding.double() - own
    distance, length = difference.norm(), explained.raw.double().norm()
    if distance < _SAME or length < _TINY:
        return torch.zeros_like(target.raw)
    across: Tensor = (difference - own * (own @ difference)) / length
    return (across if name == "cosine" else across / distance).float()
