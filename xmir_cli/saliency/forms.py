"""What the places of an image write into its embedding: exact shares, whatever the network.

Three kinds, one of which a network is, see `Shares.seat`. Where the last map is pooled and what
follows is affine, its cells sum to the embedding. Where the pooling is followed by more, places
are the last map's cells, and where tokens are pooled they are the first tokens of the image; what
the image itself decides behind them is held, see `xmir_cli.affine`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from xmir_cli.affine.form import Pulled
from xmir_cli.affine.passes import Grid
from xmir_cli.affine.survey import Seat
from xmir_cli.model.embedder import Embedder, unit
from xmir_cli.model.shares import OTHER_WAY, refuse_inexact
from xmir_cli.saliency.sample import Sample

_TINY = 1e-12  # the norm below which an embedding counts as zero

Details = dict[str, float | str]


@dataclass(frozen=True)
class Where:
    """At which places an embedding is shared out, and by which way from them."""

    layer: str = ""  # HxW, or last; empty: those of the network
    direct: bool = False


USUAL, LAST = Where(), Where(layer="last")


class Form(Protocol):
    """What the places of one image write into its unit embedding f = e / |e|."""

    grid: Grid
    told: Details  # what records say of how the shares were made; empty of a plain pooling

    def pull(self, direction: Tensor) -> Pulled:
        """What each place has in direction [D] . f."""

    def push(self, weights: Tensor) -> Tensor:
        """What the places write together, each times its weight [n]: [D] on the CPU."""

    def written(self) -> Tensor:
        """What each place writes: [n, D]."""

    def others(self) -> Tensor:
        """What all but the places write, by itself: [D] on the CPU."""


def form_of(embedder: Embedder, sample: Sample, where: Where = USUAL, bias: bool = True) -> Form:
    """The form of an image under its network.

    Without `bias` the constants behind a plain pooling are left out; with it they are spread evenly
    over the cells. In the other forms constants are always told apart.
    """
    seat = embedder.shares.seat(where.layer, where.direct)
    if seat is None:
        with torch.no_grad():
            cells = embedder.cells(sample.features[None], bias)[0].float()
        return _Cells(cells, sample)
    return _Held(embedder, sample, where, seat)


def needs_image(embedder: Embedder, settings: Mapping[str, object]) -> bool:
    """Whether forms under these settings of a method need more of an image than its last map."""
    layer, path = settings.get("layer", ""), settings.get("path", "")
    seat = embedder.shares.seat(str(layer), path == "direct")
    return seat is not None and bool(seat.number or seat.direct)


class _Cells:
    """The cells of the last map sum to the embedding."""

    def __init__(self, cells: Tensor, sample: Sample) -> None:
        self.grid = (sample.features.shape[1], sample.features.shape[2])
        self.told: Details = {}
        self._cells, self._length = cells, float(sample.raw.norm())

    def pull(self, direction: Tensor) -> Pulled:
        return Pulled(_over(self._cells @ direction.to(self._cells), self._length).cpu(), 0, 0, 0)

    def push(self, weights: Tensor) -> Tensor:
        return (weights.to(self._cells) @ self.written()).cpu()

    def written(self) -> Tensor:
        return _over(self._cells, self._length)

    def others(self) -> Tensor:
        return torch.zeros(self._cells.shape[1])


class _Held:
    """An affine form of the network, always in float32."""

    def __init__(self, embedder: Embedder, sample: Sample, where: Where, seat: Seat) -> None:
        given = sample.input if seat.number or seat.direct else sample.features
        self.grid = seat.grid
        self._form, self._sample = embedder.shares.form(given, seat), sample
        self._key = ("written", where.layer, where.direct)
        self._length = float(self._form.raw.norm())
        tokens = seat.direct or len(seat.axes) == 1
        name = f"{'tokens' if tokens else 'map'} {seat.grid[0]}x{seat.grid[1]}"
        self.told: Details = {"held": ", ".join(self._form.held), "layer": name}
        plain = sample.raw if embedder.precision == "fp32" else self._form.pass_plainly()
        refuse_inexact(self._form, float((self._form.raw - plain).norm()), OTHER_WAY)

    def pull(self, direction: Tensor) -> Pulled:
        found = self._form.pull(direction)
        along = max(float(direction.norm()), _TINY)
        parts = float(found.places.abs().sum()) + abs(found.prefix) + abs(found.rest)
        refuse_inexact(self._form, found.missed / along, size=parts / along)
        if self._length < _TINY:
            return Pulled(torch.zeros_like(found.places), 0, 0, 0)
        each = (found.prefix, found.rest, found.missed)
        return Pulled(_over(found.places, self._length), *(part / self._length for part in each))

    def push(self, weights: Tensor) -> Tensor:
        pushed = self._form.push(weights)
        along, pulled = self._try()
        most = max(1.0, float(weights.abs().max()))
        expected = float(weights.double().cpu() @ pulled.places.double())
        refuse_inexact(self._form, (float(pushed.double() @ along) - expected) / most)
        return _over(pushed, self._length)

    def written(self) -> Tensor:
        if self._key not in self._sample.memo:
            written = self._form.written()
            missed = self._form.raw - written.sum(dim=0) - self._form.others()
            refuse_inexact(self._form, float(missed.norm()))
            along, pulled = self._try()
            refuse_inexact(self._form, float((written.double() @ along - pulled.places).norm()))
            self._sample.memo[self._key] = _over(written, self._length)
        return self._sample.memo[self._key]

    def others(self) -> Tensor:
        others = self._form.others()
        along, pulled = self._try()
        expected = pulled.prefix + pulled.rest
        refuse_inexact(self._form, float(others.double() @ along) - expected)
        return _over(others, self._length)

    def _try(self) -> tuple[Tensor, Pulled]:
        """A direction of length 1 that has to do with all dimensions, and what is pulled along it.

        A form that is not affine may be exact with all its parts and along its own embedding.
        """
        wave = torch.arange(1.0, len(self._form.raw) + 1).cos()
        along = unit(unit(self._form.raw) + unit(wave))
        pulled = self._form.pull(along)
        refuse_inexact(self._form, pulled.missed)
        return along.double(), pulled


def tell(form: Form, pulled: Pulled) -> Details:
    """What records say of shares beside their residual; they sum to the similarity."""
    if not form.told:
        return {}
    places = float(pulled.places.double().sum())
    return {"places": places, "prefix": pulled.prefix, "rest": pulled.rest, **form.told}


def _over(values: Tensor, length: float) -> Tensor:
    """Shares in the raw embedding of that length as shares in the unit embedding."""
    return torch.zeros_like(values) if length < _TINY else values / length
