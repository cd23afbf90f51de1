"""Passes over the graph: each makes it cheaper; its results stay the same up to rounding."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from xmir_cli.program.concatenation import Concatenation
from xmir_cli.program.convolution import Convolution
from xmir_cli.program.graph import Node, drop_unread
from xmir_cli.program.point_convolution import PointConvolution
from xmir_cli.program.pointwise import Affine, Pointwise
from xmir_cli.program.pooling import Pooling

_TINY = 1e-20  # a scale below which a channel counts as constant

Readers = Counter[int]  # how many nodes read a node's result, by the node's id


def run_passes(nodes: Sequence[Node]) -> list[Node]:
    """The graph with fewer and cheaper layers, in order. The nodes are changed.

    The last node stays the result.
    """
    nodes = drop_unread(nodes)
    readers = Counter(id(source) for node in nodes for source in node.inputs)
    for node in nodes:
        _fold_norm_into_convolution_before(node, readers)
        _pool_before_point_convolution(node, readers)
        _fold_norm_into_convolution_after(node, readers)
    for node in nodes:
        _fuse_with_point_convolution(node, readers)
    nodes = drop_unread(nodes)
    _share_allocations(nodes)
    return nodes


def _fold_norm_into_convolution_before(node: Node, readers: Readers) -> None:
    """Convolution, BatchNorm: the scale and shift go into the weights and the bias."""
    norm, source = node.layer, _find_private_input(node, readers)
    if source is None or not isinstance(norm, Affine) or not isinstance(source.layer, Convolution):
        return
    convolution = source.layer
    bias = norm.shift
    if convolution.bias is not None:
        bias = bias + convolution.bias * norm.scale
    weight = _to_channels_last(convolution.weight * norm.scale[:, None, None, None])
    node.layer, node.inputs = replace(convolution, weight=weight, bias=bias), source.inputs


def _pool_before_point_convolution(node: Node, readers: Readers) -> None:
    """1x1 convolution, mean pooling: they commute, and fewer cells are then multiplied."""
    pool, source = node.layer, _find_private_input(node, readers)
    if source is None or not isinstance(pool, Pooling) or not isinstance(source.layer, Convolution):
        return
    if source.layer.is_point and not pool.largest and pool.kernel.padding == (0, 0):
        node.layer, source.layer = source.layer, pool
        source.channels, source.size = source.inputs[0].channels, node.size


def _fold_norm_into_convolution_after(node: Node, readers: Readers) -> None:
    """BatchNorm, ReLU, 1x1 convolution: relu(s x + t) = s clamp(x) + t, and s, t are folded.

    The clamp's bound is -t / s: the lower one where s is positive, the upper where it is negative.
    """
    relu = _find_private_input(node, readers)
    if relu is None or not isinstance(node.layer, Convolution) or not node.layer.is_point:
        return
    norm = _find_private_input(relu, readers)
    if norm is None or not isinstance(norm.layer, Affine):
        return
    if not isinstance(relu.layer, Pointwise) or relu.layer.name != "relu":
        return
    scale, shift = norm.layer.scale, norm.layer.shift
    varies = scale.abs() > _TINY
    bound = torch.where(varies, -shift / torch.where(varies, scale, 1.0), 0.0)
    low = torch.where(varies & (scale > 0), bound, torch.where(varies, -torch.inf, 0.0))
    high = torch.where(varies & (scale < 0), bound, torch.where(varies, torch.inf, 0.0))
    constant = torch.where(varies, shift, shift.clamp(min=0))
    relu.layer, relu.inputs = _make_clamp(low, high), norm.inputs
    node.layer = _fold_affine(node.layer, torch.where(varies, scale, 0.0), constant)


def _make_clamp(low: Tensor, high: Tensor) -> Pointwise:
    low, high = low[:, None, None], high[:, None, None]
    return Pointwise(
        "clamp",
        lambda maps: torch.clamp(maps, low, high),
        lambda maps: torch.clamp_(maps, low, high),
    )


def _fold_affine(convolution: Convolution, scale: Tensor, shift: Tensor) -> Convolution:
    """The 1x1 convolution of s x + t as one of x."""
    weight = convolution.weight.double()
    bias = (weight[:, :, 0, 0] @ shift.double()).float()
    if convolution.bias is not None:
        bias = bias + convolution.bias
    scaled = (weight * scale.double()[:, None, None]).float()
    return replace(convolution, weight=_to_channels_last(scaled), bias=bias)


def _fuse_with_point_convolution(node: Node, readers: Readers) -> None:
    """Pointwise, 1x1 convolution, pointwise: the three become one layer."""
    layer, source = node.layer, _find_private_input(node, readers)
    if isinstance(layer, Convolution) and layer.is_point:
        node.layer = PointConvolution(layer.weight, layer.bias)
        if source is not None and isinstance(source.layer, Pointwise):
            node.layer, node.inputs = replace(node.layer, before=source.layer), source.inputs
    elif source is not None and isinstance(layer, Pointwise):
        convolution = source.layer
        if isinstance(convolution, PointConvolution) and convolution.after is None:
            node.layer, node.inputs = replace(convolution, after=layer), source.inputs


def _share_allocations(nodes: Sequence[Node]) -> None:
    """Where a concatenation starts with all inputs of an earlier one, both share its memory."""
    concatenations = [node for node in nodes if isinstance(node.layer, Concatenation)]
    extensions = _find_extensions(concatenations)
    longest: dict[int, Node] = {}
    for node in reversed(concatenations):
        extension = extensions.get(id(node))
        last = node if extension is None else longest[id(extension)]
        longest[id(node)] = node.allocation = last
        is_extension = extensions.get(id(node.inputs[0])) is node
        node.layer = Concatenation(last.channels, is_extension)


def _find_extensions(concatenations: Sequence[Node]) -> dict[int, Node]:
    """For each concatenation's id the one that extends it. The latter's inputs then say so."""
    extensions: dict[int, Node] = {}
    inputs = {id(node): list(node.inputs) for node in concatenations}
    for index, node in enumerate(concatenations):
        for earlier in reversed(concatenations[:index]):
            start = inputs[id(earlier)]
            if id(earlier) not in extensions and inputs[id(node)][: len(start)] == start:
                node.inputs = [earlier, *inputs[id(node)][len(start) :]]
                extensions[id(earlier)] = node
                break
    return extensions


def _find_private_input(node: Node, readers: Readers) -> Node | None:
    """The node's only input, if no other node reads it."""
    if len(node.inputs) != 1 or readers[id(node.inputs[0])] != 1:
        return None
    return node.inputs[0]


def _to_channels_last(weight: Tensor) -> Tensor:
    return weight.contiguous(memory_format=torch.channels_last)
