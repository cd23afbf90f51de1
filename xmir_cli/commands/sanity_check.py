"""Check: check that saliency maps depend on the trained weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli import options
from xmir_cli.errors import UsageError
from xmir_cli.gates import Gate, parse_gates
from xmir_cli.guesses import hint
from xmir_cli.inputs import refuse_records
from xmir_cli.printer import Shown
from xmir_cli.saliency import choose_methods, refuse_inexact
from xmir_cli.scoring.names import AGREEMENTS
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.outputs import refuse_input
from xmir_cli.values import check_values, refuse_null


@dataclass(frozen=True, kw_only=True)
class SanityCheck:
    """Check that saliency maps depend on the trained weights.

    Explains the pairs of the records (of 'xmir query' or 'xmir saliency') with the trained network
    and again after its weights were replaced by fresh ones, and compares the maps: Spearman's rank
    correlation of the signed and of the absolute values, and structural similarity. A method whose
    maps stay the same has shown edges or centres, not what the network knows. The verdict is
    `pass` when, all weights random, neither mean correlation is beyond --threshold; `--max
    spearman=0.3` makes it a gate (exit 4). Reads all records first; a few dozen pairs are enough.

    Maps of a random network scored on the trained one, the paper's other check, are
    'xmir causal-metric --control random-model'.
    """

    records: options.Records = "-"
    method: options.Methods = "activation"
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
            help="All weights at once; block after block from the output; or each block alone.",
        ),
    ] = "cascading"
    seeds: Annotated[
        str,
        typer.Option("--seeds", metavar="N[,N...]", help="Of the random networks; averaged over."),
    ] = "0"
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, max=1, help="Largest correlation that passes.")
    ] = 0.5
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the correlations as PNG.")
    ] = None
    model: options.Model = None
    maximum: options.Limits = None
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
        if self.plot is not None:
            refuse_input(self.plot, [self.records, self.model], "plot")
            refuse_existing(self.plot, self.force)
        for gate in self.gates:
            if gate.name not in AGREEMENTS:
                raise UsageError(
                    f"--max {gate.name}={gate.bound:g}: no such number",
                    hint(gate.name, AGREEMENTS),
                )
        if not all(part.isdecimal() for part in self.seeds.split(",")):
            raise UsageError(f"--seeds: expected whole numbers with commas, found {self.seeds}")
        methods = choose_methods(self.method, self.settings)
        if self.center:
            refuse_inexact(methods)
        refuse_records(self.records, "sanity-check")

    @property
    def gates(self) -> list[Gate]:
        """The bounds that the agreement with the fully random network must keep."""
        return parse_gates(None, self.maximum)

    @property
    def seed_numbers(self) -> list[int]:
        """The seeds, each once."""
        return [int(part) for part in dict.fromkeys(self.seeds.split(","))]

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        return Shown(["method", "position", "stage", "n", *AGREEMENTS, "verdict"], "method")
