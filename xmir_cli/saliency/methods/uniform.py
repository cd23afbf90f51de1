"""Control: the same value everywhere; all ties, so it shows what the order of ties alone does."""

from dataclasses import dataclass

import torch

from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.sample import Explanation, Sample


@dataclass(frozen=True)
class Method:
    """S(u) = 1."""

    from_features = True
    control = True

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:  # noqa: ARG002 # sees no image
        return Explanation(torch.ones(embedder.size, embedder.size), 0)
