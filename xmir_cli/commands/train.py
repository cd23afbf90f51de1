"""`xmir train`: labelled images in, an embedding network out."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, ModelError, UsageError
from xmir_cli.records import ARTIFACT, Record
from xmir_cli.store.hashes import sha256_file
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
    from xmir_cli.store.inputs import Item
    from xmir_cli.training.examples import Division, Example
    from xmir_cli.training.loop import Trainer

_COLUMNS = ("epoch", "loss", "violating_fraction", "map", "p_at_1", "p_at_5", "seconds")
_PASSING = {"schema", "seconds", "images_per_second"}  # not kept: they differ from run to run


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
        typer.Option("--precision", help="Arithmetic of the network; bf16 needs a CUDA device."),
    ] = "fp32",
    jobs: options.Jobs = None,
    resume: options.Resume = False,
    force: options.Force = False,
    form: options.Format = None,
) -> int:
    """Train an embedding network by deep metric learning.

    Batch-all triplet loss on batches of every class with 16 images each, Adam; the last epoch is
    kept. Each epoch prints a record with the loss and, on the validation rows, leave-one-out mAP,
    P@1 and P@5. The state after each epoch lies beside the output until the end: an interrupted
    run continues with --resume to the same bytes as one that never stopped.
    """
    check_output(output, resume or force)
    from xmir_cli.images.decode import decode
    from xmir_cli.model.loader import load_embedder, make_spec
    from xmir_cli.store.inputs import list_items
    from xmir_cli.training.augment import Augmentation
    from xmir_cli.training.examples import divide
    from xmir_cli.training.feed import Feed
    from xmir_cli.training.loop import Settings, Trainer
    from xmir_cli.training.pictures import Pictures
    from xmir_cli.training.sampler import check_classes
    from xmir_cli.training.session import readable

    settings = Settings(
        epochs=epochs,
        per_class=per_class,
        classes_per_batch=_count(classes_per_batch),
        margin=margin,
        learning_rate=learning_rate,
        augmentation=Augmentation(random_resized_crop, not no_flip),
        freeze_batchnorm=freeze_batchnorm,
        freeze_layers=freeze_layers,
        seed=seed,
    )
    skips = console.Skips()
    rows = _labelled(list_items(images, null, where, "train"), skips)
    division = divide(rows, split, validate)
    check_classes([row.label for row in division.training], per_class, settings.classes_per_batch)
    _tell(division, validate)
    spec = make_spec(None, arch, weights, head, input_size, mean, std, window)
    embedder = load_embedder(spec, device, precision)
    if precision == "bf16" and embedder.device.type != "cuda":
        raise ModelError(f"--precision bf16: training needs a CUDA device, found {embedder.device}")
    shown = spec.preprocessing.window
    pictures = Pictures(lambda path: embedder.resized(decode(path, shown)))
    trainer = Trainer(Feed(embedder, pictures, jobs), settings)
    division = readable(division, trainer.feed, skips.add, console.progress)
    check_classes([row.label for row in division.training], per_class, settings.classes_per_batch)
    with _Output(form or "") as out:
        _run(trainer, division, output, resume, out)
        out.artifact(
            {
                "schema": ARTIFACT,
                "kind": "checkpoint",
                "path": str(output.absolute()),
                "rows": len(division.training),
                "dim": embedder.dim,
                "skipped": skips.total,
                "sha256": sha256_file(output),
            }
        )
    return skips.finish(len(division.training), "trained on")


def _count(classes_per_batch: str) -> int | None:
    if classes_per_batch == "all":
        return None
    if not classes_per_batch.isdecimal() or int(classes_per_batch) < 2:
        raise UsageError(
            f"--classes-per-batch: expected all or a number from 2, found {classes_per_batch}"
        )
    return int(classes_per_batch)


def _labelled(items: Sequence["Item"], skips: console.Skips) -> list["Example"]:
    from xmir_cli.training.examples import Example

    rows = []
    for item in items:
        label = item.columns.get("label")
        if label is None:
            skips.add(item.id, "no-label: nothing in the column label")
        else:
            patient, split = item.columns.get("patient"), item.columns.get("split")
            rows.append(Example(item.id, item.path, label, patient, split))
    if not rows:
        raise DataError(
            f"none of {len(items)} images has a label", "Pass a table with a column 'label'."
        )
    return rows


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
        console.note(f"continuing after epoch {len(run.epochs)} of {trainer.settings.epochs}")
    elif resume and output.exists():
        check_finished(output, run)
        console.note(f"{output}: finished already")
        return
    elif resume:
        console.note(f"{state}: not there, so nothing is continued")
    try:
        _fit(trainer, division, output, run, out)
    except KeyboardInterrupt:
        if state.exists():
            console.note(f"the last whole epoch is kept in {state}; continue with --resume")
        raise


def _fit(trainer: "Trainer", division: "Division", output: Path, run: Run, out: "_Output") -> None:
    """Train what is left of the run; its state is on the disk before its record is printed."""
    from xmir_cli.model.weights import digest
    from xmir_cli.training.session import train_epochs
    from xmir_cli.training.state import take

    state = state_path(output)
    for record in train_epochs(trainer, division, len(run.epochs), console.progress):
        lasting = {key: value for key, value in record.items() if key not in _PASSING}
        run = Run(run.asked, (*run.epochs, lasting))
        write_state(state, take(trainer.network, trainer.optimizer), run)
        out.epoch(record)
    spec = replace(
        trainer.embedder.spec,
        weights=str(output.absolute()),
        weights_sha256=digest(trainer.network),
    )
    write_checkpoint(output, trainer.network.state_dict(), spec, run)
    state.unlink(missing_ok=True)


class _Output:
    """Records as they come; on a terminal rows of a table, one as each epoch ends."""

    def __init__(self, form: str) -> None:
        self.printer = console.Printer(form, _COLUMNS, "path")

    def __enter__(self) -> Self:
        if self.printer.form == "table":
            self._row(_COLUMNS)
        self.printer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held back."""

    def epoch(self, record: Record) -> None:
        """Print what an epoch gave."""
        if self.printer.form == "table":
            values = (record[column] for column in _COLUMNS)
            self._row([f"{value:.4f}" if isinstance(value, float) else value for value in values])
        elif self.printer.form != "paths":
            self.printer.write(record)

    def artifact(self, receipt: Record) -> None:
        """Print the receipt, for people as a note."""
        if self.printer.form in {"jsonl", "paths"}:
            self.printer.write(receipt)
        else:
            console.note(f"wrote {receipt['path']}")

    def _row(self, cells: Sequence[object]) -> None:
        texts = ("" if cell is None else str(cell) for cell in cells)
        widths = (max(7, len(column)) for column in _COLUMNS)
        line = "  ".join(text.rjust(width) for text, width in zip(texts, widths, strict=True))
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
