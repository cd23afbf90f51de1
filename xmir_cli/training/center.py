"""The mean embedding of the images that a network was trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from xmir_cli.training.examples import Example
from xmir_cli.training.session import ShowProgress
from xmir_cli.training.views import Views

_ENOUGH = 1024  # images; the mean of so many is as good as that of all


def find_mean(feed: Views, examples: Sequence[Example], bar: ShowProgress) -> Tensor:
    """The mean [D] of the raw embeddings, of many examples that of evenly spaced ones.

    It is on the network's device. The views are those of the evaluation.
    """
    chosen = examples[:: -(-len(examples) // _ENOUGH)]
    network, device = feed.embedder.network.eval(), feed.embedder.device
    total = torch.zeros(network.dim, dtype=torch.float64)
    with torch.no_grad(), bar("centering", len(chosen), "images") as progress:
        for images in feed.load_plain(chosen, feed.embedder.batch):
            total += network(images).double().cpu().sum(dim=0)
            progress.advance(len(images))
    return (total / len(chosen)).float().to(device)
