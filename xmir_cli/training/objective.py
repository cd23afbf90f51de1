"""What training makes small: a loss by name, and what that loss has to learn itself."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from xmir_cli.training.losses.multi_similarity import multi_similarity_loss
from xmir_cli.training.losses.proxy_anchor import draw_proxies, proxy_anchor_loss
from xmir_cli.training.losses.supcon import supcon_loss
from xmir_cli.training.losses.triplet import Loss, triplet_loss
from xmir_cli.training.ranks import Ranks
from xmir_cli.training.recipe import Settings

PROXY_RATE = 100  # times the learning rate, as in training code of Kim et al., CVPR 2020
_PLAIN: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "supcon": supcon_loss,
    "multi-similarity": multi_similarity_loss,
}


class Objective(nn.Module):
    """The loss of a batch; of proxy-anchor its proxies are parameters, once there are classes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.proxies: nn.Parameter | None
        self.register_parameter("proxies", None)

    def prepare(self, classes: int, dim: int, device: torch.device) -> list[nn.Parameter]:
        """Make the parameters that are wanted and not there yet, and tell them."""
        if self.settings.loss != "proxy-anchor" or self.proxies is not None:
            return []
        self.proxies = nn.Parameter(draw_proxies(classes, dim, self.settings.seed).to(device))
        return [self.proxies]

    def forward(self, raw: Tensor, labels: Tensor) -> Loss:
        """The loss of embeddings [B, D] with classes [B], and how many triplets violate."""
        name, margin = self.settings.loss, self.settings.margin
        if name == "triplet":
            return triplet_loss(raw, labels, margin)
        if self.proxies is not None:
            value = proxy_anchor_loss(raw, labels, self.proxies)
        else:
            value = _PLAIN[name](raw, labels)
        return Loss(value, triplet_loss(raw.detach(), labels, margin).violating)

    def share_gradients(self, ranks: Ranks) -> None:
        """Put the mean over the ranks in place, as that of the network's weights is.

        Each rank has the whole gradient, times the number of ranks.
        """
        for weight in self.parameters():
            if ranks.size > 1 and weight.grad is not None:
                weight.grad = ranks.sum(weight.grad) / ranks.size**2
