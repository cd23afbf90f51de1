"""`xmir train`: labelled images in, an embedding network out."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xmir_cli import console, options
from xmir_cli.printer import Printer
from xmir_cli.records import Record
from xmir_cli.store.outputs import receipt, refuse_input
from xmir_cli.store.runs import (
    Run,
    check_finished,
    check_output,
    continue_state,
    state_path,
    write_checkpoint,
    write_state,
)

if TYPE_CHECKING:
    from xmir_cli.training.examples import Division
    from xmir_cli.training.loop import Trainer


def command(
    images: options.Images,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The checkpoint (safetensors).")
    ],
    arch: options.Architecture = None,
    weights: options.Weights = None,
    head: options.Head = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Train on this split. [default: train; without splits: all]"),
    ] = None,
    validate: Annotated[
        str | None,
        typer.Option("--validate", help="Validate on this split. [default: val, else test]"),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the images.")] = 20,
    per_class: Annotated[
        int, typer.Option("--per-class", min=2, help="Images of each class in a batch.")
    ] = 16,
    classes_per_batch: Annotated[
        str, typer.Option("--classes-per-batch", metavar="all|N", help="Classes in a batch.")
    ] = "all",
    margin: Annotated[
        float, typer.Option("--margin", min=0, help="How much farther the negative must lie.")
    ] = 0.2,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", min=0, help="Adam's step size.")
    ] = 1e-4,
    attention_loss: Annotated[
        float,
        typer.Option(
            "--attention-loss",
            metavar="GAMMA",
            min=0,
            help="Weight (0.2 to 0.5) of a second loss: what the attention maps of a triplet "
            "leave unseen shall not tell positive from negative (Zheng et al., CVPR 2019). "
            "At most doubles the work.",
        ),
    ] = 0.0,
    random_resized_crop: Annotated[
        bool, typer.Option("--random-resized-crop", help="Crop at random, not the centre.")
    ] = False,
    no_flip: Annotated[
        bool, typer.Option("--no-flip", help="Never mirror (mirrored hearts lie on the right).")
    ] = False,
    freeze_batchnorm: Annotated[
        bool, typer.Option("--freeze-batchnorm", help="Keep every batch norm as it is.")
    ] = False,
    freeze_layers: Annotated[
        int, typer.Option("--freeze-layers", min=0, help="Keep the first N blocks as they are.")
    ] = 0,
    where: options.Where = None,
    null: options.NullSeparated = False,
    input_size: options.InputSize = None,
    mean: options.Mean = None,
    std: options.Std = None,
    window: options.Window = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: Annotated[
        Literal["fp32", "bf16"],
        typer.Option(
            "--precision", help="Arithmetic of the network; bf16 where the device has it."
        ),
    ] = "fp32",
    jobs: options.Jobs = None,
    resume: options.Resume = False,
    force: options.Force = False,
    form: options.Format = None,
) -> int:
    """Train an embedding network by deep metric learning.

    Batch-all triplet loss on batches of every class with 16 images each, Adam; the last epoch is
    kept. Each epoch prints a record with the loss and, on the validation rows, leave-one-out mAP,
    P@1 and P@5. The state after each epoch lies beside the output until the end, and a run that is
    asked to end (Ctrl-C, SIGTERM) finishes its batch and keeps that, too: --resume continues to the
    same bytes as a run that never stopped.
    """
    check_output(output, resume or force)
    from xmir_cli.images.decode import decode
    from xmir_cli.model.loader import load_embedder, make_spec
    from xmir_cli.pictures.items import list_items
    from xmir_cli.training.augment import Augmentation
    from xmir_cli.training.examples import divide, labelled
    from xmir_cli.training.feed import Feed
    from xmir_cli.training.loop import Settings, Trainer
    from xmir_cli.training.pictures import Pictures
    from xmir_cli.training.sampler import check_classes, class_count
    from xmir_cli.training.session import readable
    from xmir_cli.training.table import columns

    settings = Settings(
        epochs=epochs,
        per_class=per_class,
        classes_per_batch=class_count(classes_per_batch),
        margin=margin,
        attention_loss=attention_loss,
        learning_rate=learning_rate,
        augmentation=Augmentation(random_resized_crop, not no_flip),
        freeze_batchnorm=freeze_batchnorm,
        freeze_layers=freeze_layers,
        seed=seed,
    )
    skips = console.Skips()
    items = list_items(images, null, where, "train")
    refuse_input(output, [*images, *(item.path for item in items)])
    rows = labelled([(item.id, item.path, item.columns) for item in items], skips.add)
    division = divide(rows, split, validate)
    check_classes([row.label for row in division.training], per_class, settings.classes_per_batch)
    _tell(division, validate)
    spec = make_spec(None, arch, weights, head, input_size, mean, std, window)
    embedder = load_embedder(spec, device, precision)
    shown = spec.preprocessing.window
    pictures = Pictures(lambda path: embedder.resized(decode(path, shown)))
    trainer = Trainer(Feed(embedder, pictures, jobs), settings)
    division = readable(division, trainer.feed, skips.add, console.progress)
    check_classes([row.label for row in division.training], per_class, settings.classes_per_batch)
    out = _Output(form or "", columns(settings))
    _run(trainer, division, output, resume, out)
    shape = (len(division.training), embedder.dim)
    out.artifact(receipt("checkpoint", output.absolute(), shape, skips.total))
    return skips.finish(len(division.training), "trained on")


def _tell(division: "Division", validate: str | None) -> None:
    if division.validated_on is None:
        console.note("no split to validate on: no mAP, P@1, P@5")
    elif validate is None and division.validated_on == "test":
        console.note("validating on the split test; no epoch is chosen by it, the last is kept")
    if division.shared_patients:
        console.warning(
            f"{division.shared_patients} patients have images in both splits: "
            "the validation looks better than it is"
        )


def _run(
    trainer: "Trainer", division: "Division", output: Path, resume: bool, out: "_Output"
) -> None:
    """Train, continue, or find that the work is done."""
    from xmir_cli.training.session import asked
    from xmir_cli.training.state import restore

    state, run = state_path(output), Run(asked(trainer, division))
    if resume and state.exists():
        tensors, run = continue_state(state, run)
        restore(trainer.network, trainer.optimizer, tensors, str(state))
        part = f" and {len(run.begun)} batches" if run.begun else ""
        done = f"{len(run.epochs)} of {trainer.settings.epochs} epochs{part}"
        console.note(f"continuing: {done} are done")
    elif resume and output.exists():
        check_finished(output, run)
        console.note(f"{output}: finished already")
        return
    elif resume:
        console.note(f"{state}: not there, so nothing is continued")
    _fit(trainer, division, output, run, out)


def _fit(trainer: "Trainer", division: "Division", output: Path, run: Run, out: "_Output") -> None:
    """Train what is left of the run; its state is on the disk before its record is printed."""
    from xmir_cli.model.weights import digest
    from xmir_cli.training.session import lasting, train_epochs
    from xmir_cli.training.state import take

    state = state_path(output)
    try:
        epochs = train_epochs(trainer, division, len(run.epochs), run.begun, console.progress)
        for record in epochs:
            run = Run(run.asked, (*run.epochs, lasting(record)))
            write_state(state, take(trainer.network, trainer.optimizer), run)
            out.epoch(record)
    except KeyboardInterrupt:
        if trainer.number == len(run.epochs) + 1 and trainer.steps and not trainer.torn:
            run = replace(run, begun=tuple(trainer.steps))
            write_state(state, take(trainer.network, trainer.optimizer), run)
        if run.epochs or run.begun:  # else the state that may be there is another run's
            console.note(f"interrupted; what is done is kept in {state}: continue with --resume")
        raise
    spec = replace(
        trainer.embedder.spec,
        weights=str(output.absolute()),
        weights_sha256=digest(trainer.network),
    )
    write_checkpoint(output, trainer.network.state_dict(), spec, run)
    state.unlink(missing_ok=True)


class _Output:
    """Records as they come; on a terminal rows of a table, one as each epoch ends."""

    def __init__(self, form: str, columns: Sequence[str]) -> None:
        self.printer = Printer(form, columns, "path")
        self.printer.__enter__()
        if self.printer.form == "table":
            self._line(self.printer.columns)

    def epoch(self, record: Record) -> None:
        """Print what an epoch gave."""
        if self.printer.form == "table":
            self._line([record[column] for column in self.printer.columns])
        elif self.printer.form != "paths":
            self.printer.write(record)

    def artifact(self, receipt: Record) -> None:
        """Print the receipt, for people as a note."""
        if self.printer.form in {"jsonl", "paths"}:
            self.printer.write(receipt)
        else:
            console.note(f"wrote {receipt['path']}")

    def _line(self, cells: Sequence[object]) -> None:
        from xmir_cli.training.table import line

        sys.stdout.write(f"{line(cells, self.printer.columns)}\n")
        sys.stdout.flush()
