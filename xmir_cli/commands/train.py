"""Build: train an embedding network by deep metric learning."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from xmir_cli import options
from xmir_cli.errors import SettingError, UsageError
from xmir_cli.inputs import refuse_stdin
from xmir_cli.launch import find_launch
from xmir_cli.model.choice import ModelChoice
from xmir_cli.printer import Shown
from xmir_cli.store.outputs import check_figure, network_files, refuse_input
from xmir_cli.store.runs import check_output
from xmir_cli.store.turns import is_held
from xmir_cli.store.unfinished import state_path
from xmir_cli.training.head_recipe import HEAD, OF_IMAGES
from xmir_cli.training.recipe import (
    DEFAULT,
    LEAST_EPOCHS,
    LEAST_STEPS,
    RECIPES,
    Augmentation,
    Keep,
    LossName,
    RecipeName,
    Sampler,
    Settings,
    class_count,
)
from xmir_cli.training.schedule import Schedule
from xmir_cli.values import check_values
from xmir_cli.wire.schemas.epoch import EpochRecord

_LARGEST_STEP = 1000.0  # of Adam; far beyond, float32 cannot say it


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
    preset: Annotated[
        RecipeName | None,
        typer.Option(
            "--preset",
            help="paper: the X-MIR paper's recipe to the letter, whatever the default becomes: "
            "triplet loss with a margin of 0.2, 16 images of each class in a batch, Adam at 1e-4, "
            "20 epochs, the last one kept; flags that are typed go before.",
        ),
    ] = None
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=1,
            help="How many. An epoch ends when the smallest class has no full batch left (of the "
            "larger ones other images come the next time), or as --sampler says. "
            f"[default: as many as give {LEAST_STEPS} steps, at least {LEAST_EPOCHS}]",
        ),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            help="End after so many batches instead, in whichever epoch that is. Such a run is "
            "continued with its own number of steps alone.",
        ),
    ] = None
    per_class: Annotated[
        int | None,
        typer.Option(
            "--per-class",
            min=2,
            help=f"Images of each class in a batch, at least. [default: {DEFAULT.per_class}]",
        ),
    ] = None
    classes_per_batch: Annotated[
        str | None,
        typer.Option(
            "--classes-per-batch", metavar="all|N", help="Classes in a batch. [default: all]"
        ),
    ] = None
    sampler: Annotated[
        Sampler | None,
        typer.Option(
            "--sampler",
            help="smallest: no image twice in an epoch, which ends when the smallest class runs "
            "out. all: every image in every epoch; as batches have as many of each class, those "
            f"of smaller classes come again, in other views. [default: {DEFAULT.sampler}]",
        ),
    ] = None
    loss: Annotated[
        LossName | None,
        typer.Option(
            "--loss",
            help="triplet: batch-all (Schroff et al., CVPR 2015). supcon: supervised contrastive, "
            "temperature 0.1 (Khosla et al., NeurIPS 2020). multi-similarity: with its choice of "
            "pairs (Wang et al., CVPR 2019). proxy-anchor: trains a vector for each class beside "
            "the network, at 100 times the learning rate (Kim et al., CVPR 2020). "
            f"[default: {DEFAULT.loss}]",
        ),
    ] = None
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            min=0,
            help="Of the triplet loss: how much farther the negative must lie. "
            f"[default: {DEFAULT.margin}]",
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            min=0,
            max=_LARGEST_STEP,
            help=f"Adam's step size. [default: {DEFAULT.learning_rate}]",
        ),
    ] = None
    head_learning_rate: Annotated[
        float | None,
        typer.Option(
            "--head-learning-rate",
            min=0,
            max=_LARGEST_STEP,
            help="That of the weights after the feature map, such as those of --head. "
            "[default: --learning-rate]",
        ),
    ] = None
    schedule: Annotated[
        Schedule | None,
        typer.Option(
            "--schedule",
            help="cosine: the step size grows over the first tenth of the run, then falls to 0: "
            "epochs end with equal numbers where constant ones jump. Such a run is continued with "
            f"its own number of epochs alone. [default: {DEFAULT.schedule}]",
        ),
    ] = None
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
    ] = 0.0
    random_resized_crop: Annotated[
        bool, typer.Option("--random-resized-crop", help="Crop at random, not the centre.")
    ] = False
    shift: Annotated[
        bool | None,
        typer.Option(
            "--shift/--no-shift",
            help="Cut the square that the network sees from any place of the resized picture, not "
            "its middle. [default: so, but with --random-resized-crop or --preset paper]",
        ),
    ] = None
    no_flip: Annotated[
        bool, typer.Option("--no-flip", help="Never mirror (mirrored hearts lie on the right).")
    ] = False
    freeze_batchnorm: Annotated[
        bool, typer.Option("--freeze-batchnorm", help="Keep every batch norm as it is.")
    ] = False
    freeze_layers: Annotated[
        int | None,
        typer.Option(
            "--freeze-layers",
            metavar="N",
            min=0,
            help="Keep the first N blocks as they are. A block is a part with weights on the way "
            "from the image to the feature map, as the network's code names it: of densenet121 "
            "conv0, norm0, denseblock1, transition1 and so on, of a transformer each layer. What "
            "is frozen is said by name before the first step; a number that is too large lists "
            "all blocks. [default: half of them; of weights random:SEED none]",
        ),
    ] = None
    keep: Annotated[
        Keep | None,
        typer.Option(
            "--keep",
            help="The epoch whose weights are kept: the last one, or the best one by the mAP of "
            "the validation rows, where images of the query's own patient do not count. Choose by "
            f"a split val, never by what is to be reported. [default: {DEFAULT.keep}]",
        ),
    ] = None
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            metavar="N",
            min=1,
            help="With --keep best: end after N epochs without a better one. [default: never]",
        ),
    ] = None
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
        return ModelChoice(
            None,
            self.architecture,
            self.weights,
            self.head,
            self.input_size,
            self.mean,
            self.std,
            self.window,
            resize=self.resize,
            view=self.view,
            pool=self.pool,
        )

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
