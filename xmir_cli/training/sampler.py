"""Which images stand in which batch: P classes with K images each."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from xmir_cli.errors import DataError
from xmir_cli.training.recipe import Sampler


def epoch_batches(
    labels: Sequence[str], per_class: int, classes: int | None, seed: tuple[int, int]
) -> list[list[int]]:
    """An epoch's batches: positions in `labels`, `per_class` of each of `classes` classes.

    No image comes twice; the epoch ends when fewer than `classes` classes have `per_class` left
    (None: all classes are in every batch, so it ends when any class has run out).

    Args:
        labels: The class of every image.
        per_class: K, images of a class in a batch.
        classes: P, classes in a batch, drawn anew each time from those with images left.
        seed: The run's seed and the epoch; the same give the same batches.
    """
    rng = np.random.default_rng(seed)
    left = {name: rng.permutation(members).tolist() for name, members in by_class(labels).items()}
    wanted = classes or len(left)
    batches = []
    while len(ready := [name for name, rest in left.items() if len(rest) >= per_class]) >= wanted:
        chosen = [ready[place] for place in sorted(rng.permutation(len(ready))[:wanted])]
        batches.append([left[name].pop() for name in chosen for _ in range(per_class)])
    return batches


def whole_batches(
    labels: Sequence[str], per_class: int, classes: int | None, seed: tuple[int, int]
) -> list[list[int]]:
    """An epoch's batches like those of `epoch_batches`, in which every image comes at least once.

    Every class comes as often as the largest one needs to: images of smaller ones come again once
    all of theirs have come, in another order. No image comes twice in a batch, and every class has
    at least `per_class`. With fewer classes a batch those come next that have come least.
    """
    rng = np.random.default_rng(seed)
    members = by_class(labels)
    groups = {name: _draw_groups(rows, per_class, rng) for name, rows in members.items()}
    needed = dict.fromkeys(members, whole_rounds(list(map(len, members.values())), per_class))
    names, wanted, batches = list(members), classes or len(members), []
    while max(needed.values()) > 0:
        order = [names[place] for place in rng.permutation(len(names))]
        chosen = sorted(sorted(order, key=lambda name: -needed[name])[:wanted])
        for name in chosen:
            needed[name] -= 1
        batches.append([row for name in chosen for row in next(groups[name])])
    return batches


def whole_rounds(sizes: Sequence[int], per_class: int) -> int:
    """How often each class comes in an epoch of `whole_batches`."""
    return -(-max(sizes) // per_class)


def _draw_groups(rows: Sequence[int], count: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Groups of `count` different rows without end, each row again only when all have come."""
    left: list[int] = []
    while True:
        group, left = left[:count], left[count:]
        if len(group) < count:
            order = rng.permutation(rows).tolist()
            more = [row for row in order if row not in group][: count - len(group)]
            left = [row for row in order if row not in more]
            group += more
        yield group


def count_visits(batches: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    """Each image of each batch with how often it came before in them."""
    seen: Counter[int] = Counter()
    found = []
    for batch in batches:
        found.append([(image, seen[image]) for image in batch])
        seen.update(batch)
    return found


def check_classes(labels: Sequence[str], per_class: int, classes: int | None) -> dict[str, int]:
    """The classes with fewer than `per_class` images, and how many they have.

    Raises DataError unless batches of `classes` x `per_class` can be drawn from the others.
    """
    sizes = {name: len(rows) for name, rows in by_class(labels).items()}
    if len(sizes) < 2:
        found = f"only {next(iter(sizes))}" if sizes else "none"
        raise DataError(f"training needs images of at least two classes, found {found}")
    rare = {name: size for name, size in sizes.items() if size < per_class}
    left = len(sizes) - len(rare)
    if left < 2:
        second = sorted(sizes.values())[-2]  # with so many a batch there are two classes
        name = next(name for name, size in sizes.items() if size == second)
        lower = f"Lower `per_class` to {second}" if second > 1 else "Give it more images"
        raise DataError(
            f"class {name} has {second} images, fewer than the {per_class} of `per_class`",
            f"{lower}, or leave the class out.",
        )
    if classes is not None and classes > left:
        raise DataError(
            f"{left} classes are there, fewer than the {classes} of `classes_per_batch`"
        )
    return rare


def by_class(labels: Sequence[str]) -> dict[str, list[int]]:
    """The positions of each class, classes in alphabetical order."""
    members: dict[str, list[int]] = {name: [] for name in sorted(set(labels))}
    for position, name in enumerate(labels):
        members[name].append(position)
    return members


SAMPLERS: Mapping[
    Sampler, Callable[[Sequence[str], int, int | None, tuple[int, int]], list[list[int]]]
] = {"smallest": epoch_batches, "all": whole_batches}
