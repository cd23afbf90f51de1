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
from xmir_cli.training.views import TrainedNetwork, Visit
from xmir_cli.wire.records import Record


class Feed:
    """Turns rows into batches of network input; `jobs` threads, None for one a processor."""

    def __init__(self, embedder: Embedder, pictures: Pictures, jobs: int | None) -> None:
        self.embedder, self.pictures, self.jobs = embedder, pictures, jobs
        self.recipe = embedder.recipe

    @property
    def told(self) -> Record:
        """Nothing beside the network."""
        return {}

    def mark(self, path: str) -> str:
        """A hash of what the network may see of a picture; raises ItemError for none."""
        return self.pictures.fingerprint(path)

    def whole(self) -> TrainedNetwork:
        """The network."""
        return TrainedNetwork(self.embedder.network, self.embedder.spec)

    def load_augmented(
        self,
        batches: Sequence[Sequence[Visit]],
        examples: Sequence[Example],
        augmentation: Augmentation,
        seed: tuple[int, int],
    ) -> Iterator[Tensor]:
        """Random views [B, 3, S, S] on the device, for each batch of images in `examples`.

        `seed`, the position and how often it came decide the view, whatever the number of threads.
        """

        def load(visit: Visit) -> Tensor:
            place, before = visit
            again = (1 + before,) if before else ()  # 1 is taken: by a batch's own numbers
            rng = np.random.default_rng((*seed, place, *again))
            picture = self.pictures(examples[place].path)
            return to_input(augment(picture, self.recipe, augmentation, rng), self.recipe)

        return self._batches(load, batches, examples)

    def load_plain(self, examples: Sequence[Example], batch: int) -> Iterator[Tensor]:
        """The views of the evaluation [B, 3, S, S] on the device, `batch` at a time, in order."""

        def load(visit: Visit) -> Tensor:
            view = view_picture(self.pictures(examples[visit[0]].path), self.recipe)
            return to_input(view, self.recipe)

        places = [(place, 0) for place in range(len(examples))]
        batches = [places[start : start + batch] for start in range(0, len(places), batch)]
        return self._batches(load, batches, examples)

    def _batches(
        self,
        load: Callable[[Visit], Tensor],
        batches: Sequence[Sequence[Visit]],
        examples: Sequence[Example],
    ) -> Iterator[Tensor]:
        views = decode_all([visit for batch in batches for visit in batch], load, self.jobs)
        for batch in batches:
            images = torch.stack([_there(next(views), examples[place]) for place, _ in batch])
            yield images.to(self.embedder.device, memory_format=torch.channels_last)


def _there(view: Tensor | ItemError, example: Example) -> Tensor:
    if isinstance(view, ItemError):
        raise DataError(f"{example.name}: no longer readable: {view.reason}")
    return view
