"""Embeddings of one image with each of many windows hidden, computing only what a window changes.

The activations of the intact image are kept, see the picture in `xmir_cli.program`. Neighbouring
windows pass together, inside the box that encloses them. Exact up to rounding.
Source: Nakandala et al., Incremental and approximate inference for faster occlusion-based deep CNN
explanations, SIGMOD 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from xmir_cli import steps
from xmir_cli.model.embedder import PART, Embedder, unit
from xmir_cli.model.head import AveragePool, Head
from xmir_cli.program.boxes import Box, count_cells, full_box
from xmir_cli.program.patches import Changed, Patch
from xmir_cli.program.program import Program
from xmir_cli.program.workers import share_out

_SIDES = (1, 2, 3, 4)  # windows along each side of a group
_USEFUL = 0.9  # of the cost without a margin: a margin that costs more is not useful
_SAMPLED = 6  # groups from which the cost of all is estimated
_THREADS = 2  # as assumed: one of them computes the base, and the others wait


@dataclass(frozen=True, eq=False)
class Base:
    """The activations of the intact image at every step of a program."""

    program: Program
    activations: Sequence[Tensor]


def make_base(program: Program | None, image: Tensor) -> Base | None:
    """The base for an image [3, S, S] in model space; None if there is no program."""
    if program is None:
        return None
    (activations,) = share_out(program.run_base, [image])
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
        base: Of the image, for the program of `program_if_cheaper`; with None, whole images pass
            through the network.
        margin: How far around a window its cells may change, see `Program.grow_boxes`; None is
            exact.
    """
    image, fill = pictures
    if base is None:
        return embedder.embed_made(windows, partial(hide, image, fill))
    embeddings = torch.empty(len(windows), embedder.dim)
    side = _find_cheapest_side(base.program, windows, embedder.batch, margin)[1]

    def embed_group(rows: Tensor) -> None:
        box = _enclose(windows[rows])
        top, left, bottom, right = box
        inner = windows[rows] - torch.tensor([top, left, top, left])
        pixels = hide(image[:, top:bottom, left:right], fill[:, top:bottom, left:right], inner)
        features = base.program.run_changed(pixels, box, base.activations, margin)
        embeddings[rows] = unit(_project(embedder, features).float())
        steps.advance(len(rows))

    share_out(embed_group, _group(windows, side))
    return embeddings


def program_if_cheaper(embedder: Embedder, windows: Tensor) -> Program | None:
    """The network's program, if hiding these windows with it is cheaper than whole images."""
    program = embedder.program
    if program is None or not len(windows):
        return None
    whole = program.count_work(program.grow_boxes((0, 0, program.size, program.size)))
    base, count = _THREADS * (whole + program.start_cost), len(windows)
    cost = base + count * _find_cheapest_side(program, windows, embedder.batch)[0]
    return program if cost < count * (whole + program.start_cost / PART) else None


def useful_margins(
    embedder: Embedder, windows: Tensor, program: Program, margins: Sequence[int]
) -> list[int]:
    """Those margins with which hiding the windows is clearly cheaper than without a margin."""

    def find_cost(margin: int | None) -> float:
        return _find_cheapest_side(program, windows, embedder.batch, margin)[0]

    exact = find_cost(None)
    return [margin for margin in margins if find_cost(margin) < _USEFUL * exact]


def hide(image: Tensor, fill: Tensor, windows: Tensor) -> Tensor:
    """Copies [B, 3, H, W] of the image, each with one window of [B, 4] filled."""
    copies = image.repeat(len(windows), 1, 1, 1)
    for copy, (top, left, bottom, right) in zip(copies, windows.tolist(), strict=True):
        copy[:, top:bottom, left:right] = fill[:, top:bottom, left:right]
    return copies


def _project(embedder: Embedder, features: Patch) -> Tensor:
    """Raw embeddings [B, D] of feature maps; [1, D] where all of them are the base's.

    The mean over all cells is the base's mean plus the mean of the differences.
    """
    head, everywhere = embedder.network.head, full_box(features.size)
    if (
        isinstance(features, Changed)
        and features.box != everywhere
        and isinstance(head, Head)
        and isinstance(head.pool, AveragePool)
    ):
        change = features.subtract_base().sum(dim=(2, 3)) / count_cells(everywhere)
        return head.finish(head.pool(features.base) + change)
    return embedder.project(features.materialize_whole())


def _find_cheapest_side(
    program: Program, windows: Tensor, batch: int, margin: int | None = None
) -> tuple[float, int]:
    """The lowest cost of a window, and the side of the groups that have it, at most a batch."""
    sides = [side for side in _SIDES if side * side <= max(batch, 1)]
    return min((_estimate_cost(program, windows, side, margin), side) for side in sides)


def _estimate_cost(program: Program, windows: Tensor, side: int, margin: int | None) -> float:
    """Multiplications a window, or as many as take as long, estimated from a few groups.

    At the end threads without work wait for the last group: the fewer groups, the longer.
    """
    groups = _group(windows, side)
    sample = groups[:: -(-len(groups) // _SAMPLED)]
    count = sum(len(rows) for rows in sample)
    boxes = [program.grow_boxes(_enclose(windows[rows]), margin) for rows in sample]
    costs = [program.count_work(each) for each in boxes]
    work = sum(cost * len(rows) for cost, rows in zip(costs, sample, strict=True)) / count
    return (work + program.start_cost * len(groups) / len(windows)) * (1 + 1 / len(groups))


def _group(windows: Tensor, side: int) -> list[Tensor]:
    """The windows in blocks of side x side neighbours on their grid: rows of `windows`."""
    row = windows[:, [0, 2]].unique(dim=0, return_inverse=True)[1] // side
    column = windows[:, [1, 3]].unique(dim=0, return_inverse=True)[1] // side
    block = row * (int(column.max()) + 1) + column
    order = block.argsort(stable=True)
    counts = block[order].unique_consecutive(return_counts=True)[1]
    return list(order.split(counts.tolist()))


def _enclose(windows: Tensor) -> Box:
    """The smallest box around all windows [N, 4]."""
    top, left = windows[:, :2].amin(dim=0).tolist()
    bottom, right = windows[:, 2:].amax(dim=0).tolist()
    return (top, left, bottom, right)
