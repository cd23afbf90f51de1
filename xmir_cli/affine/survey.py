"""Which tensors of a network's pass can be shared out: the first tokens, and maps of a size."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor
from torch.autograd.graph import Node

from xmir_cli.affine.deriving import deriving
from xmir_cli.affine.holding import Numbered
from xmir_cli.affine.passes import FirstTokens, Grid, Inside, Recording, SeenError, Stop, token_axes

Passed = Callable[[Tensor], Tensor]  # a network: images [1, 3, S, S] to raw embeddings [1, D]


@dataclass(frozen=True)
class Seat:
    """Where a network is cut: the tensor whose parts share out what comes behind it."""

    number: int  # of the call that makes it; 0 is what the network is given
    axes: tuple[int, ...]  # along which its parts lie; all others are one part's channels
    grid: Grid  # of the places, row-major
    first: int = 0  # of the places among the parts; those before and behind are `prefix`
    direct: int = 0  # the last call inside a block, where values of attention are the parts


class UnlikePassesError(Exception):
    """Two passes of a network do not take the same calls, so that none of them can be named."""


def find_tokens(network: Passed, size: int, grid: Grid, device: torch.device) -> Seat | None:
    """The first tokens, which lie before the first norm over tokens, if they are the map's places.

    Tokens are [1, n, C] or [n, 1, C], or [1, h, w, C] where no other norm comes before; without a
    norm they are the first of h * w. Which of them are places is tried: those that a change of the
    whole picture moves, in the order in which changes of its corners move them. None where they are
    no `grid`, as those of a network that merges them later, and for a grid of one place.
    """
    base, other = _probes(size, device)
    number, axes, tokens = _first_tokens(network, base, grid)
    if not number or grid == (1, 1):
        return None
    moved = tokens != _result_like(tokens, network, other, number)
    moved = moved.reshape(-1, tokens.shape[-1]).any(dim=-1)
    places = moved.nonzero()[:, 0]
    count = grid[0] * grid[1]
    if len(places) != count or int(places[-1] - places[0]) != count - 1:
        return None
    seat = Seat(number, axes, grid, int(places[0]))
    return seat if _in_order(network, seat, (base, other)) else None


def count_calls(network: Passed, size: int, device: torch.device) -> int:
    """How many calls of a pass make a tensor."""
    mode, (image, _) = Numbered(), _probes(size, device)
    with torch.no_grad(), mode:
        network(image)
    return mode.calls


def find_maps(network: Passed, size: int, device: torch.device) -> dict[Grid, Seat]:
    """The last tensor of every size that all of the embedding comes from, by its rows and columns.

    Maps are [1, C, h, w] or [1, h, w, C] with as many rows as columns, or tokens [1, h * w, C].
    What is larger than a map before it is none.
    """
    base, other = _probes(size, device)
    mode = Recording()
    with deriving(), torch.enable_grad():
        given = base.clone().requires_grad_().clone()  # a leaf may not be changed in place
        with mode:
            raw = network(given)
    cuts = _cuts(raw.grad_fn)
    found: dict[Grid, Seat] = {}
    tokens: dict[Grid, Seat] = {}
    smallest = size
    for number, node, shape in mode.made:
        if id(node) in cuts and (axes := _axes(shape)):
            side = shape[axes[0]] if len(axes) == 2 else isqrt(shape[1])
            if side <= smallest:
                (found if len(axes) == 2 else tokens)[side, side] = Seat(number, axes, (side, side))
                smallest = side
    for grid, seat in tokens.items():
        if grid not in found and _in_order(network, seat, (base, other)):
            found[grid] = seat
    return {grid: found[grid] for grid in sorted(found)}


def find_last_in_block(network: Passed, size: int, device: torch.device) -> int:
    """The number of the last call that lies inside a block: an attention or a pointwise function.

    0 without an attention that torch computes as one.
    """
    mode, (image, _) = Inside(), _probes(size, device)
    with torch.no_grad(), mode:
        network(image)
    return mode.last if mode.attends else 0


def _probes(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Two images [1, 3, S, S] that differ everywhere."""
    steps = torch.arange(3 * size * size, dtype=torch.float32)
    return tuple(  # type: ignore[return-value] # two
        wave.reshape(1, 3, size, size).to(device) for wave in (steps.sin(), -(1.7 * steps).cos())
    )


def _first_tokens(
    network: Passed, image: Tensor, grid: Grid
) -> tuple[int, tuple[int, ...], Tensor]:
    """The number, the axes and the values of the first tokens; 0 where there are none."""
    mode = FirstTokens(grid)
    try:
        with torch.no_grad(), mode:
            network(image)
    except SeenError as seen:
        return seen.number, token_axes(seen.tensor.shape) or (1, 2), seen.tensor
    if mode.unnormed:
        tokens = _result(network, image, mode.unnormed)
        return mode.unnormed, token_axes(tokens.shape), tokens
    return 0, (1,), torch.zeros(1, 1, 1)


def _result(network: Passed, image: Tensor, number: int) -> Tensor:
    """What the call of that number makes."""
    try:
        with torch.no_grad(), Stop(number):
            network(image)
    except SeenError as seen:
        return seen.tensor
    raise UnlikePassesError


def _result_like(before: Tensor, network: Passed, image: Tensor, number: int) -> Tensor:
    """The same of another image, where it has the shape of the one before."""
    found = _result(network, image, number)
    if found.shape != before.shape:
        raise UnlikePassesError
    return found


def _in_order(network: Passed, seat: Seat, probes: tuple[Tensor, Tensor]) -> bool:
    """Whether another picture in one corner moves the part of that corner most of all.

    Or one beside it, for the layers below may see across the borders of patches.
    """
    base, other = probes
    rows, columns = seat.grid
    beside = 1 if min(rows, columns) > 2 else 0
    before = _result(network, base, seat.number)
    for row, column in ((0, columns - 1), (rows - 1, 0)):
        image = base.clone()
        high, wide = base.shape[-2] // rows, base.shape[-1] // columns
        at = (..., slice(row * high, (row + 1) * high), slice(column * wide, (column + 1) * wide))
        image[at] = other[at]
        change = (_result_like(before, network, image, seat.number) - before).abs()
        moved = change.sum(
            dim=[each for each in range(change.ndim) if each not in seat.axes]
        ).flatten()
        place = divmod(int(moved.argmax()) - seat.first, columns)
        if max(abs(place[0] - row), abs(place[1] - column)) > beside:
            return False
    return True


def _axes(shape: Sequence[int]) -> tuple[int, ...]:
    """Along which axes places lie in a tensor of that shape, if any do."""
    if len(shape) == 4 and shape[0] == 1 and shape[2] == shape[3] > 1:
        return (2, 3)
    if len(shape) == 4 and shape[0] == 1 and shape[1] == shape[2] > 1:
        return (1, 2)
    if len(shape) == 3 and shape[0] == 1 and isqrt(shape[1]) ** 2 == shape[1] > 1:
        return (1,)
    return ()


def _cuts(root: Node | None) -> set[int]:
    """The nodes of a graph, by their id, through which every way from its root leads.

    In an order in which each node comes after those that use it, such a node is alone in being
    waited for when its turn comes.
    """
    waiting = Counter(node for each in _reach(root) for node in _uses(each))
    opened, ready, cuts = {root}, [root], set[int]()
    while ready:
        node = ready.pop()
        if node is None:
            continue
        if opened == {node}:
            cuts.add(id(node))
        opened.discard(node)
        for used in _uses(node):
            opened.add(used)
            waiting[used] -= 1
            if not waiting[used]:
                ready.append(used)
    return cuts


def _reach(root: Node | None) -> Iterator[Node]:
    """Every node that a root leads to, once."""
    seen, left = {root}, [root]
    while left:
        node = left.pop()
        if node is None:
            continue
        yield node
        fresh = set(_uses(node)) - seen
        seen |= fresh
        left += fresh


def _uses(node: Node) -> list[Node]:
    return [used for used, _ in node.next_functions if used is not None]
