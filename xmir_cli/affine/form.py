"""The affine form of a network at one image: what parts of a tensor write into the embedding."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xmir_cli import steps
from xmir_cli.affine.deriving import deriving
from xmir_cli.affine.direct import direct_rules
from xmir_cli.affine.holding import KINDS, Holding, NoPartsError
from xmir_cli.affine.rules import RULES
from xmir_cli.affine.survey import Seat


@dataclass(frozen=True, eq=False)
class Pulled:
    """What a direction . e is made of: what places [n] have of it, other tokens, constants."""

    places: Tensor  # float32 on the CPU
    prefix: float
    rest: float
    missed: float  # what these do not sum up to, which is rounding where the form is exact


class AffineForm:
    """`e = sum_j J_j t_j + c` of an image; the t_j are the parts of the tensor at a seat.

    Parameters must be frozen. Passes are float32 on the network's device, results on the CPU.
    """

    def __init__(self, network: nn.Module, given: Tensor, seat: Seat) -> None:
        """Hold what `network` decides at `given` [1, ...], from which it makes [1, D].

        Raises NoPartsError where none of them writes into it.
        """
        self.network, self.given, self.seat = network, given.detach(), seat
        self._rules = direct_rules(seat.direct) if seat.direct else RULES
        mode = Holding(self._rules, seat.number)
        self._made = self._run(mode)
        self._held, self._parts = mode.held, mode.parts
        self._count = self._count_parts()
        if not self._made.requires_grad:
            raise NoPartsError("what comes last is held, such as a sigmoid")
        self.held = tuple(kind for kind in KINDS if kind in mode.kinds)
        self.raw = self._made.detach().cpu()
        self.constant = self._replay(torch.zeros(self._count))

    def pull(self, direction: Tensor) -> Pulled:
        """What the parts have in direction [D] . e; one backward pass."""
        with torch.enable_grad():
            along = self._made @ direction.to(self._made)
        with deriving():
            found = torch.autograd.grad(along, self._parts, retain_graph=True, allow_unused=True)
        shares = torch.zeros(self._count, dtype=torch.float64)
        for part, gradient in zip(self._parts, found, strict=True):
            if gradient is not None:
                each = (part.detach() * gradient).sum(self._channels(part))
                shares += each.flatten().cpu().double()
        wide = direction.double().cpu()
        rest, total = float(wide @ self.constant.double()), float(shares.sum())
        places = self._places(shares)
        prefix = total - float(places.sum())
        missed = float(wide @ self.raw.double()) - total - rest
        return Pulled(places.float(), prefix, rest, missed)

    def push(self, weights: Tensor) -> Tensor:
        """What the places together write into e, each times its weight [n]: [D]; one pass."""
        return self._replay(self._spread(weights)) - self.constant

    def pass_plainly(self) -> Tensor:
        """The raw embedding [D] of a pass in which nothing is held."""
        with torch.no_grad():
            made: Tensor = self.network(self.given.clone())[0]
        return made.float().cpu()

    def written(self) -> Tensor:
        """What each place writes into e: [n, D]; as many passes as the fewer of n and D."""
        count, dim = self.seat.grid[0] * self.seat.grid[1], len(self.raw)
        steps.begin(min(count, dim))
        if dim < count:
            return torch.stack([self._step(self.pull(row).places) for row in torch.eye(dim)], dim=1)
        return torch.stack([self._step(self.push(row)) for row in torch.eye(count)])

    @staticmethod
    def _step(made: Tensor) -> Tensor:
        steps.advance(1)
        return made

    def others(self) -> Tensor:
        """What all but the places writes into e, tokens and constants: [D]; one pass."""
        return self._replay(1 - self._spread(torch.ones(self.seat.grid[0] * self.seat.grid[1])))

    def _run(self, mode: Holding) -> Tensor:
        """The raw embedding [D] of a pass under a mode."""
        with torch.enable_grad(), mode:
            given = self.given if self.seat.number or self.seat.direct else mode.part(self.given)
            made: Tensor = self.network(given)[0]
            return made.float()

    def _replay(self, weights: Tensor) -> Tensor:
        """The raw embedding [D] when every part counts with its weight [N]."""
        parts = [part.detach() * self._lie(weights, part) for part in self._parts]
        mode = Holding(self._rules, self.seat.number, (self._held, parts))
        return self._run(mode).detach().cpu()

    def _count_parts(self) -> int:
        counts = {math.prod(part.shape[axis] for axis in self.seat.axes) for part in self._parts}
        if len(counts) != 1:
            raise NoPartsError("its blocks do not attend to the same tokens")
        return counts.pop()

    def _channels(self, part: Tensor) -> list[int]:
        """The axes along which one part lies."""
        return [axis for axis in range(part.ndim) if axis not in self.seat.axes]

    def _lie(self, weights: Tensor, part: Tensor) -> Tensor:
        """Weights [N] along the axes of the parts."""
        shape = [part.shape[axis] if axis in self.seat.axes else 1 for axis in range(part.ndim)]
        return weights.to(part).reshape(shape)

    def _places(self, values: Tensor) -> Tensor:
        rows, columns = self.seat.grid
        return values[self.seat.first : self.seat.first + rows * columns]

    def _spread(self, weights: Tensor) -> Tensor:
        """Weights of the places as weights of all parts, those of the others 0."""
        spread = torch.zeros(self._count)
        self._places(spread).copy_(weights)
        return spread
