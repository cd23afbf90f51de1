"""Controls at a map's own scale, made of the maps of its method: none of them is seen elsewhere.

`shuffled` asks whether the places of its cells count, `other-pair` whether it matters that the map
is of this pair, `blurred` whether its detail counts.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.scoring.inputs import read_map
from xmir_cli.scoring.names import BLURRED, OTHER_PAIR, SHUFFLED
from xmir_cli.scoring.scale import shuffle_cells, smooth
from xmir_cli.scoring.tasks import Task

_IMAGES = {"negatives", "contrast"}  # settings that name images


def alter(
    names: Sequence[str], task: Task, saliency: Tensor, identity: str, seed: int
) -> dict[str, Tensor]:
    """Those of the controls that are made of maps, [S, S] each.

    Args:
        names: The controls that are asked for.
        task: Whose map it is.
        saliency: The map [S, S], NaN beyond the picture.
        identity: Of the explained image, which has an order of its own.
        seed: Of that order.

    Raises ItemError where there is no map of another pair.
    """
    made = {}
    if SHUFFLED in names:
        digest = hashlib.sha256(f"{seed} {identity}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        made[SHUFFLED] = shuffle_cells(saliency, generator)
    if OTHER_PAIR in names:
        if not task.other:
            raise ItemError(
                Cause.NO_CONTROL, "no other image has a map of this method and its settings"
            )
        made[OTHER_PAIR] = read_map(task.other, len(saliency))
    if BLURRED in names:
        made[BLURRED] = smooth(saliency)
    return made


def name_others(groups: Sequence[Sequence[Task]], seed: int) -> list[list[Task]]:
    """The same tasks, each with the map of another image by its method, drawn at random."""
    alike: dict[object, list[Task]] = {}
    for task in (task for group in groups for task in group):
        alike.setdefault(_kind(task), []).append(task)
    chosen = {key: _draw(tasks, seed) for key, tasks in alike.items()}
    return [
        [replace(task, other=chosen[_kind(task)][_image(task)]) for task in group]
        for group in groups
    ]


def _draw(tasks: Sequence[Task], seed: int) -> Mapping[str, str]:
    """For each explained image the map of another one; empty where there is none."""
    maps: dict[str, list[str]] = {}
    for task in tasks:
        maps.setdefault(_image(task), []).append(task.saliency)
    images = sorted(maps)
    generator = torch.Generator().manual_seed(seed)
    count = len(images)
    if count == 1:
        return {images[0]: ""}
    steps = torch.randint(1, count, (count,), generator=generator).tolist()
    return {
        image: maps[images[(place + step) % count]][0]
        for place, (image, step) in enumerate(zip(images, steps, strict=True))
    }


def _image(task: Task) -> str:
    """Which image is explained."""
    view = task.view
    recorded = view.query_identity if view.explains == "query" else view.retrieved_identity
    return recorded or task.pair.explained


def _kind(task: Task) -> object:
    """What maps that may stand for each other have alike: other images in them are each's own."""
    settings = task.view.settings or {}
    own = {name: settings[name] for name in sorted(settings) if name not in _IMAGES}
    return task.method, repr(own), task.view.explains, task.pair.spec
