"""A training session: pictures read once before the first step, then one record an epoch."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.pictures.batches import decode_all
from xmir_cli.progress import clock
from xmir_cli.training.examples import Division, Example, find_contradictions
from xmir_cli.training.loop import BatchNumbers, Outcome, Trainer
from xmir_cli.training.plan import Plan
from xmir_cli.training.ranks import ALONE, Ranks
from xmir_cli.training.recipe import BEFORE
from xmir_cli.training.sampler import by_class
from xmir_cli.training.schedule import step_share
from xmir_cli.training.validation import validate
from xmir_cli.training.views import Views
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.epoch import EpochRecord

# what is not kept: it differs from run to run, or follows from the rest
_PASSING = {"schema", "steps", "seconds", "images_per_second"}


class Bar(Protocol):
    """Is told how much is done."""

    def advance(self, count: int = 1) -> None:
        """Say that `count` more are done."""

    def go_on(self, count: int) -> None:
        """Say that `count` were done before."""

    def tell(self, *words: str) -> None:
        """Say how it goes."""


# what is done, of how many of what
ShowProgress = Callable[[str, int, str], AbstractContextManager[Bar]]
LeaveOut = Callable[[str, ItemError], None]  # name and cause


def keep_readable(
    division: Division,
    feed: Views,
    leave_out: LeaveOut,
    bar: ShowProgress,
    ranks: Ranks = ALONE,
) -> Division:
    """The rows whose pictures can be read, marked by content; they stay in memory if they fit.

    Each rank reads its part. Training pictures that stand in two classes are left out as well.
    Raises DataError when nothing is left to train on.
    """
    training = list(_marked(division.training, feed, leave_out, bar, ranks))
    twofold = find_contradictions(training)
    for example in twofold:
        error = ItemError(Cause.TWO_CLASSES, "the same picture has another label elsewhere")
        leave_out(example.name, error)
    left = [example for example in training if example not in twofold]
    if not left:
        count = len(division.training)
        raise DataError(f"none of {count} training images could be read; nothing was written")
    validation = list(_marked(division.validation, feed, leave_out, bar, ranks))
    return Division(left, validation, division.validated_on)


def _marked(
    examples: Sequence[Example], feed: Views, leave_out: LeaveOut, bar: ShowProgress, ranks: Ranks
) -> Iterator[Example]:
    own = [row.path for row in ranks.own(examples)]
    with bar("reading", len(examples), "images") as progress:
        marks = ranks.merge(decode_all(own, feed.mark, feed.jobs))
        for example, mark in zip(examples, marks, strict=True):
            if isinstance(mark, ItemError):
                leave_out(example.name, mark)
            else:
                yield replace(example, mark=mark)
            progress.advance()


def describe_run(trainer: Trainer, division: Division) -> Record:
    """All that decides the result of a run, as plain data."""
    embedder = trainer.embedder
    rows = [[(row.label, row.mark) for row in rows] for rows in division.sides]
    labels = by_class([row.label for row in division.training])
    settings = asdict(trainer.settings)
    settings["epochs"] = trainer.plan([row.label for row in division.training]).epochs
    for name, value in BEFORE.items():
        if settings[name] == value:
            del settings[name]
    if not settings["augmentation"]["shift"]:  # as it was before it existed
        del settings["augmentation"]["shift"]
    record: Record = {
        **settings,
        "precision": embedder.precision,
        "start": embedder.spec.to_json(),
        **trainer.feed.told,
        "classes": {name: len(places) for name, places in labels.items()},
        "images": hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
    }
    plain: Record = json.loads(json.dumps(record))  # tuples become lists, as in a file
    return plain


def train_epochs(
    trainer: Trainer,
    division: Division,
    done: int,
    begun: Sequence[BatchNumbers],
    bar: ShowProgress,
) -> Iterator[Record]:
    """Train what is left after `done` epochs; a record (`xmir.epoch/1`) as each one ends.

    Of the next epoch some batches may be done as well: `begun` is what they gave.
    """
    plan = trainer.plan([row.label for row in division.training])
    pace = _Pace(plan, plan.until(done) + len(begun))
    for number in range(done + 1, plan.epochs + 1):
        start = time.monotonic()
        outcome = _train_epoch(trainer, (number, begun), division.training, pace, bar)
        begun = ()
        with bar("validating", len(division.validation), "images") as progress:
            validation = validate(
                trainer.feed,
                division.validation,
                progress.advance,
                trainer.ranks,
                by_patient=trainer.settings.keep == "best",
            )
        attention = outcome.attention_loss
        yield {
            "schema": EpochRecord.NAME,
            "epoch": number,
            "steps": plan.until(number),
            "loss": outcome.loss,
            **({} if attention is None else {"attention_loss": attention}),
            "violating_fraction": outcome.violating_fraction,
            **validation,
            **_step_size(plan, number),
            "seconds": round(time.monotonic() - start, 3),
            "images_per_second": round(outcome.images_per_second, 3),
        }


def _step_size(plan: Plan, number: int) -> Record:
    """The learning rate in the middle of an epoch, where it changes."""
    settings = plan.settings
    if settings.schedule == "constant":
        return {}
    share = step_share(settings.schedule, plan.share_done(number, 0.5))
    return {"learning_rate": settings.learning_rate * share}


def _train_epoch(
    trainer: Trainer,
    which: tuple[int, Sequence[BatchNumbers]],
    examples: Sequence[Example],
    pace: "_Pace",
    bar: ShowProgress,
) -> Outcome:
    """Train one epoch, of which some batches are done, before the eyes of whoever looks."""
    (number, begun), plan = which, pace.plan
    with bar(f"epoch {number}/{plan.epochs}", plan.lengths[number - 1], "steps") as progress:
        progress.go_on(len(begun))

        def tell(so_far: Outcome) -> None:
            progress.advance()
            end = pace.tell(plan.until(number - 1) + len(trainer.steps))
            speed = f"{so_far.images_per_second:.1f} images/s"
            progress.tell(f"loss {so_far.loss:.3f}", *end, speed)

        return trainer.epoch(number, examples, tell, begun)


@dataclass(frozen=True)
class _Pace:
    """How long a run still takes, with its validations, by what it took since `before` steps."""

    plan: Plan
    before: int
    start: float = field(default_factory=time.monotonic)

    def tell(self, done: int) -> list[str]:
        """When the run will end; nothing where that is when its epoch ends."""
        if self.plan.epochs == 1:
            return []
        each = (time.monotonic() - self.start) / (done - self.before)
        return [f"run ends in {clock(each * (self.plan.steps - done))}"]


def keep_lasting(record: Record) -> Record:
    """What of an epoch's record is kept with the weights: equal for equal runs."""
    return {key: value for key, value in record.items() if key not in _PASSING}
