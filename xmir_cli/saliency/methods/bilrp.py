"""BiLRP at the last feature map: which pairs of regions make the similarity, by relevance.

Source: Eberle et al., Building and interpreting deep similarity models, IEEE TPAMI 2022. Every
dimension of the embedding is traced back to the cells by layer-wise relevance propagation (LRP) in
either image; the products of both, summed over the dimensions, are the joint relevance of pairs of
cells. It stops at the last feature map, which lies before the head: there it is exact for a head of
pooling and affine layers, where further down it would rest on rules for each kind of layer. With
gamma 0 and no bias, or without a head, it is activation mapping. In networks whose places have
their shares with much of the network held, as `activation` has it, pairs are those of what the
places write: `rest` is what all other pairs add.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.head import Head, Pool
from xmir_cli.saliency.forms import LAST, USUAL, Form, Where, form_of
from xmir_cli.saliency.matches import strongest_matches
from xmir_cli.saliency.sample import Explanation, Match, Sample, need_image, similarity
from xmir_cli.saliency.upsample import upsample

_STABLE = 1e-9  # added to the size of every denominator
_TINY = 1e-12  # the norm below which an embedding counts as zero


@dataclass(frozen=True)
class Method:
    """S[j] = sum_i R[i, j], R = sum_m LRP_m(target) x LRP_m(explained) / (|e_target| |e|)."""

    gamma: Annotated[
        float,
        "how much more the weights count that agree with a dimension's sign, LRP-gamma; 0 counts "
        "all alike",
    ] = 0.25
    matches: Annotated[
        int, "how many of the strongest pairs of regions to name in the record and to draw"
    ] = 0

    unit = "similarity per place"
    from_features = True
    of_places = True
    exact = True

    def __post_init__(self) -> None:
        for name, value in (("gamma", self.gamma), ("matches", self.matches)):
            if not value >= 0:
                raise SettingError(name, f"expected 0 or more, found {value}")

    def __call__(self, embedder: Embedder, target: Sample, explained: Sample) -> Explanation:
        need_image(target, "bilrp pairs the regions of two images; words and concepts have none")
        (other, beside), (own, left) = (self._trace(embedder, each) for each in (target, explained))
        other = target.center(other)
        shares = own @ other.sum(dim=0)
        form = form_of(embedder, explained, _where(embedder))
        matches: tuple[Match, ...] = ()
        if self.matches:
            pairs = other @ explained.center(own).T
            matches = strongest_matches(pairs, (target, explained), form.grid, self.matches)
        places = float(shares.double().sum())
        details: dict[str, float | str] = {}
        if form.told:
            scale = target.centering.scale if target.centering else 1.0
            whole = (other.sum(dim=0) + scale * beside).double() @ (own.sum(dim=0) + left).double()
            details = {"places": places, "rest": float(whole) - places, **form.told}
            places = float(whole)
        details["residual"] = similarity(target, explained) - places
        grid = shares.reshape(form.grid)
        return Explanation(upsample(grid, embedder.size), 0, details, matches)

    def _trace(self, embedder: Embedder, sample: Sample) -> tuple[Tensor, Tensor]:
        """What each place has in each dimension [n, D], and what all the others have [D]."""
        where = _where(embedder)
        form = form_of(embedder, sample, where)
        if form.told:
            return written_relevances(form, self.gamma)
        found = relevances(embedder, sample, self.gamma)
        return found, torch.zeros(found.shape[1])


def _where(embedder: Embedder) -> Where:
    """The usual places, but for a pooling behind which a norm's deviation has to be held."""
    head = embedder.network.head
    norm = embedder.shares.seat() is None and isinstance(head, Head) and head.has_norm
    return LAST if norm else USUAL


def written_relevances(form: Form, gamma: float) -> tuple[Tensor, Tensor]:
    """What each place has in each dimension of the unit embedding [n, D], and what the rest has.

    The layer that gamma favours in is the sum of what the places write, f_m = sum_j u_jm + rest_m:

        R_jm = v_jm / (sum_j v_jm + that of the rest) * f_m
        v_jm = (1 + gamma) u_jm where it has the sign of f_m, else u_jm
    """
    written = torch.cat([form.written(), form.others()[None]])  # [n + 1, D]
    unit = written.sum(dim=0)
    favoured = written * (1 + gamma * (written * unit > 0))
    total = favoured.sum(dim=0)
    stable = torch.where(total < 0, total - _STABLE, total + _STABLE)
    shares = favoured * (unit / stable)
    return shares[:-1], shares[-1]


def relevances(embedder: Embedder, sample: Sample, gamma: float) -> Tensor:
    """What each cell has in each dimension of the unit embedding: [n, D] on the CPU.

    They sum to f = e / |e| but for what the head's constants hold. With a [C] the pooled features,
    W and b the head's affine layers as one:

        R_m[c] = a_c V_cm / (sum_c a_c V_cm + the bias) * e_m
        V_cm = (1 + gamma) W_cm where a_c W_cm has the sign of e_m, else W_cm; the bias likewise

    so that no denominator is smaller than e_m. A cell takes from R_m[c] what it adds to a_c.
    """
    head = embedder.network.head
    assert isinstance(head, Head)
    pool: Pool = head.pool  # type: ignore[assignment] # an nn.Module that is a Pool
    with torch.no_grad():
        cells = pool.cells(sample.features[None])[0].float()  # [n, C]
        weight, bias = head.affine(cells.sum(dim=0))
    cells, weight, bias = cells.cpu(), weight.cpu(), bias.cpu()
    pooled, raw = cells.sum(dim=0), sample.raw
    favoured = weight * (1 + gamma * (pooled[:, None] * weight * raw > 0))
    total = pooled @ favoured + bias * (1 + gamma * (bias * raw > 0))
    stable = torch.where(total < 0, total - _STABLE, total + _STABLE)
    shares: Tensor = cells @ favoured * (raw / stable)
    norm = raw.norm()
    return torch.zeros_like(shares) if norm < _TINY else shares / norm
