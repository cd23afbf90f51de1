"""Operations below autograd and the layers they stand for; all others are unknown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from xmir_cli.program.boxes import Size
from xmir_cli.program.concatenation import Concatenation
from xmir_cli.program.convolution import Convolution
from xmir_cli.program.kernel import Kernel, PerAxis
from xmir_cli.program.layers import Layer
from xmir_cli.program.padding import Padding
from xmir_cli.program.pointwise import Affine, Arithmetic, Pointwise
from xmir_cli.program.pooling import GlobalMean, Pooling

_aten = torch.ops.aten


@dataclass(eq=False)
class Node:
    """A layer in the graph of a network; the image has none."""

    layer: Layer | None
    inputs: list["Node"]
    channels: int
    size: Size
    room: "Node | None" = None  # the last concatenation in the memory of this one


Builder = Callable[..., Layer]  # of the node and the operation's arguments after the first


class UnknownLayerError(Exception):
    """The network does something that cannot be followed cell by cell."""


def _need(condition: bool, what: str) -> None:
    if not condition:
        raise UnknownLayerError(what)


def _single(node: Node) -> None:
    _need(len(node.inputs) == 1, "an operand that depends on the image")


def _convolution(  # noqa: PLR0913 # the operation's own arguments
    node: Node,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Layer:
    del output_padding
    _single(node)
    _need(not transposed and len(stride) == 2, "convolution")
    shape = (weight.shape[2], weight.shape[3])
    kernel = Kernel(shape, _pair(stride), _pair(padding), _pair(dilation))
    return Convolution(weight.detach(), None if bias is None else bias.detach(), kernel, groups)


def _max_pool(  # noqa: PLR0913 # the operation's own arguments
    node: Node,
    size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> Layer:
    kernel = Kernel(_pair(size), _pair(stride or size), _pair(padding), _pair(dilation))
    return _pooling(node, True, kernel, ceil_mode)


def _average_pool(  # noqa: PLR0913 # the operation's own arguments
    node: Node,
    size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Layer:
    kernel = Kernel(_pair(size), _pair(stride or size), _pair(padding), (1, 1))
    whole = divisor_override is None and (count_include_pad or not any(padding))
    _need(whole, "a mean of something else than the window")
    return _pooling(node, False, kernel, ceil_mode)


def _pooling(node: Node, largest: bool, kernel: Kernel, ceil_mode: bool) -> Layer:
    _single(node)
    if ceil_mode:  # which may change nothing
        seen, size, padding = kernel.sees((0, 0, *node.size)), node.inputs[0].size, kernel.padding
        within = all(seen[2 + axis] <= size[axis] + padding[axis] for axis in (0, 1))
        _need(within, "pooling beyond the border")
    return Pooling(largest, kernel)


def _batch_norm(  # noqa: PLR0913 # the operation's own arguments
    node: Node,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    training: bool,
    momentum: float,
    epsilon: float,
) -> Layer:
    del momentum
    _single(node)
    _need(not training, "batch statistics")
    scale = (variance.double() + epsilon).rsqrt()
    if weight is not None:
        scale = scale * weight.double()
    shift = -mean.double() * scale
    if bias is not None:
        shift = shift + bias.double()
    return Affine(scale.float(), shift.float())


def _concatenation(node: Node, dim: int = 0) -> Layer:
    _need(dim in {1, -3}, "concatenation of cells")
    return Concatenation(node.channels)


def _mean(node: Node, dims: Sequence[int], keepdim: bool = False) -> Layer:
    _single(node)
    _need(keepdim and sorted(dim % 4 for dim in dims) == [2, 3], "mean")
    return GlobalMean()


def _padding(node: Node, margins: Sequence[int], value: float = 0.0) -> Layer:
    _single(node)
    _need(len(margins) == 4 and min(margins) >= 0, "padding")
    return Padding(margins, value)


def _same(node: Node, *_: object, **__: object) -> Layer:
    """A copy in another layout of memory; a single cell has no order of its own."""
    before = node.inputs[0]
    _single(node)
    _need(before.size == node.size and before.channels == node.channels, "a view")
    _need(prod(node.size) == 1, "a view")
    return Pointwise("same", _itself, _itself)


def _itself(maps: Tensor) -> Tensor:
    return maps


def _combination(function: Callable[[Tensor, Tensor], Tensor]) -> Builder:
    def build(node: Node, other: object, alpha: float = 1) -> Layer:
        _need(alpha == 1, "a weighted sum")
        if isinstance(other, int | float):
            number = torch.tensor(float(other))

            def combine(maps: Tensor) -> Tensor:
                return function(maps, number)

            return Pointwise("number", combine, combine)
        _need(len(node.inputs) == 2, "an operand of the network's own")
        sizes = {source.size for source in node.inputs}
        _need(sizes <= {node.size, (1, 1)}, "a row or column spread over a map")
        return Arithmetic(function)

    return build


def _pointwise(name: str, plain: Callable[..., Tensor], inplace: Callable[..., Tensor]) -> Builder:
    def build(node: Node, *settings: object, **named: object) -> Layer:
        _single(node)
        limits = [each for each in (*settings, *named.values()) if isinstance(each, Tensor)]
        alike = all(each.numel() == 1 or each.shape[-2:] == (1, 1) for each in limits)
        _need(alike, "limits that differ from cell to cell")
        return Pointwise(
            name,
            lambda maps: plain(maps, *settings, **named),
            lambda maps: inplace(maps, *settings, **named),
        )

    return build


def _pair(values: Sequence[int]) -> PerAxis:
    return (values[0], values[-1])


_POINTWISE = {
    "relu": (_aten.relu, _aten.relu_),
    "relu6": (_aten.relu6, _aten.relu6_),
    "hardtanh": (_aten.hardtanh, _aten.hardtanh_),
    "leaky_relu": (_aten.leaky_relu, _aten.leaky_relu_),
    "elu": (_aten.elu, _aten.elu_),
    "silu": (_aten.silu, _aten.silu_),
    "mish": (_aten.mish, _aten.mish_),
    "gelu": (_aten.gelu, _aten.gelu_),
    "tanh": (_aten.tanh, _aten.tanh_),
    "sigmoid": (_aten.sigmoid, _aten.sigmoid_),
    "hardsigmoid": (_aten.hardsigmoid, _aten.hardsigmoid_),
    "hardswish": (_aten.hardswish, _aten.hardswish_),
    "clamp": (_aten.clamp, _aten.clamp_),
}
OPERATIONS: Mapping[str, Builder] = {
    "convolution": _convolution,
    "max_pool2d_with_indices": _max_pool,
    "avg_pool2d": _average_pool,
    "native_batch_norm": _batch_norm,
    "cat": _concatenation,
    "mean": _mean,
    "constant_pad_nd": _padding,
    "as_strided": _same,
    "add": _combination(torch.add),
    "sub": _combination(torch.sub),
    "div": _combination(torch.div),
    "mul": _combination(torch.mul),
    **{name: _pointwise(name, *both) for name, both in _POINTWISE.items()},
}
