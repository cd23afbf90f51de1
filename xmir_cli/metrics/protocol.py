"""Every choice that a causal metric rests on, and what it does with one image."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from xmir_cli.metrics.blur import blur, folded_gaussian
from xmir_cli.metrics.causal import CausalCurves, Ends, causal_curves
from xmir_cli.metrics.impute import NOISE as ROAD_NOISE
from xmir_cli.metrics.impute import impute
from xmir_cli.metrics.order import pixel_ranks
from xmir_cli.model.embedder import Embedder

Blur = Literal["paper", "rise"]
BlurPadding = Literal["zero", "reflect"]
Substrate = Literal["gray", "blur", "mean", "noise", "road"]
Order = Literal["morf", "lerf"]
Ties = Literal["row", "random"]

BLURS: Mapping[Blur, tuple[int, float]] = {  # kernel in pixels, sigma of the folded Gaussian
    "paper": (51, math.sqrt(50)),
    "rise": (11, 5.0),
}


@dataclass(frozen=True)
class Protocol:
    """The settings of insertion and deletion; the defaults are the paper's."""

    blur: Blur = "paper"
    blur_padding: BlurPadding = "zero"
    substrate: Substrate = "gray"  # what deleted pixels become; gray is zero in model space
    order: Order = "morf"  # most relevant first, or least relevant first
    ties: Ties = "row"
    steps: int | None = None  # None is one row of pixels a step
    seed: int = 0  # of random ties and of noise

    def step(self, height: int, width: int) -> int:
        """Pixels a step."""
        if self.steps is None:
            return width
        return math.ceil(height * width / self.steps)

    def ranks(self, saliency: Tensor) -> Tensor:
        """The order of the pixels by the map [H, W], see `pixel_ranks`."""
        return pixel_ranks(
            saliency, self.order == "lerf", self.seed if self.ties == "random" else None
        )

    def ends(self, image: Tensor) -> Ends:
        """Where the curves of the image [3, H, W] begin and end."""
        kernel = folded_gaussian(*BLURS[self.blur])
        blurred = blur(image, kernel, self.blur_padding == "reflect")
        if self.substrate == "blur":
            return Ends(image, blurred, blurred)
        return Ends(image, blurred, self._substrate(image))

    def impute(self, image: Tensor, deleted: Tensor) -> Tensor:
        """Images [N, 3, H, W] whose deleted pixels [N, H, W] are guessed, with noise on them."""
        return impute(image, deleted) + self._noise(image) * deleted[:, None]

    def _noise(self, image: Tensor) -> Tensor:
        """ROAD's noise [3, H, W], one for all steps."""
        generator = torch.Generator().manual_seed(self.seed)
        return ROAD_NOISE * torch.randn(image.shape, generator=generator).to(image)

    def _substrate(self, image: Tensor) -> Tensor:
        if self.substrate == "gray":
            return torch.zeros_like(image)
        mean = image.mean(dim=(1, 2), keepdim=True)
        if self.substrate == "mean":
            return mean.expand_as(image)
        if self.substrate == "road":  # all are guessed: nothing else is known
            return mean + self._noise(image)
        # noise keeps each channel's mean and deviation and nothing else of the image
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(image.shape, generator=generator).to(image)
        return mean + noise * image.std(dim=(1, 2), keepdim=True)

    def describe(self, embedder: Embedder, image: Tensor) -> dict[str, object]:
        """Every parameter as plain data; the fill colour in 8 bit, None when it is no colour."""
        kernel, sigma = BLURS[self.blur]
        return {
            "blur": self.blur,
            "blur_kernel": kernel,
            "blur_sigma": sigma,
            "blur_padding": self.blur_padding,
            "substrate": self.substrate,
            "fill": self._fill(embedder, image),
            "step": self.step(*image.shape[1:]),
            "order": self.order,
            "ties": self.ties,
            "seed": self.seed,
            **({"road_noise": ROAD_NOISE} if self.substrate == "road" else {}),
            "weights_sha256": embedder.spec.weights_sha256,
        }

    def _fill(self, embedder: Embedder, image: Tensor) -> list[float] | None:
        if self.substrate not in {"gray", "mean"}:
            return None
        recipe = embedder.recipe
        mean, std = torch.tensor(recipe.mean), torch.tensor(recipe.std)
        color = self._substrate(image)[:, 0, 0] * std + mean
        return [round(value * 255, 1) for value in color.tolist()]


def score_maps(  # noqa: PLR0913 # a pair, its maps, and how they are scored
    embedder: Embedder,
    target: Tensor,
    explained: tuple[Ends, Tensor],
    saliency: Sequence[Tensor],
    protocol: Protocol,
    scored: int = 0,
    similarity: Callable[[Tensor, Tensor], Tensor] = torch.matmul,
) -> list[CausalCurves]:
    """Insertion and deletion of several maps of one pair, in shared batches.

    Args:
        embedder: The network that the similarity comes from.
        target: The unit embedding [D] that stays fixed.
        explained: The ends of the explained image, and their unit embeddings [3, D].
        saliency: Its maps, [S, S] each.
        protocol: The settings.
        scored: How many maps were before these, as the size of the job decides how it is done.
        similarity: Of unit embeddings [N, D] to the target: [N].
    """
    if not saliency:
        return []
    ends, embeddings = explained
    intact, *others = (
        part.to(embedder.device) for part in (ends.intact, ends.blurred, ends.substrate)
    )
    on_device = Ends(intact, others[0], others[1])
    if protocol.substrate == "road":
        on_device = replace(on_device, guess=partial(protocol.impute, intact))
    at_ends = similarity(embeddings, target).clamp(max=1)
    ranks = [protocol.ranks(each) for each in saliency]
    step = protocol.step(*ends.intact.shape[1:])
    job = 2 * (scored + len(saliency)) * math.ceil(ends.intact[0].numel() / step)

    def score(images: Tensor) -> Tensor:
        return similarity(embedder.embed(images, job), target).clamp(max=1)

    return causal_curves(score, on_device, at_ends, ranks, step, 4 * embedder.batch)
