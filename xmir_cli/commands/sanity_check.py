"""Check: check that saliency maps depend on what they claim to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli import gate_options, options
from xmir_cli.errors import SettingError, UsageError
from xmir_cli.gates import Gate, parse_gates, refuse_unknown
from xmir_cli.inputs import refuse_records
from xmir_cli.printer import Shown
from xmir_cli.saliency import choose_methods, refuse_inexact
from xmir_cli.scoring.names import AGREEMENTS, CHANGES, THRESHOLDS, parse_tests
from xmir_cli.store.outputs import check_figure, refuse_input
from xmir_cli.values import check_values, refuse_null

_LAST_SEED = 2**32 - 1
_THRESHOLDS = ", ".join(f"{bound:g} for {name}" for name, bound in THRESHOLDS.items())


@dataclass(frozen=True, kw_only=True)
class SanityCheck:
    """Check that saliency maps depend on what they claim to.

    Explains the pairs of the records (of 'xmir query' or 'xmir saliency') again after one thing has
    changed, and compares the maps: Spearman's rank correlation of the signed and of the absolute
    values, and structural similarity. What changes is up to --test:

    `model`, the weights become fresh ones: a map that stays has shown edges or centres, not what
    the network knows. It passes when, all weights random, neither mean correlation is beyond
    --threshold.

    `query`, another image asks, of another label where labels are known: a map that stays says
    nothing about the pair. It passes with a signed correlation up to the threshold.

    `repeat`, another network of the task, --against: another training of the architecture, or
    another architecture, which the record calls reproduce. What is read in a map should be there
    again. It passes from the threshold on. A map that never looks at the network passes, too: ask
    `model` and `query` first.

    `noise`, uniform noise is added to the retrieved image: a map should stay where nobody sees a
    change. It passes when the mean over pairs of the largest change of --draws, in lengths of the
    map, is up to the threshold.

    What does not pass is told with what it means and what to try. `--gate` makes verdicts gates
    (exit 4), `--max spearman=0.3` a number of every test. `--summary` leaves out the stages of
    `model` that have none, `--per-query` tells how far the maps of each query agree. Reads all
    records first; a few dozen pairs are enough.

    Maps of a random network scored on the trained one, the other check of Adebayo et al., are
    'xmir causal-metric --control random-model'.
    """

    records: options.Records = "-"
    method: options.Methods = "activation"
    test: Annotated[
        str,
        typer.Option(
            "--test",
            metavar="NAME[,NAME...]",
            help="What changes: model, query, repeat (of --against), noise.",
        ),
    ] = "model"
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="FILE",
            help="For repeat: the checkpoint, or FOLDER, of another network of the task.",
        ),
    ] = None
    noise: Annotated[
        float,
        typer.Option(
            "--noise",
            min=0,
            max=1,
            help="Size of the noise, in shares of the range of pixels: 0.02 moves each value by up "
            "to 5 of 255 greys.",
        ),
    ] = 0.02
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="How often noise is drawn, for each seed.")
    ] = 5
    center: Annotated[
        bool,
        typer.Option(
            "--center",
            help="Take the mean embedding of all images in the records off both, under each "
            "network its own: an index has none of random networks. For methods whose map shares "
            "out a similarity.",
        ),
    ] = False
    mode: Annotated[
        Literal["full", "cascading", "independent"],
        typer.Option(
            "--mode",
            help="Of model: all weights at once; block after block from the output; or each block "
            "alone.",
        ),
    ] = "cascading"
    seeds: Annotated[
        str,
        typer.Option(
            "--seeds",
            metavar="N[,N...]",
            help="Of random networks, other queries and noise; averaged over.",
        ),
    ] = "0"
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            min=0,
            max=1,
            help=f"Of the one test: what just passes. [default: {_THRESHOLDS}]",
        ),
    ] = None
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw the correlations of model as a .png or .svg file.",
        ),
    ] = None
    model: options.Model = None
    gate: Annotated[bool, typer.Option("--gate", help="Exit 4 unless every verdict is `pass`.")] = (
        False
    )
    summary: gate_options.Summary = False
    per_query: gate_options.PerQuery = False
    minimum: gate_options.Gates = None
    maximum: gate_options.Limits = None
    baseline: gate_options.Baseline = None
    tolerance: gate_options.Tolerance = 0.01
    junit: gate_options.Junit = None
    batch: options.Batch = 16
    jobs: options.Jobs = None
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    force: options.Force = False
    form: options.Format = None
    null: options.NullPaths = False
    settings: Mapping[str, str] = field(default_factory=dict)  # of the methods, as typed

    def __post_init__(self) -> None:
        check_values(self)
        refuse_null(self.null, self.form)
        self._refuse_unasked()
        self._refuse_files()
        _ = self.gates
        if not all(map(_is_seed, self.seeds.split(","))):
            raise UsageError(
                f"--seeds: expected whole numbers up to {_LAST_SEED} with commas, "
                f"found {self.seeds}"
            )
        methods = choose_methods(self.method, self.settings)
        if self.center:
            refuse_inexact(methods)
        refuse_records(self.records, "sanity-check")

    def _refuse_unasked(self) -> None:
        """Raise SettingError for what goes with another test than those asked for."""
        tests = self.tests
        if ("repeat" in tests) != (self.against is not None):
            raise SettingError("against", "goes with `test` repeat, and `test` repeat with it")
        if self.threshold is not None and len(tests) > 1:
            raise SettingError("threshold", "of several tests each has its own", "Ask for one.")
        if self.plot is not None and "model" not in tests:
            raise SettingError("plot", "only with `test` model")

    def _refuse_files(self) -> None:
        read = [self.records, self.model, self.against, self.baseline]
        if self.plot is not None:
            refuse_input(self.plot, read, "plot")
            check_figure(self.plot, self.force)
        gate_options.check_gated(self, read)

    @property
    def gates(self) -> list[Gate]:
        """The bounds that the numbers of every verdict must keep."""
        gates = parse_gates(self.minimum, self.maximum)
        means = (*AGREEMENTS, *(CHANGES if "noise" in self.tests else ()))
        spreads = (f"{name}_sd" for name in means)
        refuse_unknown(gates, [*means, "n", "undefined", *spreads])
        return gates

    @property
    def tests(self) -> tuple[str, ...]:
        """What is tested, in order."""
        return parse_tests(self.test)

    @property
    def thresholds(self) -> Mapping[str, float]:
        """What just passes, by the tests of records."""
        given = {} if self.threshold is None else dict.fromkeys(THRESHOLDS, self.threshold)
        return {**THRESHOLDS, **given}

    @property
    def seed_numbers(self) -> list[int]:
        """The seeds, each once."""
        return [int(part) for part in dict.fromkeys(self.seeds.split(","))]

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        stages = ["position", "stage"] if "model" in self.tests else []
        named = [] if self.tests == ("model",) else ["test"]
        changes = CHANGES if "noise" in self.tests else ()
        numbers = ["n", *AGREEMENTS, *changes, "verdict", "meaning"]
        below = "plot" if self.plot else ""
        if self.per_query:
            named = ["query", "test"]
            numbers = ["n", *AGREEMENTS]
        return Shown(["method", *named, *stages, *numbers], "method", below=below)


def _is_seed(part: str) -> bool:
    return part.isdecimal() and len(part) <= len(str(_LAST_SEED)) and int(part) <= _LAST_SEED
