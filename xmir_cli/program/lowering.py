"""The lowering of a recorded operation to the layer that computes it.

Only what works cell by cell, or on a window of cells, has a layer here.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod

import torch
from torch import Tensor

from xmir_cli.program.concatenation import Concatenation
from xmir_cli.program.convolution import Convolution
from xmir_cli.program.graph import Node, UnsupportedOperationError
from xmir_cli.program.kernel import Kernel, PerAxis
from xmir_cli.program.layers import Layer
from xmir_cli.program.padding import Padding
from xmir_cli.program.pointwise import Affine, Arithmetic, Pointwise
from xmir_cli.program.pooling import GlobalMean, Pooling

_aten = torch.ops.aten

Lowering = Callable[..., Layer]  # takes the node and the operation's arguments after the first


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise UnsupportedOperationError(what)


def _require_one_input(node: Node) -> None:
    _require(len(node.inputs) == 1, "an operand that depends on the image")


def _lower_convolution(  # noqa: PLR0913 # the operation's own arguments
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
    _require_one_input(node)
    _require(not transposed and len(stride) == 2, "convolution")
    shape = (weight.shape[2], weight.shape[3])
    kernel = Kernel(shape, _per_axis(stride), _per_axis(padding), _per_axis(dilation))
    return Convolution(weight.detach(), None if bias is None else bias.detach(), kernel, groups)


def _lower_max_pool(  # noqa: PLR0913 # the operation's own arguments
    node: Node,
    size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> Layer:
    steps = _per_axis(stride or size)
    kernel = Kernel(_per_axis(size), steps, _per_axis(padding), _per_axis(dilation))
    return _make_pooling(node, True, kernel, ceil_mode)


def _lower_average_pool(  # noqa: PLR0913 # the operation's own arguments
    node: Node,
    size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Layer:
    kernel = Kernel(_per_axis(size), _per_axis(stride or size), _per_axis(padding), (1, 1))
    divides_by_window = divisor_override is None and (count_include_pad or not any(padding))
    _require(divides_by_window, "a mean of something else than the window")
    return _make_pooling(node, False, kernel, ceil_mode)


def _make_pooling(node: Node, largest: bool, kernel: Kernel, ceil_mode: bool) -> Layer:
    _require_one_input(node)
    if ceil_mode:  # it is refused only where it adds windows
        field, size = kernel.find_field((0, 0, *node.size)), node.inputs[0].size
        is_within = all(field[2 + axis] <= size[axis] + kernel.padding[axis] for axis in (0, 1))
        _require(is_within, "pooling beyond the border")
    return Pooling(largest, kernel)


def _lower_batch_norm(  # noqa: PLR0913 # the operation's own arguments
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
    _require_one_input(node)
    _require(not training, "batch statistics")
    scale = (variance.double() + epsilon).rsqrt()
    if weight is not None:
        scale = scale * weight.double()
    shift = -mean.double() * scale
    if bias is not None:
        shift = shift + bias.double()
    return Affine(scale.float(), shift.float())


def _lower_concatenation(node: Node, dim: int = 0) -> Layer:
    _require(dim in {1, -3}, "concatenation of cells")
    return Concatenation(node.channels)


def _lower_mean(node: Node, dims: Sequence[int], keepdim: bool = False) -> Layer:
    _require_one_input(node)
    _require(keepdim and sorted(dim % 4 for dim in dims) == [2, 3], "mean")
    return GlobalMean()


def _lower_padding(node: Node, margins: Sequence[int], value: float = 0.0) -> Layer:
    _require_one_input(node)
    _require(len(margins) == 4 and min(margins) >= 0, "padding")
    return Padding(margins, value)


def _lower_copy(node: Node, *_: object, **__: object) -> Layer:
    """A copy with other strides. It is accepted for maps of one cell, whose cells have no order."""
    source = node.inputs[0]
    _require_one_input(node)
    _require(source.size == node.size and source.channels == node.channels, "a view")
    _require(prod(node.size) == 1, "a view")
    return Pointwise("copy", torch.clone, _return_unchanged)


def _return_unchanged(maps: Tensor) -> Tensor:
    return maps


def _make_arithmetic_lowering(function: Callable[[Tensor, Tensor], Tensor]) -> Lowering:
    def lower(node: Node, other: object, alpha: float = 1) -> Layer:
        _require(alpha == 1, "a weighted sum")
        if isinstance(other, int | float):
            number = torch.tensor(float(other))

            def combine(maps: Tensor) -> Tensor:
                return function(maps, number)

            return Pointwise("number", combine, combine)
        _require(len(node.inputs) == 2, "an operand of the network's own")
        sizes = {source.size for source in node.inputs}
        _require(sizes <= {node.size, (1, 1)}, "a row or column spread over a map")
        return Arithmetic(function)

    return lower


def _make_pointwise_lowering(
    name: str, plain: Callable[..., Tensor], inplace: Callable[..., Tensor]
) -> Lowering:
    def lower(node: Node, *settings: object, **named: object) -> Layer:
        _require_one_input(node)
        limits = [each for each in (*settings, *named.values()) if isinstance(each, Tensor)]
        is_uniform = all(each.numel() == 1 or each.shape[-2:] == (1, 1) for each in limits)
        _require(is_uniform, "limits that differ from cell to cell")
        return Pointwise(
            name,
            lambda maps: plain(maps, *settings, **named),
            lambda maps: inplace(maps, *settings, **named),
        )

    return lower


def _per_axis(values: Sequence[int]) -> PerAxis:
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
LOWERINGS: Mapping[str, Lowering] = {
    "convolution": _lower_convolution,
    "max_pool2d_with_indices": _lower_max_pool,
    "avg_pool2d": _lower_average_pool,
    "native_batch_norm": _lower_batch_norm,
    "cat": _lower_concatenation,
    "mean": _lower_mean,
    "constant_pad_nd": _lower_padding,
    "as_strided": _lower_copy,
    "add": _make_arithmetic_lowering(torch.add),
    "sub": _make_arithmetic_lowering(torch.sub),
    "div": _make_arithmetic_lowering(torch.div),
    "mul": _make_arithmetic_lowering(torch.mul),
    **{name: _make_pointwise_lowering(name, *both) for name, both in _POINTWISE.items()},
}
