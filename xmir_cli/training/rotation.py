"""Whose turn it is: the images of one label, again and again, each once before any comes again."""

from collections.abc import Sequence

import numpy as np


class Rotation:
    """The images `rows` of a label, in an order that is drawn anew when all of them have come."""

    def __init__(self, rows: Sequence[int], rng: np.random.Generator) -> None:
        self._rows, self._rng = rows, rng
        self._order: list[int] = []
        self._waiting: set[int] = set()  # those of the order that have not come

    def top_up(self, batch: Sequence[int], count: int) -> list[int]:
        """The images to add to a batch so that `count` have their turn in it.

        What another label brought there has had its turn, and counts.
        """
        group = [row for row in batch if row in self._waiting]
        self._waiting.difference_update(group)
        while self._waiting and len(group) < count:
            row = self._order.pop()
            if row in self._waiting:
                self._waiting.remove(row)
                group.append(row)
        if len(group) < count:
            group += self._begin_again(group, count - len(group))
        there = set(batch)
        return [row for row in group if row not in there]

    def _begin_again(self, group: Sequence[int], count: int) -> list[int]:
        """The first `count` in a new order that are not in the group; the others wait."""
        order = self._rng.permutation(self._rows).tolist()
        taken = [row for row in order if row not in group][:count]
        self._waiting = set(order).difference(taken)
        self._order = order[::-1]
        return taken
