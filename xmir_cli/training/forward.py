"""A batch's way through the network in training: one module, whose gradients ranks can average."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError
from xmir_cli.model.network import Network
from xmir_cli.training.attention import attention_loss
from xmir_cli.training.freeze import NORMS
from xmir_cli.training.ranks import Ranks

_SYNCHRONISED = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)  # and nothing that adds to them


class ForwardPass(nn.Module):
    """Raw embeddings of a rank's images, and its part of the attention loss; `narrow` is bf16."""

    def __init__(self, network: Network, ranks: Ranks, narrow: bool) -> None:
        super().__init__()
        self.network, self.ranks, self.narrow = network, ranks, narrow

    def forward(self, images: Tensor, triplets: Tensor | None) -> tuple[Tensor, Tensor]:
        """Embeddings [b, D] of images [b, 3, S, S], and the loss on this rank's part of triplets.

        `triplets` [T, 3] are positions in the batch of all ranks; without them that loss is 0.
        """
        kind = images.device.type
        with torch.autocast(kind, torch.bfloat16) if self.narrow else nullcontext():
            features = self.network.features(images)
            raw = self.network.head(features)
            mined = torch.zeros(())
            if triplets is not None:
                mined = self._mine(images, features, triplets.to(images.device))
        return raw.float(), mined

    def _mine(self, images: Tensor, features: Tensor, triplets: Tensor) -> Tensor:
        """The mean over all triplets, of which the other ranks have their parts."""
        if self.ranks.size == 1:
            return attention_loss(self.network, images, features, triplets)
        members = triplets.flatten()  # [3T]
        places = torch.arange(len(members), device=members.device).view(-1, 3)
        own = places[self.ranks.rank :: self.ranks.size]  # [t, 3] among the members
        images = self.ranks.fetch(images, members)
        features = self.ranks.fetch(features.float(), members)
        loss = attention_loss(self.network, images, features, own)
        return loss * len(own) / len(triplets)


def share_gradients(forward: ForwardPass, device: torch.device) -> nn.Module:
    """The same on several ranks: each has the mean gradient of all after a backward pass.

    Batch norms in training count all ranks' images; raises ModelError where they cannot.
    """
    if forward.ranks.size == 1:
        return forward
    for parent in list(forward.modules()):
        for name, child in parent.named_children():
            if isinstance(child, NORMS) and child.training:
                setattr(parent, name, _synchronised(child, device))
    return nn.parallel.DistributedDataParallel(
        forward,
        device_ids=None if device.type == "cpu" else [device],
        find_unused_parameters=True,  # a network may have some for other purposes
    )


def _synchronised(norm: nn.Module, device: torch.device) -> nn.Module:
    if device.type == "cpu" or type(norm) not in _SYNCHRONISED:
        where = "on a CPU" if device.type == "cpu" else f"of the kind {type(norm).__name__}"
        raise ModelError(
            f"batch norms {where} would see only a rank's part of each batch",
            "Keep them as they are with `freeze_batchnorm`"
            + (", or train on CUDA devices." if device.type == "cpu" else "."),
        )
    synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)
    return synchronised
