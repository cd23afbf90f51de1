"""Check: score saliency maps by insertion and deletion."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli import gate_options, options
from xmir_cli.gates import Gate
from xmir_cli.inputs import refuse_records
from xmir_cli.printer import Shown
from xmir_cli.scoring.causal import CAUSAL
from xmir_cli.scoring.names import BLURRED, name_variant
from xmir_cli.values import check_values, refuse_null


@dataclass(frozen=True, kw_only=True)
class CausalMetric:
    """Score saliency maps by insertion and deletion.

    Deletion greys out the image's pixels in the order of the map, insertion brings them back into
    a blurred image; the numbers are areas under the similarity to the query. A map that names the
    regions which matter has a high insertion and a low deletion. Pixels of equal saliency fall in
    row order: their share is `tied_fraction`, and `tie_effect` how far another order could move a
    number; more than 0.02 is warned of. What a view has beside the picture comes after all of it.

    A number says something beside a control's: `--control random,center` adds theirs as
    `insertion_control`, and what was gained over them as `insertion_gain`. Each answers a question.
    `center`, `edges`, `uniform`, `rollout`: does a map that never sees the query do as well?
    `random`: does chance? Mind that scattered pixels are noise to a network, which beats every
    method at deletion and proves nothing; so ask at the map's own scale, too. `shuffled`, its cells
    in other places (those of the grid that it was drawn from, else blocks of a seventh of the
    side): does it matter where it points? `other-pair`, the map that the method made of another
    image (all records are read first): does it matter which pair it is of? `blurred`, by a Gaussian
    of a 32nd of the side: does its detail matter? `random-model`, the same method asked of a
    randomly initialised network: does it matter what was learned? A map that another method has
    made already, as gradcam and activation are alike without a head, is told, and `same_as`.

    `--substrate road` fills deleted pixels with noise on what their neighbours tell (ROAD, Rong et
    al. 2022), so that the shape of a hole gives less away than one in grey does. But pixels deleted
    here and there are guessed back, and what is deleted in one piece is not: a smoother map scores
    better, whatever it shows, even noise does. So the control `blurred` always stands beside it: a
    map far below its own blurred self was scored for its scatter, not for its places, and only maps
    near theirs can be compared.

    `--summary` gives means with bootstrap intervals over patients of the queries, or over queries,
    `--per-query` the means of each query; records that are scored already, as
    asked, are not scored again for it. Otherwise numbers of an earlier scoring are left behind.
    Gates hold for every number of the summary, of every method: `--min insertion=0.8`,
    `--min insertion_gain_low.random=0`. A similarity below 0 counts as 0; where the image as it is
    has none above, that is warned of, for a deletion of 0 says nothing then.
    """

    records: options.Records = "-"
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="Score with this checkpoint, or FOLDER of a network, instead of the one that the "
            "maps were made with.",
        ),
    ] = None
    blur: Annotated[
        Literal["paper", "rise"],
        typer.Option("--blur", help="Blur of 51 pixels, sigma 7.07 (paper) or 11 and 5 (rise)."),
    ] = "paper"
    curve_steps: Annotated[
        int | None,
        typer.Option(
            "--curve-steps", min=1, help="Steps of a curve. [default: one row of pixels each]"
        ),
    ] = None
    blur_padding: Annotated[
        Literal["zero", "reflect"],
        typer.Option(
            "--blur-pad", help="Beyond the border: model-space zero, or the mirror image."
        ),
    ] = "zero"
    substrate: Annotated[
        Literal["gray", "blur", "mean", "noise", "road"],
        typer.Option(
            "--substrate",
            help="What deleted pixels become: model-space zero, the blurred image, the image's "
            "mean colour, noise of its mean and deviation, or what the pixels around them tell.",
        ),
    ] = "gray"
    order: Annotated[
        Literal["morf", "lerf"],
        typer.Option("--order", help="Most, or least, relevant pixels first."),
    ] = "morf"
    ties: Annotated[
        Literal["row", "random"],
        typer.Option("--ties", help="Order of equally salient pixels: by rows, or at random."),
    ] = "row"
    control: Annotated[
        str,
        typer.Option(
            "--control",
            metavar="NAME[,NAME...]",
            help="Score these beside every map: random, center, edges, uniform, rollout (of "
            "transformers), shuffled, other-pair, blurred, random-model.",
        ),
    ] = ""
    curves: Annotated[
        Path | None,
        typer.Option(
            "--curves", metavar="DIR", help="Also write each curve as .npy and .png here."
        ),
    ] = None
    summary: gate_options.Summary = False
    per_query: gate_options.PerQuery = False
    minimum: gate_options.Gates = None
    maximum: gate_options.Limits = None
    baseline: gate_options.Baseline = None
    tolerance: gate_options.Tolerance = 0.01
    junit: gate_options.Junit = None
    seed: options.Seed = 0
    batch: options.Batch = 16
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    force: options.Force = False
    form: options.Format = None
    null: options.NullPaths = False

    def __post_init__(self) -> None:
        check_values(self)
        refuse_null(self.null, self.form)
        gate_options.check_gated(self, [self.records, self.baseline, self.model])
        CAUSAL.parse_gates(self.minimum, self.maximum, self.controls)
        refuse_records(self.records, "causal-metric")

    @property
    def controls(self) -> tuple[str, ...]:
        """The names of the controls; ROAD is never without the blurred map."""
        named = CAUSAL.parse_controls(self.control)
        return tuple(dict.fromkeys((*named, BLURRED))) if self.substrate == "road" else named

    @property
    def gates(self) -> list[Gate]:
        """The bounds that the means of every method must keep."""
        return CAUSAL.parse_gates(self.minimum, self.maximum, self.controls)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        gains = [
            f"{measure}_gain.{control}" for control in self.controls for measure in CAUSAL.measures
        ]
        if self.per_query:
            columns = ["query", "method", "n", *CAUSAL.measures, *gains]
            return Shown(columns, "query", name_variant)
        if not self.summary:
            columns = ["query", "retrieved", "method", *CAUSAL.measures, *gains, "tied_fraction"]
            return Shown(columns, "saliency", group="query")
        spread = [
            f"{name}{part}" for name in CAUSAL.measures for part in ("", "_sd", "_low", "_high")
        ]
        return Shown(["method", "n", *spread, *gains], "saliency", name_variant)
