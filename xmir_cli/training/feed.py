"""Pictures on their way to the network: decoded and augmented in threads, ahead of it."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from xmir_cli.errors import DataError, ItemError
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.view import to_input, view_picture
from xmir_cli.training.augment import augment
from xmir_cli.training.examples import Example
from xmir_cli.training.pictures import Pictures
from xmir_cli.training.recipe import Augmentation


class Feed:
    """Turns rows into batches of network input; `jobs` threads, None for one a processor."""

    def __init__(self, embedder: Embedder, pictures: Pictures, jobs: int | None) -> None:
        self.embedder, self.pictures, self.jobs = embedder, pictures, jobs
        self.recipe = embedder.recipe

    def load_augmented(
        self,
        batches: Sequence[Sequence[int]],
        examples: Sequence[Example],
        augmentation: Augmentation,
        seed: tuple[int, int],
    ) -> Iterator[Tensor]:
        """Random views [B, 3, S, S] on the device, for each batch of positions in `examples`.

        `seed` and the position decide the view, whatever the number of threads.
        """

        def load(place: int) -> Tensor:
            rng = np.random.default_rng((*seed, place))
            picture = self.pictures(examples[place].path)
            return to_input(augment(picture, self.recipe, augmentation, rng), self.recipe)

        return self._batches(load, batches, examples)

    def load_plain(self, examples: Sequence[Example], batch: int) -> Iterator[Tensor]:
        """The views of the evaluation [B, 3, S, S] on the device, `batch` at a time, in order."""

        def load(place: int) -> Tensor:
            view = view_picture(self.pictures(examples[place].path), self.recipe)
            return to_input(view, self.recipe)

        places = range(len(examples))
        batches = [places[start : start + batch] for start in places[::batch]]
        return self._batches(load, batches, examples)

    def _batches(
        self,
        load: Callable[[int], Tensor],
        batches: Sequence[Sequence[int]],
        examples: Sequence[Example],
    ) -> Iterator[Tensor]:
        views = decode_all([place for batch in batches for place in batch], load, self.jobs)
        for batch in batches:
            images = torch.stack([_there(next(views), examples[place]) for place in batch])
            yield images.to(self.embedder.device, memory_format=torch.channels_last)


def _there(view: Tensor | ItemError, example: Example) -> Tensor:
    if isinstance(view, ItemError):
        raise DataError(f"{example.name}: no longer readable: {view.reason}")
    return view
