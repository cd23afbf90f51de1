"""Similarity attention: channels weighted by how little the two embeddings differ there.

Source: Zheng et al., Re-identification with consistent attentive siamese networks, CVPR 2019, and
Zheng et al., Visual similarity attention, IJCAI 2022. A pair alone gives weights 1 - |f_q - f_r|
close to 1, so its map is nearly the channel sum of the image's features and hardly depends on the
query; `weight_spread` in the details says how far from that it is.

On a transformer, whose last map's cells have exchanged places, the map is ReLU of what each place
of `activation` has in sum_k w_k e_k: the same thing where an average is all that follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.forms import form_of, needs_image
from xmir_cli.saliency.sample import Explanation, Sample
from xmir_cli.saliency.upsample import upsample

_NEGATIVES = {"pair": 0, "triplet": 1, "quadruplet": 2}


@dataclass(frozen=True)
class Method:
    """M = ReLU(sum_c alpha_c A_c), alpha_c = mean over the cells of d(sum_k w_k e_k)/dA_c."""

    tuple: Annotated[
        Literal["pair", "triplet", "quadruplet"],
        "pair: w is nearly 1 and the map nearly independent of the query; triplet and quadruplet "
        "also weigh by the difference from one or two negative images",
    ] = "pair"
    abs: Annotated[bool, "score the absolute embedding, as x-mir does; matters with a head"] = False
    variant: Annotated[
        Literal["own", "paper"], "paper: as the X-MIR paper's released code, which means abs"
    ] = "own"

    unit = "weighted activation"
    from_features = True
    of_places = True
    misleads_on_tokens = True

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        anchor = target if target.negatives else explained  # the query carries the negatives
        wanted = _NEGATIVES[self.tuple]
        if wanted and len(anchor.negatives) != wanted:  # more would be named and not used
            noun = "negative" if wanted == 1 else "negatives"
            raise SettingError(
                "tuple",
                f"expected {wanted} {noun}, found {len(anchor.negatives)}",
                "Name so many with `negatives` IMAGE.",
                value=self.tuple,
            )
        weights = channel_weights(target, explained, anchor, anchor.negatives[:wanted])
        details: dict[str, float | str] = {"weight_spread": weight_spread(weights)}
        absolute = self.abs or self.variant == "paper"
        if needs_image(embedder, vars(self)):
            form = form_of(embedder, explained)
            aim = weights * explained.raw.sign() if absolute else weights
            places = form.pull(aim).places * explained.raw.norm()
            grid = places.reshape(form.grid).clamp(min=0)
            details |= form.told
        else:
            grid = attention_map(embedder, weights, explained.features, absolute)
        return Explanation(upsample(grid, embedder.size), 0, details)


def channel_weights(
    target: Sample, explained: Sample, anchor: Sample, negatives: Sequence[Sample]
) -> Tensor:
    """Weights w [D] = (1 - |f_t - f_e|) * |f_anchor - f_n1| * |f_anchor - f_n2| ..."""
    weights = 1 - (target.embedding - explained.embedding).abs()
    for negative in negatives:
        weights = weights * (anchor.embedding - negative.embedding).abs()
    return weights


def attention_map(embedder: Embedder, weights: Tensor, features: Tensor, absolute: bool) -> Tensor:
    """The map [h, w] of features [C, h, w]; gradients run through the head alone."""
    if absolute:
        with torch.no_grad():
            weights = weights * embedder.project(features[None])[0].float().cpu().sign()
    alpha = embedder.gradient(features, weights).mean(dim=(1, 2), keepdim=True)  # [C, 1, 1]
    return (alpha * features).sum(dim=0).clamp(min=0)


def weight_spread(weights: Tensor) -> float:
    """|w - mean w| / mean w: 0 when every channel weighs the same; 0 for weights all zero."""
    mean = float(weights.mean())
    return float((weights - mean).norm()) / abs(mean) if mean else 0.0
