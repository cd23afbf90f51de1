"""Explain: map the regions whose saliency differs between classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli import options
from xmir_cli.completion import complete_method
from xmir_cli.errors import UsageError
from xmir_cli.inputs import refuse_stdin
from xmir_cli.model.choice import ModelChoice, choose_model
from xmir_cli.printer import Shown
from xmir_cli.saliency import choose_methods, refuse_inexact
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.values import check_values


@dataclass(frozen=True, kw_only=True)
class DiffSaliency:
    """Map the regions whose saliency differs between classes.

    Averages the self-similarity maps of every class, takes the signed differences of the averages
    and draws all of them, beside the average image of every class, in figure.png. One record a pair
    of classes. Needs a manifest with a 'label' column, in which A|B is two labels; a 'patient'
    column tells which images are not independent.
    """

    images: options.Images
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="LABEL,LABEL...",
            help="Which labels, in this order; each is compared with those after it. "
            "[default: all there are]",
        ),
    ] = None
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="NAME",
            help="Of the self-similarity maps.",
            autocompletion=complete_method,
        ),
    ] = "activation"
    normalize: Annotated[
        Literal["l1", "none", "max"],
        typer.Option(
            "--normalize",
            help="Before averaging: l1 gives every map the mean 1 (where, not how strongly), max "
            "the largest value 1. Differences of the bare maps are always written as well.",
        ),
    ] = "l1"
    permutations: Annotated[
        int,
        typer.Option(
            "--permutations",
            min=0,
            help="Test each difference against this many permutations of the labels, corrected "
            "over the whole map; 0 does not. 1000 is usual. Lines enclose p < 0.05. Where patients "
            "are known, they are what is permuted, by the mean of their maps.",
        ),
    ] = 0
    center: options.Center = False
    index: Annotated[
        str | None,
        typer.Option(
            "--index", "-i", metavar="DIR|URL", help="The index whose mean --center takes off."
        ),
    ] = None
    where: options.Where = None
    columns: options.Columns = None
    null: options.NullSeparatedBoth = False
    model: options.Model = None
    architecture: options.Architecture = None
    weights: options.Weights = None
    head: options.Head = None
    input_size: options.InputSize = None
    resize: options.Resize = None
    view: options.View = None
    pool: options.Pool = None
    mean: options.Mean = None
    std: options.Std = None
    window: options.Window = None
    output: options.OutputFolder = Path("diff-saliency")
    force: options.Force = False
    alpha: options.Alpha = 0.6
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    batch: options.Batch = 16
    jobs: options.Jobs = None
    form: options.Format = None
    settings: Mapping[str, str] = field(default_factory=dict)  # of the method, as typed

    def __post_init__(self) -> None:
        check_values(self)
        methods = choose_methods(self.method, self.settings)
        if len(methods) > 1:
            raise UsageError(f"--method: expected one method, found {self.method}")
        if self.center:
            refuse_inexact(methods)
        if self.center and self.index is None:
            raise UsageError("--center: the mean of which embeddings?", "Name an index by --index.")
        if self.index is not None and not self.center:
            raise UsageError("--index: only for --center", "Ask for --center, or leave it out.")
        refuse_existing(self.figure, self.force)
        refuse_stdin(self.images, "diff-saliency")

    @property
    def figure(self) -> Path:
        """The picture of all classes and differences."""
        return self.output / "figure.png"

    @property
    def choice(self) -> ModelChoice:
        """The network."""
        return choose_model(self)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        columns = ["class_a", "class_b", "n_a", "n_b", "overlay"]
        return Shown(columns, "overlay", below="figure")
