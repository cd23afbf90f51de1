"""Build: train an embedding network by deep metric learning."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from xmir_cli import options, recipe_options
from xmir_cli.errors import SettingError, UsageError
from xmir_cli.inputs import refuse_stdin
from xmir_cli.launch import find_launch
from xmir_cli.model.choice import ModelChoice, choose_model
from xmir_cli.printer import Shown
from xmir_cli.store.outputs import check_figure, network_files, refuse_input
from xmir_cli.store.runs import check_output
from xmir_cli.store.turns import is_held
from xmir_cli.store.unfinished import state_path
from xmir_cli.training.head_recipe import HEAD, OF_IMAGES
from xmir_cli.training.recipe import RECIPES, Augmentation, Settings, class_count
from xmir_cli.values import check_values
from xmir_cli.wire.schemas.epoch import EpochRecord


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train an embedding network by deep metric learning.

    Batch-all triplet loss on batches of every class with 16 images each, all images in each epoch;
    Adam with steps that grow, then fall to 0; the last epoch is kept. Of weights that have learned
    already the first half of the blocks stays as it is. What a run will do is said before its
    first step: images, epochs and steps, what is frozen and what is kept. Each epoch prints a
    record with the loss and, on the validation rows, leave-one-out mAP, P@1 and P@5. A pair of
    images with several labels (A|B) is positive when it shares one, and such an image counts for
    each of its labels in a batch. The state after each epoch lies beside the output until the end,
    and a run that is asked to end (Ctrl-C, SIGTERM) finishes its batch and keeps that, too:
    --resume continues to the same bytes as a run that never stopped. Under torchrun
    (--nproc-per-node N -m xmir_cli train ...) the ranks share every batch, whose loss is that of
    one process; the first one prints and writes, and any number of them may continue. On the CPU
    that needs --freeze-batchnorm.

    EMBEDDINGS.parquet in the place of images, or the folder of their shards, trains a linear head
    on the vectors that are stored there: no image is read, and some thousands take seconds. Labels,
    patients and splits are the table's. The checkpoint is the network that made the vectors, which
    has to be there, with the head behind it: --model takes it everywhere, and 'xmir embed
    EMBEDDINGS.parquet --model HEAD' applies the head to stored vectors. A recipe of its own is the
    default: 200 batches of 16 vectors of each class, all of them used, triplet loss, a
    cosine schedule from 1e-3; --head is the size, 128 unless said. --arch and --weights say
    where the network lies now, if elsewhere. All is held in memory: 4 GB for 1,000,000 x 1024.
    """

    images: options.Images
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The checkpoint (safetensors).")
    ]
    architecture: options.Architecture = None
    weights: options.Weights = None
    head: options.Head = None
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="Train on this split. [default: train or training; without splits: all]"
        ),
    ] = None
    validate: Annotated[
        str | None,
        typer.Option(
            "--validate",
            help="Validate on this split. [default: val, validation, valid or dev, else test]",
        ),
    ] = None
    preset: recipe_options.Preset = None
    epochs: recipe_options.Epochs = None
    steps: recipe_options.Steps = None
    per_class: recipe_options.PerClass = None
    classes_per_batch: recipe_options.ClassesPerBatch = None
    sampler: recipe_options.Sampler = None
    loss: recipe_options.Loss = None
    margin: recipe_options.Margin = None
    learning_rate: recipe_options.LearningRate = None
    head_learning_rate: recipe_options.HeadLearningRate = None
    schedule: recipe_options.Schedule = None
    attention_loss: recipe_options.AttentionLoss = 0.0
    random_resized_crop: recipe_options.RandomResizedCrop = False
    shift: recipe_options.Shift = None
    no_flip: recipe_options.NoFlip = False
    freeze_batchnorm: recipe_options.FreezeBatchnorm = False
    freeze_layers: recipe_options.FreezeLayers = None
    keep: recipe_options.Keep = None
    patience: recipe_options.Patience = None
    where: options.Where = None
    columns: options.Columns = None
    exclude: options.Exclude = None
    null: options.NullSeparatedBoth = False
    input_size: options.InputSize = None
    resize: options.Resize = None
    view: options.View = None
    pool: options.Pool = None
    mean: options.Mean = None
    std: options.Std = None
    window: options.Window = None
    seed: options.Seed = 0
    device: options.Device = "auto"
    precision: Annotated[
        Literal["fp32", "bf16"],
        typer.Option(
            "--precision", help="Arithmetic of the network; bf16 where the device has it."
        ),
    ] = "fp32"
    jobs: options.Jobs = None
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw the epochs so far as a .png or .svg file, anew after each: loss, violating "
            "fraction, validation. With --resume also those from before.",
        ),
    ] = None
    resume: options.Resume = False
    force: options.Force = False
    form: options.Format = None

    def __post_init__(self) -> None:
        check_values(self)
        find_launch()  # half of what torchrun tells is an error
        read = [*self.images, self.weights, self.exclude, *network_files(self.architecture)]
        for path in (self.output, state_path(self.output)):
            refuse_input(path, read)
        check_output(self.output, self.resume or self.force)
        if self.epochs is not None and self.steps is not None:
            raise SettingError("steps", "not together with `epochs`: either ends the run")
        class_count(self.classes_per_batch or "all")
        if self.shift and self.random_resized_crop:
            raise SettingError("shift", "not together with `random_resized_crop`")
        if self.margin is not None and self.recipe.loss != "triplet":
            raise SettingError("margin", "only with `loss` triplet")
        if self.patience is not None and self.recipe.keep != "best":
            raise SettingError("patience", "only with `keep` best")
        if self.plot is not None:
            self._check_plot(self.plot, read)
        if self.stored is not None:
            self._refuse_of_images()
        refuse_stdin(self.images, "train")

    def _check_plot(self, plot: Path, read: Sequence[str | Path | None]) -> None:
        refuse_input(plot, read, "plot")
        if os.path.realpath(plot) in map(os.path.realpath, (self.output, state_path(self.output))):
            raise SettingError("plot", "is written by `output`, too", value=str(plot))
        check_figure(plot, self.resume or self.force or is_held(self.output))

    @cached_property
    def stored(self) -> str | None:
        """The embeddings that a head is to be trained on; None where images are given."""
        from xmir_cli.store.vectors_there import find_vectors  # noqa: PLC0415 # pyarrow

        return find_vectors(self.images)

    @property
    def base(self) -> ModelChoice:
        """Where the network that made the embeddings lies now; they say which one it is."""
        return ModelChoice(architecture=self.architecture, weights=self.weights)

    def _refuse_of_images(self) -> None:
        """Raise SettingError for what decides how images are read, or pass a network."""
        plain = {field.name: field.default for field in fields(self)}
        for name in OF_IMAGES:
            if getattr(self, name) != plain[name]:
                raise SettingError(name, "not with embeddings, of which no image is read")
        if find_launch().size > 1:
            raise UsageError("a head on embeddings is trained by one process, in seconds")

    @property
    def recipe(self) -> Settings:
        """How to train: the recipe, and before it what was asked for."""
        asked: dict[str, Any] = {
            "epochs": self.epochs,
            "steps": self.steps,
            "per_class": self.per_class,
            "classes_per_batch": self.classes_per_batch,
            "sampler": self.sampler,
            "loss": self.loss,
            "margin": self.margin,
            "learning_rate": self.learning_rate,
            "head_learning_rate": self.head_learning_rate,
            "schedule": self.schedule,
            "freeze_layers": self.freeze_layers,
            "keep": self.keep,
            "patience": self.patience,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        if self.classes_per_batch is not None:
            given["classes_per_batch"] = class_count(self.classes_per_batch)
        if "epochs" in given:
            given["steps"] = None
        return replace(
            RECIPES[self.preset] if self.stored is None else HEAD,
            attention_loss=self.attention_loss,
            augmentation=Augmentation(self.random_resized_crop, not self.no_flip, self._shifts),
            freeze_batchnorm=self.freeze_batchnorm,
            seed=self.seed,
            **given,
        )

    @property
    def _shifts(self) -> bool:
        if self.shift is None:
            return RECIPES[self.preset].augmentation.shift and not self.random_resized_crop
        return self.shift

    @property
    def choice(self) -> ModelChoice:
        """The network to start from."""
        return choose_model(self)

    @property
    def shown(self) -> Shown:
        """What is printed of a record: an epoch is a row as it ends."""
        if find_launch().follows:  # another rank prints
            return Shown()
        mined = ["attention_loss"] if self.attention_loss else []
        validated = ["map", "p_at_1", "p_at_5"]
        if self.recipe.keep == "best":
            validated.insert(1, "map_excluding_same_patient")
        columns = ["epoch", "loss", *mined, "violating_fraction", *validated, "seconds"]
        return Shown(columns, grows=True, schema=EpochRecord.NAME)
