"""Control: attention rollout, where a transformer's attention flows from; it sees no query.

Source: Abnar and Zuidema, Quantifying attention flow in transformers, ACL 2020. With A_k the
weights of block k, the mean over its heads, half of what a token holds behind the block is taken
for its own, half for what it attends to. The product of all blocks says how much of each place
arrives in each token; the last tokens count as the network reads them: the class token, the mean,
or the weights of an attention pooling.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from xmir_cli.affine.watching import Watched, watch
from xmir_cli.errors import ModelError
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.sample import Explanation, Sample
from xmir_cli.saliency.upsample import upsample

_TINY = 1e-12  # the length below which a gradient counts as zero
_OTHERS = "`random`, `center`, `edges` and `uniform` are controls of every network."


@dataclass(frozen=True)
class Method:
    """S = w A'_K ... A'_2 A'_1, A'_k = (A_k + I) / 2 with rows of sum 1, w what the head reads."""

    unit = "share of the attention"
    control = True
    need_attention = True

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:  # noqa: ARG002 # sees no query
        seen = watch(embedder.network, explained.input[None].to(embedder.device))
        _refuse_without_tokens(seen)
        seat = embedder.shares.seat()
        if seat is None or not seat.number:
            raise _unfit("its places are no tokens that blocks of attention follow")
        rows, columns = seat.grid
        places = range(seat.first, seat.first + rows * columns)
        flow = roll_out(seen, places)[places.start : places.stop]
        return Explanation(upsample(flow.reshape(rows, columns), embedder.size), 1)


def roll_out(seen: Watched, places: range) -> Tensor:
    """How much of each first token arrives in the embedding: [n] float64, of sum 1.

    `places` are the tokens that an attention pooling may weigh alone. All are 0 where the embedding
    reads no token. Raises ModelError where a block attends to other tokens than those it has.
    """
    blocks = [each[0].double().mean(dim=0) for each in seen.weights]  # over the heads
    count = len(seen.ends)
    own = torch.eye(count, dtype=torch.float64)
    ends = seen.ends / seen.ends.sum().clamp(min=_TINY)
    if len(blocks[-1]) == 1 != count and blocks[-1].shape[1] in {count, len(places)}:
        pooling = blocks[-1]
        ends = pooling[0]
        if len(ends) != count:
            ends = torch.zeros(count, dtype=torch.float64)
            ends[places.start : places.stop] = pooling[0]
        # a library's own pooling may have run before the one that is asked for
        while blocks and blocks[-1].shape == pooling.shape:
            blocks.pop()
    flow = own
    for block in blocks:
        if block.shape != own.shape:
            size = " x ".join(map(str, block.shape))
            raise _unfit(f"one of its attentions weighs {size}, not its {count} tokens")
        mixed = (block + own) / 2
        flow = mixed / mixed.sum(dim=1, keepdim=True) @ flow
    return ends @ flow


def _refuse_without_tokens(seen: Watched) -> None:
    """Raise ModelError where no token sees all places."""
    if not seen.weights:
        raise _unfit("it has no attention")
    if any(each.ndim != 4 or len(each) != 1 for each in seen.weights):
        raise _unfit("its attention stays within windows, so that no token sees all places")


def _unfit(reason: str) -> ModelError:
    return ModelError(f"no attention rollout of this network: {reason}", _OTHERS)
