"""Which images stand in which batch: P classes with K images each."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from xmir_cli.errors import DataError
from xmir_cli.labels import LabelSets, parse_labels
from xmir_cli.training.recipe import Sampler
from xmir_cli.training.rotation import Rotation


def epoch_batches(
    labels: Sequence[str], per_class: int, classes: int | None, seed: tuple[int, int]
) -> list[list[int]]:
    """An epoch's batches: positions in `labels`, `per_class` of each of `classes` classes.

    No image comes twice; the epoch ends when fewer than `classes` classes have `per_class` left
    (None: all classes are in every batch, so it ends when any class has run out). An image with
    several labels counts for each of them, so that batches with such are smaller.

    Args:
        labels: The label of every image, or its labels as `A|B`.
        per_class: K, images of a class in a batch, at least.
        classes: P, classes in a batch, drawn anew each time from those with images left.
        seed: The run's seed and the epoch; the same give the same batches.
    """
    rng = np.random.default_rng(seed)
    members = drawn_classes(labels, per_class)
    left = {name: rng.permutation(rows).tolist() for name, rows in members.items()}
    sets = [parse_labels(text) for text in labels]
    free = {name: len(rows) for name, rows in members.items()}  # those that did not come
    wanted, came = classes or len(left), set[int]()
    batches = []
    while len(ready := [name for name in left if free[name] >= per_class]) >= wanted:
        batch: list[int] = []
        for name in (ready[place] for place in sorted(rng.permutation(len(ready))[:wanted])):
            there = sum(name in sets[row] for row in batch)
            while there < per_class:
                row = left[name].pop()
                if row not in came:
                    there += 1
                    batch.append(row)
                    came.add(row)
                    for each in sets[row] & free.keys():
                        free[each] -= 1
        batches.append(batch)
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
    members = drawn_classes(labels, per_class)
    turns = {name: Rotation(rows, rng) for name, rows in members.items()}
    needed = dict.fromkeys(members, whole_rounds(list(map(len, members.values())), per_class))
    names, wanted, batches = list(members), classes or len(members), []
    while max(needed.values()) > 0:
        order = [names[place] for place in rng.permutation(len(names))]
        batch: list[int] = []
        for name in sorted(sorted(order, key=lambda name: -needed[name])[:wanted]):
            needed[name] -= 1
            batch += turns[name].top_up(batch, per_class)
        batches.append(batch)
    return batches


def whole_rounds(sizes: Sequence[int], per_class: int) -> int:
    """How often each class comes in an epoch of `whole_batches`."""
    return -(-max(sizes) // per_class)


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

    Raises DataError unless batches of `classes` x `per_class` can be drawn from the others, in
    which some images share no label.
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
    if LabelSets(labels).sharing.min() == len(labels):
        common = [name for name, size in sizes.items() if size == len(labels)]
        raise DataError(
            "every two images share a label: there is nothing to tell apart",
            f"Every image has {common[0]}: leave it out." if common else "",
        )
    return rare


def least_images(labels: Sequence[str], per_class: int, classes: int | None) -> int:
    """How many images a batch has at least: with several labels each they may be of one class."""
    members = by_class(labels)
    alone = sum(map(len, members.values())) == len(labels)
    return per_class * (classes or len(members)) if alone else per_class


def drawn_classes(labels: Sequence[str], per_class: int) -> dict[str, list[int]]:
    """The positions of each class that has as many images as a batch takes of it."""
    return {name: rows for name, rows in by_class(labels).items() if len(rows) >= per_class}


def by_class(labels: Sequence[str]) -> dict[str, list[int]]:
    """The positions of each class, classes in alphabetical order; `A|B` stands in two of them."""
    sets = [parse_labels(text) for text in labels]
    members: dict[str, list[int]] = {name: [] for name in sorted(set().union(*sets))}
    for position, names in enumerate(sets):
        for name in names:
            members[name].append(position)
    return members


SAMPLERS: Mapping[
    Sampler, Callable[[Sequence[str], int, int | None, tuple[int, int]], list[list[int]]]
] = {"smallest": epoch_batches, "all": whole_batches}
