"""Check: score saliency maps against experts' masks and boxes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from xmir_cli import gate_options, options
from xmir_cli.errors import UsageError
from xmir_cli.gates import Gate
from xmir_cli.inputs import refuse_records, refuse_truth
from xmir_cli.printer import Shown
from xmir_cli.scoring.localization import LOCALIZATION, MEASURES
from xmir_cli.scoring.names import name_variant
from xmir_cli.values import check_values, refuse_null


@dataclass(frozen=True, kw_only=True)
class LocalizationMetric:
    """Score saliency maps against experts' masks and boxes.

    Each map is compared with what is marked on the image that it explains, as far as the network
    saw that: `hit`, whether its maximum lies in the mask or within --hit-tolerance of it; `energy`,
    the share of its positive sum in the mask; `rank_accuracy`, the share in the mask of its highest
    pixels, as many as the mask has; `auroc` and `auprc`, the pixels ranked by the map; `iou`, the
    overlap with the pixels from --threshold of its maximum on. Equal pixels count by their share.

    Beside each stands what a map that knows nothing would have, `energy_chance`, and what a control
    has, `energy_control`; `energy_gain` says how much more the map has than chance and than each
    control. Marks often lie near the middle: `center` is the one to beat. No network is needed, and
    images are not read, but by the control `edges` and where the record does not tell their size.

    A map without a positive value, a mask that is empty or full, and an image of which no mask is
    known are skipped by name. Several masks of one image are one, unless --by tells them apart:
    then each gives a record. `--summary` gives means with bootstrap intervals over the patients of
    the images, or over images, `--per-query` the means of each query. Gates hold for every
    number of the summary, of every method: `--min energy_gain_low.center=0`.
    """

    records: options.Records = "-"
    masks: options.Masks = None
    boxes: options.Boxes = None
    columns: options.TruthColumns = None
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="Tell masks of one image apart: a column of the table of masks or boxes (finding, "
            "reader), category of COCO, segment of DICOM SEG, column of several columns.",
        ),
    ] = None
    hit_tolerance: Annotated[
        float,
        typer.Option(
            "--hit-tolerance",
            metavar="PIXELS",
            min=0,
            max=10_000,
            help="How far beside the mask a maximum still hits, in pixels of the original.",
        ),
    ] = 15.0
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            min=0,
            max=1,
            help="From which share of its maximum a map counts for iou.",
        ),
    ] = 0.5
    control: Annotated[
        str,
        typer.Option(
            "--control",
            metavar="NAME[,NAME...]",
            help="Score these beside every map: random, center, edges, uniform.",
        ),
    ] = "center"
    curves: Annotated[
        Path | None,
        typer.Option(
            "--curves",
            metavar="DIR",
            help="Also write here, as .npy and .png, how much of the mask is found in which share "
            "of the pixels, and the overlap by threshold.",
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
    force: options.Force = False
    form: options.Format = None
    null: options.NullPaths = False

    def __post_init__(self) -> None:
        check_values(self)
        refuse_null(self.null, self.form)
        if self.masks is None and self.boxes is None:
            raise UsageError("where is the truth?", "Name it with --masks or --boxes.")
        refuse_truth(self.masks, self.boxes)
        inputs = [self.records, self.baseline, self.masks, self.boxes]
        gate_options.check_gated(self, inputs)
        _ = self.gates
        refuse_records(self.records, "localization-metric")

    @property
    def controls(self) -> tuple[str, ...]:
        """The names of the controls."""
        return LOCALIZATION.parse_controls(self.control)

    @property
    def gates(self) -> list[Gate]:
        """The bounds that the means of every method must keep."""
        return LOCALIZATION.parse_gates(self.minimum, self.maximum, self.controls)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        part = ["mask_name"] if self.by else []
        gains = [f"energy_gain.{control}" for control in self.controls]
        if self.per_query:
            columns = ["query", "method", *part, "n", *MEASURES, *gains]
            return Shown(columns, "query", name_variant)
        if not self.summary:
            columns = ["query", "retrieved", "method", *part, *MEASURES, "mask_area", *gains]
            return Shown(columns, "saliency", group="query")
        hit = [f"hit{end}" for end in ("", "_low", "_high", "_chance")]
        energy = ["energy", "energy_chance", *gains]
        return Shown(["method", *part, "n", *hit, *energy, *MEASURES[2:]], "saliency", name_variant)
