"""The similarity-mining loss: once what the attention maps show is hidden, nothing should be left.

Source: Zheng et al., Re-identification with consistent attentive siamese networks, CVPR 2019, and
Zheng et al., Visual similarity attention, IJCAI 2022; distances are taken per triplet. Everything
here is differentiable: the loss reaches the weights through the maps and through the masked images.
"""

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from xmir_cli.errors import DataError, ModelError
from xmir_cli.model.embedder import unit
from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.network import Network
from xmir_cli.training.losses.distances import distances
from xmir_cli.training.losses.sharing import sharing

TRIPLETS = 8  # of a batch at most: three masked images each pass through the network again
SHARPNESS, THRESHOLD = 10.0, 0.5  # of the mask, a sigmoid of the map scaled to [0, 1]


def check_maps(network: Network) -> None:
    """Raise ModelError unless the embedding is pooled from a feature map."""
    if isinstance(network.head, OpaqueHead):
        raise ModelError(
            "`attention_loss`: this network's embedding is not pooled from a feature map "
            "(class token or attention pooling)",
            "Leave it out, or train a network with pooling: densenet121, resnet50, convnext_tiny.",
        )


def draw_triplets(labels: Tensor, rng: Generator) -> Tensor:
    """Positions [T, 3] of anchor, positive and negative in a batch.

    At most `TRIPLETS`, and no more than their images would fill the batch. Anchors differ, unless
    several labels leave too few images that have both: a positive and a negative.
    Raises DataError where no image has.

    Args:
        labels: Of the batch, as `sharing` takes them.
        rng: What draws.
    """
    same = sharing(labels)
    able = same.fill_diagonal_(False).any(dim=1) & (same.sum(dim=1) < len(labels) - 1)
    drawn = [place for place in rng.permutation(len(labels)).tolist() if able[place]]
    if not drawn:
        raise DataError(
            "the attention loss has no triplet in a batch: all of its images share a label",
            "Leave `attention_loss` out, or the label that nearly every image has.",
        )
    triplets = []
    for anchor in np.resize(drawn, triplet_count(len(labels))).tolist():
        negative = ~same[anchor]
        negative[anchor] = False
        other = rng.choice(torch.nonzero(negative)[:, 0])
        triplets.append([anchor, int(rng.choice(torch.nonzero(same[anchor])[:, 0])), int(other)])
    return torch.tensor(triplets)


def triplet_count(batch: int) -> int:
    """How many of them are drawn in a batch."""
    return min(TRIPLETS, batch // 3)


def attention_loss(network: Network, images: Tensor, features: Tensor, triplets: Tensor) -> Tensor:
    """How unequal the positive and the negative still are where the attention did not look.

    With the attention map M of each member scaled to [0, 1] and upsampled:

        T = sigmoid(10 (M - 0.5)),  x* = x (1 - T),  f* = the unit embedding of x*
        L = mean over the triplets of | |f*_a - f*_p| - |f*_a - f*_n| |

    The masked images leave the running statistics of batch norms as they are.

    Args:
        network: The network in training.
        images: Its input [B, 3, S, S]; 0 is what hidden pixels become.
        features: Their feature maps [B, C, h, w], with the graph to the weights.
        triplets: Positions [T, 3] of anchor, positive, negative.
    """
    members = triplets.flatten()  # [3T]
    maps = attention_maps(network.head, features.index_select(0, members).float())
    large = functional.interpolate(
        scale_maps(maps)[:, None], size=images.shape[2:], mode="bilinear", align_corners=False
    )
    seen = torch.sigmoid(SHARPNESS * (large - THRESHOLD))  # [3T, 1, S, S]
    masked = images.index_select(0, members) * (1 - seen)
    distance = distances(unit(_apart(network, masked)))
    anchor, positive, negative = torch.arange(len(members)).view(-1, 3).T
    return (distance[anchor, positive] - distance[anchor, negative]).abs().mean()


def attention_maps(head: nn.Module, features: Tensor) -> Tensor:
    """Maps [3T, h, w] of features [3T, C, h, w]: an anchor, its positive, its negative, the next.

        w = (1 - |f_a - f_p|) * |f_a - f_n|  of unit embeddings, a constant
        M = ReLU(sum_c alpha_c A_c),  alpha_c = mean over the cells of d(sum_k w_k e_k) / dA_c

    as the saliency method attention draws them for a triplet. Gradients flow through A and
    through alpha.
    """
    features = features.requires_grad_()  # also where all layers before the head are frozen
    raw = _apart(head, features)
    anchor, positive, negative = unit(raw.detach()).view(-1, 3, raw.shape[1]).unbind(dim=1)
    weights = (1 - (anchor - positive).abs()) * (anchor - negative).abs()  # [T, D]
    score = (weights.repeat_interleave(3, dim=0) * raw).sum()
    (gradient,) = torch.autograd.grad(score, features, create_graph=True)
    alpha = gradient.mean(dim=(2, 3), keepdim=True)  # [3T, C, 1, 1]
    return (alpha * features).sum(dim=1).relu()


def scale_maps(maps: Tensor) -> Tensor:
    """Each map [h, w] of [N, h, w] from 0 to 1; one that is the same everywhere becomes 0."""
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=1e-12)


def _apart(module: nn.Module, given: Tensor) -> Tensor:
    """The raw embeddings, float32; batch norms count on copies of their running statistics."""
    copies = {name: buffer.clone() for name, buffer in module.named_buffers()}
    raw: Tensor = functional_call(module, copies, (given,))
    return raw.float()
