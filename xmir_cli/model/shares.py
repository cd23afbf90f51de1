"""Where a network's embedding can be shared out exactly: found by trying, once a network."""

import copy
from collections import OrderedDict
from contextlib import suppress
from functools import cached_property

import torch
from torch import Tensor, nn

from xmir_cli.affine.blame import blame
from xmir_cli.affine.deriving import deriving
from xmir_cli.affine.form import AffineForm
from xmir_cli.affine.holding import NoPartsError
from xmir_cli.affine.passes import Grid
from xmir_cli.affine.survey import (
    Seat,
    UnlikePassesError,
    count_calls,
    find_last_in_block,
    find_maps,
    find_tokens,
)
from xmir_cli.affine.watching import attends
from xmir_cli.errors import ModelError, SettingError, reason_of
from xmir_cli.model.head import Head
from xmir_cli.model.network import Network

INEXACT = 1e-5  # of an embedding's length: what rounding in float32 stays below
OTHER_WAY = 1e-3  # the same of a pass that a compiled network computes in another order
_KEPT = 2  # forms: a query's, and that of the image of the day
_OTHERS = "Use `method` occlusion or rise, which need no such form."


class Shares:
    """The seats and the affine forms of one network, for images of one size."""

    def __init__(self, network: Network, size: int, device: torch.device) -> None:
        self._network, self._size, self._device = network, size, device
        self._seats: dict[tuple[str, bool], Seat | None] = {}
        self._frozen: Network | None = None
        self._forms = OrderedDict[tuple[int, Seat], tuple[Tensor, AffineForm]]()

    def seat(self, layer: str = "", direct: bool = False) -> Seat | None:
        """What is shared out: the first tokens of a transformer, else the last map.

        None where the last map's cells sum to the embedding, so that nothing has to be held. A
        `layer` HxW is an earlier map of so many rows and columns, `last` the last map in any case;
        `direct` are the values of all attention.

        Raises SettingError where a network has no such thing.
        """
        if (layer, direct) not in self._seats:
            found = self._find_direct() if direct else self._find(layer)
            self._seats[layer, direct] = found
        return self._seats[layer, direct]

    @cached_property
    def has_tokens(self) -> bool:
        """Whether its places are first tokens, which all its blocks keep, as in a transformer."""
        try:
            seat = self.seat()
        except ModelError:  # a class token holds its embedding, of tokens that are no places
            return False
        return seat is not None and seat.number > 0

    @cached_property
    def attends(self) -> bool:
        """Whether anything attends in it: whole, in windows, over merged tokens or channels."""
        return attends(self._freeze().features, self._size, self._device)

    def form(self, given: Tensor, seat: Seat) -> AffineForm:
        """The affine form of an image [3, S, S], or of a map [C, h, w] where that is the seat.

        The last two are kept. Raises ModelError where the network's pass cannot be held.
        """
        key = (id(given), seat)
        found = self._forms.pop(key, None)
        form = self._hold(given, seat) if found is None else found[1]
        self._forms[key] = (given, form)  # with the image, so that its id stays its own
        while len(self._forms) > _KEPT:
            with suppress(KeyError):  # of threads that meet here
                self._forms.popitem(last=False)
        return form

    def _hold(self, given: Tensor, seat: Seat) -> AffineForm:
        try:
            return AffineForm(self._part(seat), given[None].to(self._device).float(), seat)
        except Exception as error:  # noqa: BLE001 # a network of any kind fails in its own way
            reason = reason_of(error)
            if seat.direct and isinstance(error, NoPartsError):
                raise _not_direct(reason) from None
            raise ModelError(
                f"no exact shares of this network: its pass cannot be held ({reason})", _OTHERS
            ) from None

    def _find(self, layer: str) -> Seat | None:
        grid = self._grid()
        if layer == "last":
            return Seat(0, (2, 3), grid)
        tokens = self._find_tokens(grid)
        head = self._network.head
        plain = isinstance(head, Head) and head.is_sum
        usual = tokens or (None if plain else Seat(0, (2, 3), grid))
        if usual is not None and not usual.number and self._repeats():
            raise ModelError(
                "no exact shares of this network: a class token holds its embedding, and its first "
                "tokens are not the places of a map",
                _OTHERS,
            )
        if not layer or layer == _text(grid):
            return usual
        maps = find_maps(self._freeze(), self._size, self._device)
        wanted = {_text(each): seat for each, seat in maps.items()}
        if layer not in wanted:
            there = ", ".join(sorted({*wanted, _text(grid)}, key=lambda each: (len(each), each)))
            raise SettingError("layer", f"no map of that size; there are {there}", value=layer)
        return wanted[layer]

    def _find_tokens(self, grid: Grid) -> Seat | None:
        """The first tokens, but not those that a pooling alone makes of a map.

        None where the passes of a network of one's own are not alike.
        """
        try:
            found = find_tokens(self._network, self._size, grid, self._device)
        except UnlikePassesError:
            return None
        within = count_calls(self._network.features, self._size, self._device)
        return found if found is not None and found.number <= within else None

    def _find_direct(self) -> Seat:
        tokens = self.seat()
        if tokens is None or not tokens.number:
            raise _not_direct("its places are no tokens of a transformer")
        last = find_last_in_block(self._network, self._size, self._device)
        if not last:
            raise _not_direct("torch does not compute its attention as one function")
        return Seat(0, (2,), tokens.grid, tokens.first, last)

    def _grid(self) -> Grid:
        with torch.no_grad():
            image = torch.zeros(1, 3, self._size, self._size, device=self._device)
            shape = self._network.features(image).shape
        return int(shape[2]), int(shape[3])

    def _repeats(self) -> bool:
        """Whether all that counts for the embedding is folded into the map, alike in every cell."""
        with torch.no_grad():
            wave = torch.arange(3.0 * self._size**2).sin().reshape(1, 3, self._size, self._size)
            maps = self._network.features(wave.to(self._device))
        leaf = maps.clone().requires_grad_()
        with deriving(), torch.enable_grad():
            total = self._network.head(leaf.clone()).square().sum()
            (gradient,) = torch.autograd.grad(total, leaf)
        varies = (maps != maps[..., :1, :1]).flatten(2).any(dim=2)
        counts = (gradient != 0).flatten(2).any(dim=2)
        return bool(varies.any() and counts.any() and not (varies & counts).any())

    def _part(self, seat: Seat) -> nn.Module:
        """What makes the embedding of what a seat is given."""
        return self._freeze() if seat.number or seat.direct else self._freeze().head

    def _freeze(self) -> Network:
        """The network with the same tensors, of which none asks for a gradient."""
        if self._frozen is None:
            shared: dict[int, object] = {
                id(each): nn.Parameter(each.detach(), requires_grad=False)
                for each in self._network.parameters()
            }
            shared |= {id(each): each for each in self._network.buffers()}
            self._frozen = copy.deepcopy(self._network, shared)
        return self._frozen


def refuse_inexact(
    form: AffineForm, missed: float, limit: float = INEXACT, size: float = 0.0
) -> None:
    """Raise ModelError where what parts miss of an embedding is more than rounding.

    It names the function that is to blame, where one is found. Rounding is of the `size` of the
    parts where that is known: behind a whitening large ones add up to a short embedding.
    """
    length = float(form.raw.norm())
    if not length or abs(missed) <= limit * max(length, size):
        return
    culprit = ""
    with suppress(Exception):
        culprit = blame(form.network, form.given, form.seat)
    named = f"; {culprit} is not affine, and xmir has no rule for it" if culprit else ""
    raise ModelError(
        f"no exact shares of this network: they miss {abs(missed) / length:.1e} of the "
        f"embedding{named}",
        _OTHERS,
    )


def _text(grid: Grid) -> str:
    return f"{grid[0]}x{grid[1]}"


def _not_direct(reason: str) -> SettingError:
    return SettingError(
        "path", f"nothing is written directly ({reason})", "Use `path` hops.", value="direct"
    )
