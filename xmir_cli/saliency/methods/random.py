"""Control: independent uniform noise; what any method must beat."""

import hashlib
from dataclasses import dataclass
from typing import Annotated

import torch

from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.sample import Explanation, Sample


@dataclass(frozen=True)
class Method:
    """S(u) uniform on [0, 1), the same for the same seed and the same two images."""

    seed: Annotated[int, "another seed gives other noise"] = 0

    control = True

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        content = hashlib.sha256(str(self.seed).encode())
        content.update(target.input.numpy().tobytes())
        content.update(explained.input.numpy().tobytes())
        seed = int.from_bytes(content.digest()[:7], "big")
        generator = torch.Generator().manual_seed(seed)
        return Explanation(torch.rand(embedder.size, embedder.size, generator=generator), 0)
