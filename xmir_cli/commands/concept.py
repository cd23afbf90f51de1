"""Explain: fit the direction of a concept to examples of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli import options
from xmir_cli.errors import SettingError, UsageError
from xmir_cli.inputs import refuse_stdin
from xmir_cli.model.choice import ModelChoice, choose_model
from xmir_cli.printer import Shown
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.concept_names import concept_files
from xmir_cli.store.outputs import need_folder, refuse_ending, refuse_input
from xmir_cli.values import check_values

FIT = "fit"


@dataclass(frozen=True, kw_only=True)
class Concept:
    """Fit the direction of a concept to examples of it.

    The direction of unit length leads from the mean of the negative examples to that of the
    positive ones, in the space of one model's embeddings. 'xmir query --toward' asks with it,
    'xmir query --concept' says how much of a similarity it holds, and 'xmir saliency --target'
    maps where an image shows it. All refuse a concept of another model.

    An example is an image, a glob in quotes, a folder or a manifest; an id of the index, or
    COLUMN=VALUE for all of its items that have it; embeddings in Parquet; or a file of records,
    of which the retrieved images count. Each is repeatable, and both kinds are needed. Each image
    counts once.

    NAME.npy is the direction, NAME.json says what made it, and NAME.shuffled.npy holds the
    directions of shuffled examples, by which chance is told; they belong together. Where patients
    are known whole patients are shuffled, and held out for the AUROC.
    """

    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="fit", help="What to do.", autocompletion=lambda: [FIT]),
    ] = None
    positive: Annotated[
        list[str] | None,
        typer.Option(
            "--positive",
            metavar="EXAMPLES",
            help="What shows the concept, such as a folder or label=ill; may be repeated; - is "
            "records, ids or paths on standard input.",
        ),
    ] = None
    negative: Annotated[
        list[str] | None,
        typer.Option("--negative", metavar="EXAMPLES", help="What does not; the same."),
    ] = None
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="NAME.npy", help="Where the direction goes.")
    ] = Path("concept.npy")
    method: Annotated[
        Literal["means", "logistic"],
        typer.Option(
            "--method",
            help="means: their difference; logistic: the weights of a logistic regression with "
            "an L2 penalty, C = 1, with the extra 'concept'.",
        ),
    ] = "means"
    permutations: Annotated[
        int, typer.Option("--permutations", min=19, max=100_000, help="Shuffles of the examples.")
    ] = 1000
    seed: options.Seed = 0
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            "-i",
            metavar="DIR|URL",
            help="The index of ids and of COLUMN=VALUE, by whose model images are embedded; "
            "--model says where it lies now. [default: --model, --arch, $XMIR_INDEX, or the only "
            "*.xmir here]",
        ),
    ] = None
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
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    batch: options.Batch = 16
    jobs: options.Jobs = None
    force: options.Force = False
    form: options.Format = None

    def __post_init__(self) -> None:
        check_values(self)
        self._refuse_words()
        if not (self.positive and self.negative):
            raise UsageError(
                "a concept needs --positive and --negative examples", "Give both, at least once."
            )
        examples = [*self.positive, *self.negative]
        if examples.count("-") > 1:
            raise UsageError("-: standard input is read once", "Name the others in another way.")
        if self.index is not None and self.choice not in {ModelChoice(), ModelChoice(self.model)}:
            raise UsageError(
                "--index: it knows its network", "Beside it --model alone says where that lies now."
            )
        if self.choice.is_said and not self.choice.is_named:
            flag = self.choice.prepares or "head"
            raise UsageError(f"--{flag}: of which network?", "Name it with --model or --arch.")
        self._refuse_output(examples)
        refuse_stdin(examples, "concept")

    def _refuse_words(self) -> None:
        words = self.words or [FIT]
        if words[0] != FIT:
            raise UsageError(f"concept: expected {FIT}, found {words[0]}", "xmir concept fit ...")
        if len(words) > 1:
            raise UsageError(
                f"{words[1]}: which kind of example is it?",
                "Repeat --positive or --negative before each; quote a pattern, so that the shell "
                "leaves it to xmir: --positive 'ill/*.png'.",
            )

    def _refuse_output(self, examples: list[str]) -> None:
        refuse_ending(self.output, "a direction", [".npy"])
        if self.output.suffix != ".npy":
            raise SettingError(
                "output", "expected a name that ends in .npy", value=str(self.output)
            )
        need_folder(self.output)
        for file in concept_files(self.output):
            refuse_input(file, [*examples, self.model, self.weights])
            refuse_existing(file, self.force)

    @property
    def choice(self) -> ModelChoice:
        """The network, if one is named."""
        return choose_model(self)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        return Shown(["path", "positive", "negative", "units", "apart", "p", "auroc", "skipped"])
