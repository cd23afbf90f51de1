"""The supervised contrastive loss."""

import torch
from torch import Tensor

from xmir_cli.model.embedder import unit
from xmir_cli.training.losses.sharing import sharing

TEMPERATURE = 0.1


def supcon_loss(raw: Tensor, labels: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Supervised contrastive loss on unit embeddings, the mean over anchors with a positive.

    With s the cosine, A(i) all others in the batch and P(i) those of them that share a label
    with i:

        L_i = -1 / |P(i)| sum_{p in P(i)} log( exp(s_ip / t) / sum_{a in A(i)} exp(s_ia / t) )
        L = mean of L_i over the i that have a positive,  0 when none has one

    Args:
        raw: Embeddings [B, D] of any length.
        labels: Of each, as `sharing` takes them.
        temperature: t; the smaller it is, the more the nearest ones of other labels count.

    Source: Khosla et al., Supervised contrastive learning, NeurIPS 2020, equation 2 (L_out).
    """
    vectors = unit(raw)
    itself = torch.eye(len(labels), dtype=torch.bool, device=raw.device)
    positive = sharing(labels) & ~itself  # [B, B]
    logits = (vectors @ vectors.t() / temperature).masked_fill(itself, -torch.inf)
    logs = logits - logits.logsumexp(dim=1, keepdim=True)
    counts = positive.sum(dim=1)
    each = -torch.where(positive, logs, 0).sum(dim=1) / counts.clamp(min=1)  # [B]
    return each.sum() / (counts > 0).sum().clamp(min=1)
