"""How many steps a run has, epoch by epoch, before the first one is taken."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice

from xmir_cli.training.recipe import LEAST_EPOCHS, LEAST_STEPS, Settings
from xmir_cli.training.sampler import (
    SAMPLERS,
    by_class,
    drawn_classes,
    epoch_batches,
    whole_rounds,
)


@dataclass(frozen=True)
class Plan:
    """The steps of each epoch; the last one ends earlier where the steps are counted."""

    settings: Settings
    lengths: tuple[int, ...]

    @property
    def epochs(self) -> int:
        """How many there are, the last one whole or not."""
        return len(self.lengths)

    @property
    def steps(self) -> int:
        """How many there are in all."""
        return sum(self.lengths)

    def until(self, epochs: int) -> int:
        """The steps of the first so many epochs."""
        return sum(self.lengths[:epochs])

    def share_done(self, number: int, part: float) -> float:
        """The share of the run, 0 to 1, that lies before a part (0 to 1) of epoch `number`."""
        if self.settings.steps is None:
            return (number - 1 + part) / self.epochs
        return (self.until(number - 1) + part * self.lengths[number - 1]) / self.settings.steps


@lru_cache(maxsize=2)
def plan_run(settings: Settings, labels: tuple[str, ...]) -> Plan:
    """The plan of a run on images with these classes, of which batches can be drawn."""
    lengths = _epoch_lengths(settings, labels)
    if settings.steps is None and settings.epochs is not None:
        return Plan(settings, tuple(islice(lengths, settings.epochs)))
    if settings.steps is None:
        found: list[int] = []
        while len(found) < LEAST_EPOCHS or sum(found) < LEAST_STEPS:
            found.append(next(lengths))
        return Plan(settings, tuple(found))
    left, cut = settings.steps, []
    while left > 0:
        cut.append(min(left, next(lengths)))
        left -= cut[-1]
    return Plan(settings, tuple(cut))


def _epoch_lengths(settings: Settings, labels: Sequence[str]) -> Iterator[int]:
    """The steps of one whole epoch after another, without end."""
    sizes = [len(members) for members in drawn_classes(labels, settings.per_class).values()]
    classes = settings.classes_per_batch or len(sizes)
    apart = sum(sizes) == len(labels)  # one label each: no class takes images from another
    for number in count(1):
        if settings.sampler == "all":
            yield -(-whole_rounds(sizes, settings.per_class) * len(sizes) // classes)
        elif classes == len(sizes) and apart:
            yield min(sizes) // settings.per_class
        else:  # it depends on which classes, or images, are drawn
            seed = settings.seed, number
            yield len(epoch_batches(labels, settings.per_class, classes, seed))


def tell_plan(
    plan: Plan,
    labels: Sequence[str],
    frozen: Sequence[str],
    show: Callable[[str], str],
    norms: int = 0,
) -> Iterator[str]:
    """What a run will do, a line at a time, for whoever is about to wait for it.

    Args:
        plan: Its steps.
        labels: The class of every image to train on, or its classes as `A|B`.
        frozen: The parts of the network that stay as they are, but for batch norms.
        show: Makes a name fit for a terminal.
        norms: How many batch norms stay as they are.
    """
    settings = plan.settings
    sizes = {name: len(members) for name, members in by_class(labels).items()}
    several = sum(sizes.values()) > len(labels)
    drawn = len(drawn_classes(labels, settings.per_class))
    classes = settings.classes_per_batch or drawn
    rare = f", {len(sizes) - drawn} of them too rare to fill a batch" if drawn < len(sizes) else ""
    told = _tell_sizes(sizes, show)
    yield f"training on {len(labels)} images of {len(sizes)} classes{rare}: {told}"
    each = f"{classes} classes {'with at least' if several else 'x'} {settings.per_class} images"
    yield (
        f"{_count(plan.epochs, 'epoch')} of {_tell_lengths(plan)}, {_count(plan.steps, 'step')} "
        f"in all{_tell_choice(settings)}, each on {each}; {_tell_end(plan, labels, show)}"
    )
    kept = _tell_kept(settings)
    yield f"frozen: {_tell_frozen(frozen, norms)}; kept: the weights of {kept}"


def _tell_sizes(sizes: dict[str, int], show: Callable[[str], str]) -> str:
    if len(sizes) <= 6:
        return ", ".join(f"{show(name)} {size}" for name, size in sizes.items())
    least, most = (choose(sizes, key=lambda name: sizes[name]) for choose in (min, max))
    return f"from {show(least)} {sizes[least]} to {show(most)} {sizes[most]}"


def _tell_choice(settings: Settings) -> str:
    """Why there are so many steps, where nobody has said how many."""
    if settings.steps is not None or settings.epochs is not None:
        return ""
    return f" (from {LEAST_STEPS} steps and {LEAST_EPOCHS} epochs on)"


def _tell_lengths(plan: Plan) -> str:
    """How many steps an epoch has, the last one told apart where it is cut."""
    *others, last = plan.lengths
    low, high = min(others, default=last), max(others, default=last)
    told = _count(low, "step") if low == high else f"{low} to {high} steps"
    return f"{told}, the last one of {last}" if last < low else told


def _tell_end(plan: Plan, labels: Sequence[str], show: Callable[[str], str]) -> str:
    """When an epoch ends, and how many images it has used by then."""
    settings = plan.settings
    sizes = {name: len(rows) for name, rows in drawn_classes(labels, settings.per_class).items()}
    classes = settings.classes_per_batch or len(sizes)
    alone = sum(sizes.values()) == len(labels)
    whole = next(_epoch_lengths(settings, labels))
    epoch = "a whole epoch" if plan.lengths[0] < whole else "an epoch"
    used = whole * settings.per_class * classes
    if not alone:
        draw = SAMPLERS[settings.sampler]
        drawn = draw(labels, settings.per_class, settings.classes_per_batch, (settings.seed, 1))
        used = sum(map(len, drawn))
    if settings.sampler == "all":
        return f"{epoch} uses each of the {len(labels)} images, some again: {used} views"
    smallest = show(min(sizes, key=lambda name: sizes[name]))
    every = classes == len(sizes)
    end = f"{smallest if alone else 'a class'} runs out" if every else "too few classes are left"
    about = "" if every and alone else "about "
    return f"{epoch} ends when {end}: it uses {about}{used} of the {len(labels)} images"


def _tell_kept(settings: Settings) -> str:
    if settings.keep == "last":
        return "the last epoch"
    end = "" if settings.patience is None else f"; ends after {settings.patience} without a better"
    return f"the epoch with the best validation mAP, the query's own patient left out{end}"


def _tell_frozen(blocks: Sequence[str], norms: int) -> str:
    """The frozen blocks by name; batch norms, which are many, as one."""
    told = [_tell_some(blocks)] if blocks else []
    if norms:
        told.append(f"every {'other ' if blocks else ''}batch norm ({norms})")
    return ", ".join(told) or "nothing"


def _tell_some(names: Sequence[str], most: int = 12) -> str:
    """The names, of many the first and the last ones."""
    if len(names) <= most:
        return ", ".join(names)
    half = most // 2
    left_out = len(names) - 2 * half
    return ", ".join([*names[:half], f"... {left_out} more ...", *names[-half:]])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
