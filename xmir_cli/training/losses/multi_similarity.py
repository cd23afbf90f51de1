"""The multi-similarity loss, with its choice of pairs."""

import torch
from torch import Tensor

from xmir_cli.model.embedder import unit
from xmir_cli.training.losses.sharing import sharing
from xmir_cli.training.losses.sums import log_one_plus

ALPHA, BETA, THRESHOLD = 2.0, 50.0, 0.5  # 0.5 as in pytorch-metric-learning; the paper: lambda
EPSILON = 0.1


def multi_similarity_loss(raw: Tensor, labels: Tensor) -> Tensor:
    """Multi-similarity loss on unit embeddings, over the pairs that are hard enough.

    A pair is positive when its images share a label, else negative. With S the cosine and e = 0.1
    it counts for its anchor i (mining, equations 8 and 9) when

        negative:  S_ij > min over i's positives of S_ik - e
        positive:  S_ij < max over i's negatives of S_ik + e

    and over the counted positives P_i and negatives N_i, with alpha = 2, beta = 50, l = 0.5:

        L = 1/B sum_i { 1/alpha log[1 + sum_{P_i} exp(-alpha (S_ik - l))]
                      + 1/beta  log[1 + sum_{N_i} exp(  beta (S_ik - l))] }

    Args:
        raw: Embeddings [B, D] of any length.
        labels: Of each, as `sharing` takes them.

    Source: Wang et al., Multi-similarity loss with general pair weighting for deep metric
    learning, CVPR 2019, equation 10.
    """
    vectors = unit(raw)
    similarity = vectors @ vectors.t()  # [B, B]
    same = sharing(labels)
    positive, negative = same.clone().fill_diagonal_(False), ~same
    known = similarity.detach()
    least = known.masked_fill(~positive, torch.inf).amin(dim=1, keepdim=True)  # [B, 1]
    most = known.masked_fill(~negative, -torch.inf).amax(dim=1, keepdim=True)
    hard_negative = negative & ~(known <= least - EPSILON)  # so that a NaN counts
    hard_positive = positive & ~(known >= most + EPSILON)
    pull = log_one_plus(-ALPHA * (similarity - THRESHOLD), hard_positive) / ALPHA
    push = log_one_plus(BETA * (similarity - THRESHOLD), hard_negative) / BETA
    return (pull + push).mean()
