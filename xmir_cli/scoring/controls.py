"""Maps that every method must beat, made for the same pair.

`random`, `center`, `edges`, `uniform` and `rollout` are saliency methods that do not see the query;
`random-model` is the record's own method on a randomly initialised network (Adebayo et al. 2018).
Those that are made of maps are in `altered.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import torch
from torch import Tensor

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError, ModelError, SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.reading import read_image
from xmir_cli.saliency import catalogue, load_method
from xmir_cli.saliency.contrast import contrast
from xmir_cli.saliency.sample import Sample, make_samples
from xmir_cli.scoring.names import BLIND, RANDOM_MODEL
from xmir_cli.scoring.tasks import Task
from xmir_cli.wire.checks import check_identity
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.old_settings import renew_settings


class Controls:
    """Makes the maps of the controls `names`; a random network is loaded once."""

    def __init__(
        self, names: Sequence[str], seed: int, load: Callable[[ModelSpec], Embedder]
    ) -> None:
        self.names, self.seed, self._load = names, seed, load
        self._told = False

    def make_shared(
        self, embedder: Embedder, target: Tensor, explained: Tensor
    ) -> dict[str, Tensor]:
        """Maps [S, S] that serve all methods of one pair of inputs [3, S, S].

        Raises ItemError where the network has no such map.
        """
        maps = {}
        for name in self.names:
            if name in BLIND:
                method = load_method(name, {"seed": str(self.seed)} if name == "random" else {})
                try:
                    maps[name] = method(embedder, _blind(target), _blind(explained)).saliency
                except ModelError as error:
                    raise ItemError(Cause.NO_CONTROL, f"{name}: {error}") from None
        return maps

    def make_own(self, task: Task, target: Tensor | Sample, explained: Tensor) -> dict[str, Tensor]:
        """Maps [S, S] that belong to one task: its own method's, of a random network.

        An image as the target is embedded by that network; words stay where they are.
        """
        if RANDOM_MODEL not in self.names:
            return {}
        if task.method not in catalogue():
            raise ItemError(Cause.NO_CONTROL, f"{task.method or 'nameless'} is no method to repeat")
        if task.pair.center is not None:
            raise ItemError(Cause.NO_CONTROL, "a random network has another mean of the gallery")
        spec = replace(task.pair.spec, weights=f"random:{self.seed}", weights_sha256="")
        embedder = self._load(spec)
        if embedder.spec.weights_sha256 == task.pair.spec.weights_sha256 and not self._told:
            self._told = True
            console.warning(
                f"the random network of the seed {self.seed} is the one that the maps are of: they "
                f"gain nothing over {RANDOM_MODEL}; take another `seed`"
            )
        try:
            return {RANDOM_MODEL: _again(embedder, task, target, explained)}
        except SettingError as error:
            raise ItemError(Cause.NO_CONTROL, f"{error}") from None


def _again(embedder: Embedder, task: Task, target: Tensor | Sample, explained: Tensor) -> Tensor:
    """The map [S, S] of the task's own method, told apart from the same images as recorded."""
    method = load_method(task.method, _settings(task))
    negatives, rival = (_read(task, key, embedder) for key in ("negatives", "contrast"))
    fixed, own = ([target], []) if isinstance(target, Sample) else ([], [target])
    samples = [*fixed, *make_samples(embedder, [*own, explained, *negatives, *rival])]
    query = 1 if task.view.explains == "query" else 0
    told_apart = tuple(samples[2 : 2 + len(negatives)])
    samples[query] = replace(samples[query], negatives=told_apart)
    if rival:
        return contrast(method, embedder, (samples[0], samples[-1]), samples[1]).saliency
    return method(embedder, samples[0], samples[1]).saliency


def _read(task: Task, key: str, embedder: Embedder) -> list[Tensor]:
    """The images [3, S, S] that the record names under a key: one, several or none.

    Raises ItemError for one that is not there or not the recorded one.
    """
    settings = task.record.get("settings")
    known = _texts(settings.get(key)) if isinstance(settings, Mapping) else []
    inputs = []
    paths = _texts(task.record.get(key))
    for path, identity in zip_longest(paths, known[: len(paths)]):
        reading = read_image(path, embedder.recipe)
        check_identity(identity, reading.identity, path)
        inputs.append(reading.input)
    return inputs


def _texts(named: object) -> list[str]:
    return [
        each for each in (named if isinstance(named, list) else [named]) if isinstance(each, str)
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
