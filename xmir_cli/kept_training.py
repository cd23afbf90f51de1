"""A training run whose state lies on the disk: taken up, kept after each epoch, finished."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from torch import Tensor

from xmir_cli import console
from xmir_cli.errors import ExistsError, ModelError
from xmir_cli.model.weights import hash_weights
from xmir_cli.pages.history import redraw_history
from xmir_cli.store.runs import (
    OWN,
    Run,
    check_finished,
    continue_state,
    write_checkpoint,
    write_state,
)
from xmir_cli.store.unfinished import state_path
from xmir_cli.store.vectors_there import ADAPTER
from xmir_cli.training.best import Best
from xmir_cli.training.examples import Division
from xmir_cli.training.loop import Trainer
from xmir_cli.training.session import describe_run, keep_lasting, train_epochs
from xmir_cli.training.state import restore, take
from xmir_cli.training.targets import Targets
from xmir_cli.training.validation import check_embeds
from xmir_cli.wire.records import Record


class TrainingFiles(Protocol):
    """What a description of a training says of its files."""

    @property
    def output(self) -> Path:
        """The checkpoint; the state lies beside it."""

    @property
    def plot(self) -> Path | None:
        """The figure of the epochs."""

    @property
    def resume(self) -> bool:
        """Whether an interrupted run is continued."""

    @property
    def force(self) -> bool:
        """Whether what is there is replaced."""


def begin(trainer: Trainer, division: Division, asked: TrainingFiles, best: Best) -> Run | None:
    """What is done of the run, whose state is taken up; None when all of it is."""
    run = Run(describe_run(trainer, division))
    kept = _read_kept(run, asked) if trainer.ranks.leads else None
    tensors, begun = trainer.ranks.first(kept or ({}, None))
    if begun is None or not tensors:
        return begun
    trainer.prepare(Targets([row.label for row in division.training]).count)
    restore(trainer.parts, trainer.optimizer, tensors, str(state_path(asked.output)))
    best.read_state(tensors)
    part = f" and {len(begun.begun)} batches" if begun.begun else ""
    done = f"{len(begun.epochs)} of {run.wanted} epochs{part}"
    console.note(f"continuing: {done} are done")
    return begun


def fit(
    trainer: Trainer, division: Division, asked: TrainingFiles, run: Run, best: Best
) -> Iterator[Record]:
    """Train what is left of the run; its state is on the disk before its record is printed.

    Of several ranks the first one writes and prints, and knows when the run gives up.
    """
    ranks, patience = trainer.ranks, trainer.settings.patience
    if ranks.leads and run.epochs:
        redraw_history(asked.plot, run)
    try:
        epochs = train_epochs(trainer, division, len(run.epochs), run.begun, console.progress)
        for record in () if run.is_over else epochs:
            run = Run(run.asked, (*run.epochs, keep_lasting(record)))
            if ranks.leads:
                _keep_epoch(trainer, asked, run, best)
                _warn_of_ties(record)
                yield record
            if patience is not None and ranks.first(run.gave_up):
                break
    except KeyboardInterrupt:
        if ranks.leads:
            _keep_begun(trainer, asked, run, best)
        raise
    if ranks.leads:
        _finish(trainer, division, asked.output, run, best)


def _read_kept(run: Run, asked: TrainingFiles) -> tuple[dict[str, Tensor], Run | None]:
    """The tensors of a run that is continued, and what is done of it: None when all of it is.

    That is also a run that was made or left since this one was asked.
    """
    output, state = asked.output, state_path(asked.output)
    if asked.force and not asked.resume:
        return {}, run
    if state.exists():
        return continue_state(state, run)
    if output.exists():
        try:
            check_finished(output, run)
        except (ExistsError, ModelError):
            if asked.resume:
                raise
            console.note(f"{output}: another run has made it meanwhile; it is replaced")
            return {}, run
        console.note(f"{output}: finished already")
        return {}, None
    if asked.resume:
        console.note(f"{state}: not there, so nothing is continued")
    return {}, run


def _keep_epoch(trainer: Trainer, asked: TrainingFiles, run: Run, best: Best) -> None:
    """Keep what the epoch that just ended has made of the network, and draw what it gave."""
    if run.keeps_best and run.kept == len(run.epochs):
        best.copy(trainer.network)
    _write_state(trainer, asked, run, best)
    redraw_history(asked.plot, run)
    if trainer.draws and len(run.epochs) == 1:
        console.note("the network drops parts at random: other ranks give other numbers")


def _warn_of_ties(record: Record) -> None:
    tied = record.get("tied_pairs")
    if isinstance(tied, float):
        console.warning(
            f"epoch {record['epoch']}: {tied:.1%} of the pairs of a relevant validation image and "
            "another are equally similar to the query; the network hardly tells images apart"
        )


def _keep_begun(trainer: Trainer, asked: TrainingFiles, run: Run, best: Best) -> None:
    """Keep the batches of an epoch that was interrupted, unless the last one is half done."""
    if trainer.number == len(run.epochs) + 1 and trainer.steps and not trainer.torn:
        run = replace(run, begun=tuple(trainer.steps))
        _write_state(trainer, asked, run, best)
    if run.epochs or run.begun:  # else the state that may be there is another run's
        state = state_path(asked.output)
        console.note(f"interrupted; what is done is kept in {state}: continue with --resume")


def _finish(trainer: Trainer, division: Division, output: Path, run: Run, best: Best) -> None:
    """Write the checkpoint in the place of the state."""
    if run.keeps_best:
        best.put_back(trainer.network)
        patience = trainer.settings.patience
        end = f" after {patience} without a better one" if run.gave_up else ""
        console.note(f"kept: epoch {run.kept} of the {len(run.epochs)} that were trained{end}")
    check_embeds(trainer.feed, division.training)
    whole = trainer.feed.whole()
    spec = replace(whole.spec, weights=OWN, weights_sha256=hash_weights(whole.network))
    head = {} if whole.head is None else {ADAPTER: whole.head}
    write_checkpoint(output, {**whole.network.state_dict(), **head}, spec, run)
    state_path(output).unlink(missing_ok=True)


def _write_state(trainer: Trainer, asked: TrainingFiles, run: Run, best: Best) -> None:
    tensors = {**take(trainer.parts, trainer.optimizer), **best.as_state()}
    write_state(state_path(asked.output), tensors, run)
