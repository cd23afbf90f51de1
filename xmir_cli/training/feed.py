"""Pictures on their way to the network: decoded and augmented in threads, one batch ahead."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from xmir_cli.errors import DataError, ItemError
from xmir_cli.images.decode import Picture
from xmir_cli.model.embedder import Embedder
from xmir_cli.training.augment import Augmentation, augment
from xmir_cli.training.examples import Example
from xmir_cli.training.pictures import Pictures


class Feed:
    """Turns rows into batches of network input; `jobs` threads, None for one a processor."""

    def __init__(self, embedder: Embedder, pictures: Pictures, jobs: int | None) -> None:
        self.embedder, self.pictures, self.jobs = embedder, pictures, jobs

    def augmented(
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
            picture = self._picture(examples[place])
            return self.embedder.to_input(augment(self.embedder, picture, augmentation, rng))

        return self._ahead(load, batches)

    def plain(self, examples: Sequence[Example], batch: int) -> Iterator[Tensor]:
        """The views of the evaluation [B, 3, S, S] on the device, `batch` at a time, in order."""

        def load(place: int) -> Tensor:
            return self.embedder.to_input(self.embedder.view(self._picture(examples[place])))

        places = range(len(examples))
        return self._ahead(load, [places[start : start + batch] for start in places[::batch]])

    def _ahead(
        self, load: Callable[[int], Tensor], batches: Sequence[Sequence[int]]
    ) -> Iterator[Tensor]:
        device = self.embedder.device
        with ThreadPoolExecutor(self.jobs) as pool:
            waiting: deque[Iterator[Tensor]] = deque()
            for batch in [*batches, None]:
                if batch is not None:
                    waiting.append(pool.map(load, batch))
                if waiting and (batch is None or len(waiting) > 1):
                    images = torch.stack(list(waiting.popleft()))
                    yield images.to(device, memory_format=torch.channels_last)

    def _picture(self, example: Example) -> Picture:
        try:
            return self.pictures(example.path)
        except ItemError as error:
            raise DataError(f"{example.name}: no longer readable: {error.reason}") from None
