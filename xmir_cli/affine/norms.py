"""Norms whose deviation is held: what is left is linear, with the mean taken off."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from xmir_cli.affine.holding import Holding


def normalise_layer(  # noqa: PLR0913 # the function's own arguments
    mode: Holding,
    func: Callable[..., Tensor],
    input: Tensor,  # noqa: A002 # torch's name
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """`layer_norm`."""
    del func, cudnn_enable
    axes = tuple(range(-len(normalized_shape), 0))

    def scale() -> Tensor:
        return (input.var(axes, unbiased=False, keepdim=True) + eps).rsqrt()

    centred = input - input.mean(axes, keepdim=True)
    return _finish(centred * mode.hold("deviations", scale), weight, bias)


def normalise_root(  # noqa: PLR0913 # the function's own arguments
    mode: Holding,
    func: Callable[..., Tensor],
    input: Tensor,  # noqa: A002 # torch's name
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """`rms_norm`."""
    del func
    axes = tuple(range(-len(normalized_shape), 0))
    least = torch.finfo(input.dtype).eps if eps is None else eps

    def scale() -> Tensor:
        return (input.square().mean(axes, keepdim=True) + least).rsqrt()

    return _finish(input * mode.hold("deviations", scale), weight, None)


def normalise_groups(  # noqa: PLR0913 # the function's own arguments
    mode: Holding,
    func: Callable[..., Tensor],
    input: Tensor,  # noqa: A002 # torch's name
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """`group_norm`."""
    del func, cudnn_enabled
    groups = input.reshape(len(input), num_groups, -1)

    def scale() -> Tensor:
        return (groups.var(-1, unbiased=False, keepdim=True) + eps).rsqrt()

    centred = groups - groups.mean(-1, keepdim=True)
    whole = (centred * mode.hold("deviations", scale)).reshape(input.shape)
    shape = (-1, *[1] * (input.ndim - 2))
    return _finish(
        whole,
        None if weight is None else weight.reshape(shape),
        None if bias is None else bias.reshape(shape),
    )


def normalise_length(  # noqa: PLR0913 # the function's own arguments
    mode: Holding,
    func: Callable[..., Tensor],
    input: Tensor,  # noqa: A002 # torch's name
    p: float = 2.0,
    dim: int = 1,
    eps: float = 1e-12,
    out: None = None,
) -> Tensor:
    """`normalize`: the length is held."""
    del func, out

    def length() -> Tensor:
        found: Tensor = input.norm(p, dim, keepdim=True)
        return found.clamp_min(eps)

    return input / mode.hold("deviations", length)


def _finish(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias
