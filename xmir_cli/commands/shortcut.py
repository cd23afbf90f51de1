"""Check: check whether retrieval goes by a shortcut."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from xmir_cli import gate_options, options
from xmir_cli.errors import SettingError
from xmir_cli.gates import Gate, parse_gates, refuse_unknown
from xmir_cli.inputs import refuse_stdin
from xmir_cli.model.choice import ModelChoice, choose_model
from xmir_cli.printer import Shown
from xmir_cli.scoring.names import parse_listed
from xmir_cli.scoring.shortcut.names import NUMBERS, TESTS, parse_shape, refuse_telling_fill
from xmir_cli.scoring.shortcut.rows import COLUMNS, QUERY_COLUMNS, rows
from xmir_cli.store.outputs import check_figure, refuse_input
from xmir_cli.values import check_values

_PART = "border:N%|corners:N%|center:N%|MASKS|BOXES"


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """Check whether retrieval goes by a shortcut.

    A network may find images of one label by a marker, the border of a film or the scanner's text
    instead of what the image is of. Hides parts of every image, embeds them again, and asks:

    `object`: with what should matter hidden, is the label still found? Each image asks all others,
    beside labels permuted. By default everything but the --suspect is hidden.

    `suspect`: what does hiding the suspect part cost? Beside as much hidden elsewhere, --elsewhere
    times; the first hits that change are told, too.

    `saliency`: how much of the positive saliency lies in the suspect part, by label and by right
    and wrong first hits? The map `activation` of every image says where it resembles its first
    hit. Networks have favourite places, so this is beside the share that the suspect part of
    another image, drawn at random, has in its place; the share of the area is told, too.

    A record a test has its `effect`, its `p` and a verdict. It is an alarm when p, corrected for
    the number of tests, is below --level and the effect is at least --effect. Both are needed: a
    first hit is chosen by the suspect part, too, so that small effects of saliency often have a
    small p. Patients, where they are known, are what is permuted, and images of one patient do not
    count for each other. No alarm does not mean that there is no shortcut: it may lie elsewhere. Of
    so few images or patients that p could not be small enough the verdict is undefined.

    A part is the same in all images, in shares of the side of what the network sees: border:12%,
    corners:15% or center:60%; or masks: COLUMN[,COLUMN...] of the manifest, a folder or a table, as
    of localization-metric; or boxes: a table of x, y, w, h, or as COCO has them. Of masks and boxes
    all that those of any image cover is hidden in every image, for an outline of its own would tell
    the label.

    Needs a manifest with a 'label' column; A|B is two labels. `--gate` makes verdicts gates
    (exit 4 unless each is none), `--max changed=0.2` a number. `--per-query` prints what each test
    finds of each image.
    """

    images: options.Images
    suspect: Annotated[
        str,
        typer.Option(
            "--suspect", metavar=_PART, help="The part that should not matter, such as corners:15%."
        ),
    ] = "border:12%"
    object_part: Annotated[
        str | None,
        typer.Option(
            "--object",
            metavar=_PART,
            help="The part that should matter, such as center:60%. [default: all but --suspect]",
        ),
    ] = None
    test: Annotated[
        str,
        typer.Option(
            "--test", metavar="NAME[,NAME...]", help="Which tests: object, suspect, saliency."
        ),
    ] = ",".join(TESTS)
    fill: Annotated[
        str,
        typer.Option(
            "--fill",
            metavar="gray|black|#RRGGBB|mean|road",
            help="What hides: gray is the mean of the network's normalisation, mean that of what "
            "is left of the image, road guesses from the neighbours.",
        ),
    ] = "gray"
    elsewhere: Annotated[
        int,
        typer.Option("--elsewhere", min=1, max=100, help="How often as much is hidden elsewhere."),
    ] = 5
    exclude_same: Annotated[
        str,
        typer.Option(
            "--exclude-same",
            metavar="COLUMN",
            help="Images with the same value here do not count for each other, and are permuted "
            "together.",
        ),
    ] = "patient"
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="Permutations from which p is taken.")
    ] = 1000
    level: Annotated[
        float, typer.Option("--level", min=0, max=1, help="Below which p raises an alarm.")
    ] = 0.05
    effect: Annotated[
        float, typer.Option("--effect", min=0, max=1, help="From which effect on it does.")
    ] = 0.05
    seed: options.Seed = 0
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
    gate: Annotated[bool, typer.Option("--gate", help="Exit 4 unless every verdict is `none`.")] = (
        False
    )
    summary: gate_options.Summary = False
    per_query: gate_options.PerQuery = False
    minimum: gate_options.Gates = None
    maximum: gate_options.Limits = None
    baseline: gate_options.Baseline = None
    tolerance: gate_options.Tolerance = 0.01
    junit: gate_options.Junit = None
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the tests as a .png or .svg file."),
    ] = None
    force: options.Force = False
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    batch: options.Batch = 16
    jobs: options.Jobs = None
    form: options.Format = None

    def __post_init__(self) -> None:
        check_values(self)
        _ = self.tests
        refuse_telling_fill(self.fill)
        for setting, part in (("suspect", self.suspect), ("object_part", self.object_part)):
            if part is not None:
                parse_shape(part, setting)
        self._refuse_draws()
        _ = self.gates
        gate_options.check_gated(self, [*self.images, self.model, self.baseline])
        if self.plot is not None:
            refuse_input(self.plot, [self.model, self.baseline], "plot")
            check_figure(self.plot, self.force)
        refuse_stdin(self.images, "shortcut")

    def _refuse_draws(self) -> None:
        """Raise SettingError where p could never be small enough for an alarm."""
        least = len(self.tests) / (1 + self.draws)
        if least >= self.level:
            raise SettingError(
                "draws",
                f"expected more: with {len(self.tests)} tests the smallest p is {least:.2g}, and "
                f"an alarm has one below {self.level:g}",
            )

    @property
    def tests(self) -> tuple[str, ...]:
        """Which tests are made, in order."""
        return parse_listed("test", self.test, TESTS)

    @property
    def gates(self) -> list[Gate]:
        """The bounds that the numbers of every test that has them must keep."""
        gates = parse_gates(self.minimum, self.maximum)
        known = (name for test in ("", *self.tests) for name in NUMBERS[test])
        refuse_unknown(gates, list(dict.fromkeys(known)))
        return gates

    @property
    def choice(self) -> ModelChoice:
        """The network."""
        return choose_model(self)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        if self.per_query:
            return Shown(QUERY_COLUMNS, "query")
        return Shown(COLUMNS, rows=rows, below="plot" if self.plot else "")
