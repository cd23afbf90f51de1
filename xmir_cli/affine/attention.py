"""Attention whose weights are held: a weighted sum of the values."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from xmir_cli.affine.holding import Holding, NoPartsError


def attend(  # noqa: PLR0913 # the function's own arguments
    mode: Holding,
    func: object,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    direct: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention` of queries [..., n, d] over keys and values [..., m, d].

    With `direct` the values are parts. Raises NoPartsError where the tokens asked are not those
    that ask, so that the attention pools them.
    """
    del func, dropout_p  # of training
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key = key.repeat_interleave(repeats, dim=-3)
        value = value.repeat_interleave(repeats, dim=-3)

    def weigh() -> Tensor:
        scores = query @ key.transpose(-2, -1) * (scale or query.shape[-1] ** -0.5)
        if is_causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        if attn_mask is not None:
            scores = _mask(scores, attn_mask)
        return scores.softmax(dim=-1)

    if direct and query.shape[-2] != key.shape[-2]:
        raise NoPartsError("attention pools its tokens")
    return mode.hold("attention", weigh) @ (mode.part(value) if direct else value)


def _mask(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask


def attend_with_heads(  # noqa: PLR0913 # the function's own arguments
    mode: Holding,
    func: object,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    direct: bool = False,
) -> tuple[Tensor, None]:
    """`multi_head_attention_forward` of queries [n, B, C] over keys and values [m, B, C].

    A mode sees the whole of it and none of its parts. Raises ValueError for what no network of
    images asks for.
    """
    del func, embed_dim_to_check, dropout_p, training, need_weights, average_attn_weights
    unusual = (bias_k, bias_v, key_padding_mask, static_k, static_v)
    if any(each is not None for each in unusual) or add_zero_attn:
        raise ValueError("attention with added or padded keys")
    weights: Sequence[Tensor | None] = (q_proj_weight, k_proj_weight, v_proj_weight)
    if not use_separate_proj_weight:
        assert in_proj_weight is not None
        weights = in_proj_weight.chunk(3)
    biases: Sequence[Tensor | None] = [None] * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    queries, keys, values = (
        functional.linear(given, weight, bias).unflatten(-1, (num_heads, -1)).permute(1, 2, 0, 3)
        for given, weight, bias in zip((query, key, value), weights, biases, strict=True)
        if weight is not None
    )  # [B, heads, n, d] each
    if attn_mask is not None and attn_mask.ndim == 3:
        attn_mask = attn_mask.unflatten(0, (-1, num_heads))
    causal = is_causal and attn_mask is None
    mixed = attend(mode, None, queries, keys, values, attn_mask, is_causal=causal, direct=direct)
    joined = mixed.permute(2, 0, 1, 3).flatten(2)  # [n, B, C]
    return functional.linear(joined, out_proj_weight, out_proj_bias), None
