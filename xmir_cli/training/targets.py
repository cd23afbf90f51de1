"""The labels of a batch as losses take them: numbers, or flags where images have several."""

from collections.abc import Sequence

import torch
from torch import Tensor

from xmir_cli.training.sampler import by_class


class Targets:
    """The labels of the images to train on, `labels` as `A|B`; `count` is how many there are."""

    def __init__(self, labels: Sequence[str]) -> None:
        members = by_class(labels)
        self.count = len(members)
        self._of: list[list[int]] = [[] for _ in labels]  # the numbers of each image's labels
        for number, rows in enumerate(members.values()):
            for row in rows:
                self._of[row].append(number)
        self._one_each = all(len(numbers) == 1 for numbers in self._of)

    def of(self, batch: Sequence[int]) -> Tensor:
        """The labels of images by position: numbers [B], or flags [B, C] where any has several."""
        if self._one_each:
            return torch.tensor([self._of[row][0] for row in batch])
        flags = torch.zeros(len(batch), self.count, dtype=torch.bool)
        for place, row in enumerate(batch):
            flags[place, self._of[row]] = True
        return flags
