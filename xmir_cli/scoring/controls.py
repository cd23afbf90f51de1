"""Maps that every method must beat, made for the same pair.

`random`, `center`, `edges` and `uniform` are saliency methods that know nothing of the similarity;
`random-model` is the record's own method on a randomly initialised network (Adebayo et al. 2018).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError, SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.reading import read_image
from xmir_cli.saliency import catalogue, load_method
from xmir_cli.saliency.contrast import contrast
from xmir_cli.saliency.sample import Sample, make_samples
from xmir_cli.scoring.names import RANDOM_MODEL
from xmir_cli.scoring.tasks import Task
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.old_settings import renew_settings


class Controls:
    """Makes the maps of the controls `names`; a random network is loaded once."""

    def __init__(
        self, names: Sequence[str], seed: int, load: Callable[[ModelSpec], Embedder]
    ) -> None:
        self.names, self.seed, self._load = names, seed, load

    def make_shared(
        self, embedder: Embedder, target: Tensor, explained: Tensor
    ) -> dict[str, Tensor]:
        """Maps [S, S] that serve all methods of one pair of inputs [3, S, S]."""
        maps = {}
        for name in self.names:
            if name != RANDOM_MODEL:
                method = load_method(name, {"seed": str(self.seed)} if name == "random" else {})
                maps[name] = method(embedder, _blind(target), _blind(explained)).saliency
        return maps

    def make_own(self, task: Task, target: Tensor, explained: Tensor) -> dict[str, Tensor]:
        """Maps [S, S] that belong to one task: its own method's, of a random network."""
        if RANDOM_MODEL not in self.names:
            return {}
        if task.method not in catalogue():
            raise ItemError(Cause.NO_CONTROL, f"{task.method or 'nameless'} is no method to repeat")
        spec = replace(task.pair.spec, weights=f"random:{self.seed}", weights_sha256="")
        embedder = self._load(spec)
        try:
            return {RANDOM_MODEL: _again(embedder, task, target, explained)}
        except SettingError as error:
            raise ItemError(Cause.NO_CONTROL, f"{error}") from None


def _again(embedder: Embedder, task: Task, target: Tensor, explained: Tensor) -> Tensor:
    """The map [S, S] of the task's own method, told apart from the same images as recorded."""
    method = load_method(task.method, _settings(task))
    negatives, rival = _paths(task, "negatives"), _paths(task, "contrast")
    recipe = embedder.recipe
    more = [read_image(path, recipe).input for path in (*negatives, *rival)]
    samples = make_samples(embedder, [target, explained, *more])
    query = 1 if task.view.explains == "query" else 0
    told_apart = tuple(samples[2 : 2 + len(negatives)])
    samples[query] = replace(samples[query], negatives=told_apart)
    if rival:
        return contrast(method, embedder, (samples[0], samples[-1]), samples[1]).saliency
    return method(embedder, samples[0], samples[1]).saliency


def _paths(task: Task, key: str) -> list[str]:
    """The images that the record names under a key: one, several or none."""
    named = task.record.get(key)
    return [
        path for path in (named if isinstance(named, list) else [named]) if isinstance(path, str)
    ]


def _blind(image: Tensor) -> Sample:
    """A sample for methods that never look at features or embeddings."""
    nothing = torch.empty(0)
    return Sample(image, nothing, nothing, nothing)


def _settings(task: Task) -> dict[str, str]:
    """The recorded settings of the task's method as texts, as if typed."""
    recorded = task.record.get("settings")
    known = {setting.name for setting in catalogue()[task.method].settings}
    given = renew_settings(task.method, recorded) if isinstance(recorded, Mapping) else {}
    return {name: _text(value) for name, value in given.items() if name in known}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
