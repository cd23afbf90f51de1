"""Embeddings of one image with each of many windows hidden, computing only what a window changes.

The activations of the intact image are kept; neighbouring windows go through the network together,
and every layer makes only the cells that their union can change. Exact up to rounding.
Source: Nakandala et al., Incremental and approximate inference for faster occlusion-based deep CNN
explanations, SIGMOD 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xmir_cli.model.embedder import PART, Embedder, unit
from xmir_cli.model.head import AveragePool, Head
from xmir_cli.program.boxes import Box, area, whole
from xmir_cli.program.patches import Patch
from xmir_cli.program.program import Program
from xmir_cli.program.workers import share_out

_SIDES = (1, 2, 3, 4)  # windows along each side of a group
_WORTH = 0.9  # of the cost without a margin; above it, none pays
_SAMPLE = 6  # groups whose work is added up
_IDLE = 2  # threads, of which one makes the base while the others wait


@dataclass(frozen=True, eq=False)
class Base:
    """What every step of a program makes of the intact image."""

    program: Program
    activations: Sequence[Tensor]


def base_of(program: Program | None, image: Tensor) -> Base | None:
    """The base for an image [3, S, S] in model space, if there is a program."""
    if program is None:
        return None
    (activations,) = share_out(program.bases, [image])
    return Base(program, activations)


def embed_hidden(
    embedder: Embedder,
    pictures: tuple[Tensor, Tensor],
    windows: Tensor,
    base: Base | None,
    margin: int | None = None,
) -> Tensor:
    """Unit embeddings [N, D], float32 on the CPU, of the image with each window filled.

    Args:
        embedder: The network.
        pictures: In model space [3, S, S], the image and what its windows are filled with.
        windows: Top, left, bottom, right in pixels [N, 4].
        base: Of the image, by the program that `worthwhile` chose; None passes whole images
            through the network.
        margin: How far around a window its cells may change, as of `Program.boxes`; None is exact.
    """
    image, fill = pictures
    embeddings = torch.empty(len(windows), embedder.dim)
    if base is None:
        for rows in torch.arange(len(windows)).split(embedder.batch):
            embeddings[rows] = embedder.embed(hide(image, fill, windows[rows]), len(windows))
        return embeddings
    groups = _groups(windows, _cheapest(base.program, windows, embedder.batch, margin)[1])

    def one(rows: Tensor) -> None:
        box = _around(windows[rows])
        top, left, bottom, right = box
        inner = windows[rows] - torch.tensor([top, left, top, left])
        part = hide(image[:, top:bottom, left:right], fill[:, top:bottom, left:right], inner)
        features = base.program.changed(part, box, base.activations, margin)
        embeddings[rows] = unit(_project(embedder, features).float())

    share_out(one, groups)
    return embeddings


def _project(embedder: Embedder, features: Patch) -> Tensor:
    """Raw embeddings [B, D] of what differs from a base, [1, D] where nothing does.

    A mean over the cells is updated from those that differ.
    """
    head, everywhere = embedder.network.head, whole(features.size)
    partly = features.box not in {None, everywhere}
    if partly and isinstance(head, Head) and isinstance(head.pool, AveragePool):
        change = features.change().sum(dim=(2, 3)) / area(everywhere)
        return head.finish(head.pool(features.base) + change)
    return embedder.project(features.maps)


def worthwhile(embedder: Embedder, windows: Tensor) -> Program | None:
    """The network's program when hiding these windows with it saves work; else None."""
    program = embedder.program
    if program is None or not len(windows):
        return None
    dense = program.work(program.boxes((0, 0, program.size, program.size)))
    base, count = _IDLE * (dense + program.start), len(windows)
    cost = base + count * _cheapest(program, windows, embedder.batch)[0]
    return program if cost < count * (dense + program.start / PART) else None


def worth(
    embedder: Embedder, windows: Tensor, program: Program, margins: Sequence[int]
) -> list[int]:
    """Those of the margins that save work beside following every change."""

    def cost(margin: int | None) -> float:
        return _cheapest(program, windows, embedder.batch, margin)[0]

    exact = cost(None)
    return [margin for margin in margins if cost(margin) < _WORTH * exact]


def hide(image: Tensor, fill: Tensor, windows: Tensor) -> Tensor:
    """Copies [B, 3, H, W] of the image, each with one window of [B, 4] filled."""
    copies = image.repeat(len(windows), 1, 1, 1)
    for copy, (top, left, bottom, right) in zip(copies, windows.tolist(), strict=True):
        copy[:, top:bottom, left:right] = fill[:, top:bottom, left:right]
    return copies


def _cheapest(
    program: Program, windows: Tensor, batch: int, margin: int | None = None
) -> tuple[float, int]:
    """What a window costs in groups of at most a batch, and how many a side make the cheapest."""
    sides = [side for side in _SIDES if side * side <= max(batch, 1)]
    return min((_cost(program, windows, side, margin), side) for side in sides)


def _cost(program: Program, windows: Tensor, side: int, margin: int | None) -> float:
    """Multiplications a window, estimated from a few groups, or what takes as long.

    Threads that have nothing left to do wait for the last group: few groups cost more.
    """
    groups = _groups(windows, side)
    sample = groups[:: -(-len(groups) // _SAMPLE)]
    work = sum(
        program.work(program.boxes(_around(windows[rows]), margin)) * len(rows) for rows in sample
    ) / sum(len(rows) for rows in sample)
    return (work + program.start * len(groups) / len(windows)) * (1 + 1 / len(groups))


def _groups(windows: Tensor, side: int) -> list[Tensor]:
    """The windows in blocks of side x side neighbours on their grid: rows of `windows`."""
    row = windows[:, [0, 2]].unique(dim=0, return_inverse=True)[1] // side
    column = windows[:, [1, 3]].unique(dim=0, return_inverse=True)[1] // side
    block = row * (int(column.max()) + 1) + column
    order = block.argsort(stable=True)
    counts = block[order].unique_consecutive(return_counts=True)[1]
    return list(order.split(counts.tolist()))


def _around(windows: Tensor) -> Box:
    """The smallest box around all windows [N, 4]."""
    top, left = windows[:, :2].amin(dim=0).tolist()
    bottom, right = windows[:, 2:].amax(dim=0).tolist()
    return (top, left, bottom, right)
