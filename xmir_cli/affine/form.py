"""The affine form of a network at one image: what parts of a tensor write into the embedding."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from xmir_cli.affine.copies import pass_rows
from xmir_cli.affine.deriving import deriving
from xmir_cli.affine.direct import direct_rules
from xmir_cli.affine.holding import KINDS, Holding, NoPartsError
from xmir_cli.affine.rules import RULES
from xmir_cli.affine.survey import Seat

_MOST = 16  # copies of an image that pass at once
_PARTS = 4096  # of all of them together: what a pass holds of each is large
_ALIKE = 1e-5  # of an embedding's length: how far a copy's may be from that of a pass of its own


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
        made = self._run(mode)
        with torch.enable_grad():
            self._made = made[0]
        self._held, self._parts = mode.held, mode.parts
        self._count = self._count_parts()
        if not self._made.requires_grad:
            raise NoPartsError("what comes last is held, such as a sigmoid")
        self.held = tuple(kind for kind in KINDS if kind in mode.kinds)
        self.raw = self._made.detach().cpu()
        self.constant = self._replay(torch.zeros(1, self._count))[0][0].detach().cpu()

    def pull(self, direction: Tensor) -> Pulled:
        """What the parts have in direction [D] . e; one backward pass."""
        with torch.enable_grad():
            along = self._made @ direction.to(self._made)
        with deriving():
            found = torch.autograd.grad(along, self._parts, retain_graph=True, allow_unused=True)
        shares = torch.zeros(self._count, dtype=torch.float64)
        for part, gradient in zip(self._parts, found, strict=True):
            if gradient is not None:
                shares += self._sum_channels(part.detach() * gradient)[0]
        wide = direction.double().cpu()
        rest, total = float(wide @ self.constant.double()), float(shares.sum())
        places = self._places(shares)
        prefix = total - float(places.sum())
        missed = float(wide @ self.raw.double()) - total - rest
        return Pulled(places.float(), prefix, rest, missed)

    def push(self, weights: Tensor) -> Tensor:
        """What the places together write into e, each times its weight [n]: [D]; one pass."""
        return self.push_together(weights[None])[0]

    def pass_plainly(self) -> Tensor:
        """The raw embedding [D] of a pass in which nothing is held."""
        with torch.no_grad():
            made: Tensor = self.network(self.given.clone())[0]
        return made.float().cpu()

    def written(self) -> Tensor:
        """What each place writes into e: [n, D], from as many rows as the fewer of n and D."""
        count, dim = self.seat.grid[0] * self.seat.grid[1], len(self.raw)
        least = _ALIKE * float(self.raw.norm())
        most = min(_MOST, _PARTS // self._count, count, dim)
        if dim < count:
            pull = self.pull_together(most)
            return pass_rows(torch.eye(dim), pull, self._pull_places, (most, least)).T
        return pass_rows(torch.eye(count), self.push_together, self.push, (most, least))

    def push_together(self, weights: Tensor) -> Tensor:
        """What `push` gives of each row [B, n]: [B, D], of copies of the image that pass at once.

        Raises RuntimeError where what is held of one does not fit its copies.
        """
        return self._replay(self._spread(weights))[0].detach().cpu() - self.constant

    def pull_together(self, copies: int) -> Callable[[Tensor], Tensor]:
        """What places have by `pull` in up to so many directions [B, D]: [B, n]; likewise.

        The copies pass forward once, whatever is pulled.
        """
        passed = cache(lambda: self._replay(torch.ones(copies, self._count)))

        def together(directions: Tensor) -> Tensor:
            made, parts = passed()
            with torch.enable_grad():
                along = (made[: len(directions)] * directions.to(made)).sum()
            found = torch.autograd.grad(along, parts, allow_unused=True, retain_graph=True)
            shares = torch.zeros(copies, self._count, dtype=torch.float64)
            for part, gradient in zip(parts, found, strict=True):
                if gradient is not None:
                    shares += self._sum_channels(part.detach() * gradient)
            return self._places(shares[: len(directions)]).float()

        return together

    def others(self) -> Tensor:
        """What all but the places writes into e, tokens and constants: [D]; one pass."""
        places = torch.ones(1, self.seat.grid[0] * self.seat.grid[1])
        return self._replay(1 - self._spread(places))[0][0].detach().cpu()

    def _pull_places(self, direction: Tensor) -> Tensor:
        return self.pull(direction).places

    def _run(self, mode: Holding, copies: int = 1) -> Tensor:
        """The raw embeddings [B, D] of a pass of copies under a mode."""
        given = self.given.expand(copies, *self.given.shape[1:])
        with torch.enable_grad(), mode:
            inner = given if self.seat.number or self.seat.direct else mode.part(given)
            made: Tensor = self.network(inner)
            return made.float()

    def _replay(self, weights: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The raw embeddings [B, D] when every part counts with its weight [B, N]; the parts."""
        parts = [part.detach() * self._lie(weights, part) for part in self._parts]
        mode = Holding(self._rules, self.seat.number, (self._held, parts))
        return self._run(mode, len(weights)), mode.parts

    def _count_parts(self) -> int:
        counts = {math.prod(part.shape[axis] for axis in self.seat.axes) for part in self._parts}
        if len(counts) != 1:
            raise NoPartsError("its blocks do not attend to the same tokens")
        return counts.pop()

    def _images(self, part: Tensor) -> int:
        """The axis along which copies of the image lie: the first that is none of parts."""
        return next(axis for axis in range(part.ndim) if axis not in self.seat.axes)

    def _sum_channels(self, values: Tensor) -> Tensor:
        """What each part has in all its channels: [B, N] float64 on the CPU."""
        images = self._images(values)
        kept = {images, *self.seat.axes}
        each = values.sum([axis for axis in range(values.ndim) if axis not in kept])
        return each.movedim(images, 0).flatten(1).cpu().double()

    def _lie(self, weights: Tensor, part: Tensor) -> Tensor:
        """Weights [B, N] along the axes of the parts."""
        images = self._images(part)
        shape = [part.shape[axis] if axis in self.seat.axes else 1 for axis in range(part.ndim)]
        del shape[images]
        return weights.to(part).reshape(len(weights), *shape).movedim(0, images)

    def _places(self, values: Tensor) -> Tensor:
        """Of values [..., N] those of the places."""
        rows, columns = self.seat.grid
        return values[..., self.seat.first : self.seat.first + rows * columns]

    def _spread(self, weights: Tensor) -> Tensor:
        """Weights [B, n] of the places as weights [B, N] of all parts, those of the others 0."""
        spread = torch.zeros(len(weights), self._count)
        self._places(spread).copy_(weights)
        return spread
