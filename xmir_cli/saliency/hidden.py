"""Embeddings of an image with each of many windows hidden, computed once and kept."""

import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from xmir_cli import steps
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.incremental import (
    Base,
    embed_hidden,
    make_base,
    program_if_cheaper,
    useful_margins,
)
from xmir_cli.saliency.sample import Sample
from xmir_cli.saliency.windows import box_sums

_MARGINS = (1, 2, 3, 4, 5, 6, 7, 8, 10)  # cells around a window that may change, from rough to fine
_PROBES = 16  # windows that are computed exactly to choose a margin
_SAFETY = 2  # the probes must stay so many times below the tolerance
_CHUNK = 64  # windows computed between two looks at the clock


@dataclass(frozen=True)
class Hiding:
    """What hides the windows, how exactly the embeddings are computed, and for how long."""

    name: tuple[Hashable, ...]  # of windows and fill, among all ways to hide parts of one image
    fill: Tensor  # [3, S, S] in model space
    coarsest: int  # the grid's largest step with which every pixel is still covered
    incremental: bool
    tolerance: float  # the largest error of a similarity; 0 is exact up to rounding
    budget: float  # seconds; 0 is without a limit


@dataclass(frozen=True, eq=False)
class Hidden:
    """Unit embeddings [N, D], and the computed rows in their order: all, if time suffices."""

    embeddings: Tensor
    rows: Tensor
    evaluations: int
    details: dict[str, float]


def hidden_embeddings(
    embedder: Embedder, target: Sample, explained: Sample, windows: Tensor, how: Hiding
) -> Hidden:
    """The embeddings with each window [N, 4] hidden, remembered in the explained image's memo.

    They do not depend on the target: one computation serves every query, both directions and
    self-similarity. A window whose pixels equal the fill changes nothing and costs nothing.
    With a tolerance, the target decides how far around a window changes are followed. Probes, which
    are remembered, too, give the error in its similarity. If it is too large for a later target,
    the embeddings are computed again.
    """
    start = time.monotonic()
    changed = box_sums((explained.input != how.fill).any(dim=0), windows) > 0
    shown = windows[changed]
    key = (*how.name, how.incremental, how.tolerance, "and the way")
    everything = torch.arange(len(windows))
    if key in explained.memo:  # the last row says whether it was incremental
        known, errors, way = explained.memo[key].tensor_split([len(windows), -1])
        error = find_largest_error(errors, target)
        if error <= how.tolerance:
            details = {"incremental": float(way[0, 0])}
            details |= {"error": error} if how.tolerance else {}
            return Hidden(known, everything, len(shown), details)
    program = program_if_cheaper(embedder, shown) if how.incremental else None
    base = make_base(program, explained.input)
    details = {"incremental": float(base is not None)}
    pictures = (explained.input, how.fill)
    margin, errors = None, torch.empty(0, embedder.dim)
    if how.tolerance and base is not None:
        margin, errors = choose_margin(embedder, pictures, shown, base, (target, how.tolerance))
    embeddings = explained.embedding.repeat(len(windows), 1)
    rows = [(~changed).nonzero()[:, 0]]
    steps.begin(len(shown))
    for part in _split_in_time(changed.nonzero()[:, 0], windows, how, start):
        embeddings[part] = embed_hidden(embedder, pictures, windows[part], base, margin)
        rows.append(part)
    order = torch.cat(rows)
    if len(order) == len(windows):
        way = torch.full((1, embedder.dim), details["incremental"])
        explained.memo[key] = torch.cat([embeddings, errors, way])
        # as it is kept, so that later targets see the same
        embeddings, errors, _ = explained.memo[key].tensor_split([len(windows), -1])
    details |= {"error": find_largest_error(errors, target)} if how.tolerance else {}
    return Hidden(embeddings, order, len(order) - len(rows[0]), details)


def choose_margin(
    embedder: Embedder,
    pictures: tuple[Tensor, Tensor],
    windows: Tensor,
    base: Base,
    wanted: tuple[Sample, float],
) -> tuple[int | None, Tensor]:
    """The smallest margin whose error in the similarity to a target is well within a tolerance.

    Probes, spread over the windows, are computed exactly and with a few margins.

    Returns:
        The margin, None if none is exact enough and useful; the probes' errors [P, D].
    """
    target, tolerance = wanted
    blocks = windows.split(max(1, len(windows) // (4 * 4)))
    probes = torch.cat([block[: _PROBES // 4] for block in blocks[1::4]] or list(blocks))
    exact = embed_hidden(embedder, pictures, probes, base)
    chosen, errors = None, torch.zeros(1, exact.shape[1])
    margins = useful_margins(embedder, windows, base.program, _MARGINS)
    low, high = 0, len(margins)
    while low < high:
        middle = (low + high) // 2
        found = embed_hidden(embedder, pictures, probes, base, margins[middle]) - exact
        if find_largest_error(found, target) * _SAFETY <= tolerance:
            chosen, errors, high = margins[middle], found, middle
        else:
            low = middle + 1
    return chosen, errors


def find_largest_error(errors: Tensor, target: Sample) -> float:
    """The largest error in the similarity to the target, given the embeddings' errors [P, D]."""
    return float((errors.double() @ target.embedding.double()).abs().max()) if len(errors) else 0.0


def _split_in_time(rows: Tensor, windows: Tensor, how: Hiding, start: float) -> Iterator[Tensor]:
    """The rows in parts: all at once; with a budget from coarse to fine, until it is spent."""
    if not how.budget:
        yield rows
        return
    begun, done = time.monotonic(), 0
    for part in split_coarse_to_fine(windows, rows, how.coarsest):
        now = time.monotonic()
        if done and now + (now - begun) / done * len(part) > start + how.budget:
            return
        yield part
        done += len(part)


def split_coarse_to_fine(windows: Tensor, rows: Tensor, coarsest: int) -> list[Tensor]:
    """The rows of windows on a grid in parts: every `coarsest`-th place each way, then finer ones.

    The first part is the coarse grid. The places of a finer grid follow in bands, in a mixed order
    that is always the same.
    """
    down = windows[rows][:, [0, 2]].unique(dim=0, return_inverse=True)[1]
    across = windows[rows][:, [1, 3]].unique(dim=0, return_inverse=True)[1]
    parts: list[Tensor] = []
    left = torch.ones(len(rows), dtype=torch.bool)
    step = 1 << (max(coarsest, 1).bit_length() - 1)
    while step:
        level = left & (down % step == 0) & (across % step == 0)
        left &= ~level
        fresh = rows[level]
        bands = list(fresh.split(_CHUNK)) if parts else [fresh]
        mixed = torch.randperm(len(bands), generator=torch.Generator().manual_seed(0))
        parts += [bands[band] for band in mixed.tolist()]
        step //= 2
    return [part for part in parts if len(part)]
