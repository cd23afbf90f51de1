"""A network's graph made cheaper without changing what it computes, up to rounding."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from xmir_cli.program.concatenation import Concatenation
from xmir_cli.program.convolution import Convolution
from xmir_cli.program.lowering import Node
from xmir_cli.program.point_convolution import PointConvolution
from xmir_cli.program.pointwise import Affine, Pointwise
from xmir_cli.program.pooling import Pooling

_NOTHING = 1e-20  # a scale below which a channel is constant


def simplify(nodes: Sequence[Node]) -> list[Node]:
    """The graph with fewer and cheaper layers, in order; the nodes are changed.

    The last node stays the result.
    """
    nodes = _needed(nodes)
    users = Counter(id(source) for node in nodes for source in node.inputs)
    for node in nodes:
        if all(users[id(source)] == 1 for source in node.inputs):  # nobody else sees the change
            _fold_norm(node)
            _pool_first(node)
            _fold_norm_behind(node, users)
    for node in nodes:
        _gather_product(node, users)
    nodes = _needed(nodes)
    _share_memory(nodes)
    return nodes


def _fold_norm(node: Node) -> None:
    """BatchNorm after a convolution: its scale goes into the weights."""
    norm, before = node.layer, _before(node)
    if before is None or not isinstance(norm, Affine) or not isinstance(before.layer, Convolution):
        return
    convolution = before.layer
    bias = norm.shift
    if convolution.bias is not None:
        bias = bias + convolution.bias * norm.scale
    weight = _like(convolution.weight * norm.scale[:, None, None, None])
    node.layer, node.inputs = replace(convolution, weight=weight, bias=bias), before.inputs


def _pool_first(node: Node) -> None:
    """Mean pooling after a 1x1 convolution: they commute, and fewer cells are multiplied."""
    pool, before = node.layer, _before(node)
    if before is None or not isinstance(pool, Pooling) or not isinstance(before.layer, Convolution):
        return
    if before.layer.is_point and not pool.largest and pool.kernel.padding == (0, 0):
        node.layer, before.layer = before.layer, pool
        before.channels, before.size = before.inputs[0].channels, node.size


def _fold_norm_behind(node: Node, users: Counter[int]) -> None:
    """BatchNorm, ReLU, then a 1x1 convolution: relu(s x + t) = s clamp(x) + t, one pass not two.

    The clamp's bound is -t / s, below for positive s and above for negative.
    """
    relu = _before(node)
    if relu is None or not isinstance(node.layer, Convolution) or not node.layer.is_point:
        return
    norm = _before(relu)
    if norm is None or not isinstance(norm.layer, Affine) or users[id(norm)] != 1:
        return
    if not isinstance(relu.layer, Pointwise) or relu.layer.name != "relu":
        return
    scale, shift = norm.layer.scale, norm.layer.shift
    alive = scale.abs() > _NOTHING
    bound = torch.where(alive, -shift / torch.where(alive, scale, 1.0), 0.0)
    low = torch.where(alive & (scale > 0), bound, torch.where(alive, -torch.inf, 0.0))
    high = torch.where(alive & (scale < 0), bound, torch.where(alive, torch.inf, 0.0))
    constant = torch.where(alive, shift, shift.clamp(min=0))
    relu.layer, relu.inputs = _clamp(low, high), norm.inputs
    node.layer = _after(node.layer, torch.where(alive, scale, 0.0), constant)


def _clamp(low: Tensor, high: Tensor) -> Pointwise:
    low, high = low[:, None, None], high[:, None, None]
    return Pointwise(
        "clamp",
        lambda maps: torch.clamp(maps, low, high),
        lambda maps: torch.clamp_(maps, low, high),
    )


def _after(convolution: Convolution, scale: Tensor, shift: Tensor) -> Convolution:
    """The 1x1 convolution of s x + t as one of x."""
    weight = convolution.weight.double()
    bias = (weight[:, :, 0, 0] @ shift.double()).float()
    if convolution.bias is not None:
        bias = bias + convolution.bias
    scaled = (weight * scale.double()[:, None, None]).float()
    return replace(convolution, weight=_like(scaled), bias=bias)


def _gather_product(node: Node, users: Counter[int]) -> None:
    """A 1x1 convolution and the functions of a cell before and behind it become one layer."""
    before, layer = _before(node), node.layer
    inner = before.layer if before is not None and users[id(before)] == 1 else None
    if isinstance(layer, Convolution) and layer.is_point:
        node.layer = PointConvolution(layer.weight, layer.bias)
        if before is not None and isinstance(inner, Pointwise):
            node.layer, node.inputs = replace(node.layer, before=inner), before.inputs
    elif (
        isinstance(layer, Pointwise) and isinstance(inner, PointConvolution) and inner.after is None
    ):
        assert before is not None
        node.layer, node.inputs = replace(inner, after=layer), before.inputs


def _share_memory(nodes: Sequence[Node]) -> None:
    """A concatenation that starts with all inputs of an earlier one extends it in its memory."""
    rows = [node for node in nodes if isinstance(node.layer, Concatenation)]
    whole = {id(row): list(row.inputs) for row in rows}
    longer: dict[int, Node] = {}
    for place, row in enumerate(rows):
        for earlier in reversed(rows[:place]):
            start = whole[id(earlier)]
            if id(earlier) not in longer and whole[id(row)][: len(start)] == start:
                row.inputs = [earlier, *whole[id(row)][len(start) :]]
                longer[id(earlier)] = row
                break
    for row in reversed(rows):
        last = longer[id(row)].room if id(row) in longer else row
        assert last is not None
        row.room = last
        row.layer = Concatenation(last.channels, longer.get(id(row.inputs[0])) is row)


def _needed(nodes: Sequence[Node]) -> list[Node]:
    """The nodes that the last one depends on, in order."""
    wanted = {id(nodes[-1])}
    for node in reversed(nodes):
        if id(node) in wanted:
            wanted.update(id(source) for source in node.inputs)
    return [node for node in nodes if id(node) in wanted]


def _before(node: Node) -> Node | None:
    return node.inputs[0] if len(node.inputs) == 1 else None


def _like(weight: Tensor) -> Tensor:
    return weight.contiguous(memory_format=torch.channels_last)
