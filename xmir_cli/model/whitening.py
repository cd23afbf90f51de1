"""The whitening of an index as the last step of a network's head."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from xmir_cli.store.whitening import Whitener

_TINY = 1e-12  # as `unit` has it


class Whiten(nn.Module):
    """W (e / |e| - m) of raw embeddings e [B, D]: [B, d].

    Its tensors are those of an index and none of the network's weights: they are in no state dict.
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, whitener: Whitener) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(whitener.mean), persistent=False)
        self.register_buffer("matrix", torch.from_numpy(whitener.matrix), persistent=False)

    @property
    def dims(self) -> tuple[int, int]:
        """D and d."""
        return self.matrix.shape[1], self.matrix.shape[0]

    def forward(self, raw: Tensor) -> Tensor:
        left = functional.normalize(raw, dim=-1, eps=_TINY) - self.mean
        return functional.linear(left, self.matrix)

    def spread(self, cells: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """The cells' shares [B, n, D] of `raw` [B, D] as shares [B, n, d], and the constant [d].

        Given the length of `raw` it is affine: the shares of the cells and the constant sum to it.
        """
        length = raw.norm(dim=-1).clamp(min=_TINY)[:, None, None]
        return (cells / length) @ self.matrix.T, -(self.matrix @ self.mean)
