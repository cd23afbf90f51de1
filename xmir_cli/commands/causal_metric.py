"""`xmir causal-metric`: does the similarity hang on the regions that a saliency map names?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli import console, options
from xmir_cli.errors import ItemError
from xmir_cli.printer import Printer
from xmir_cli.records import ModelSpec
from xmir_cli.scoring.names import MEASURES, parse_causal_gates, parse_controls
from xmir_cli.scoring.tasks import read_tasks
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.jsonl import open_lines, read_records


def command(
    records: options.Records = "-",
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="Score with this checkpoint instead of the one that the maps were made with.",
        ),
    ] = None,
    preset: Annotated[
        Literal["paper", "rise"],
        typer.Option("--preset", help="Blur of 51 pixels, sigma 7.07 (paper) or 11 and 5 (rise)."),
    ] = "paper",
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Steps of a curve. [default: one row of pixels each]"),
    ] = None,
    blur_padding: Annotated[
        Literal["zero", "reflect"],
        typer.Option(
            "--blur-pad", help="Beyond the border: model-space zero, or the mirror image."
        ),
    ] = "zero",
    substrate: Annotated[
        Literal["gray", "blur", "mean", "noise"],
        typer.Option(
            "--substrate",
            help="What deleted pixels become: model-space zero, the blurred image, the image's "
            "mean colour, or noise of its mean and deviation.",
        ),
    ] = "gray",
    order: Annotated[
        Literal["morf", "lerf"],
        typer.Option("--order", help="Most, or least, relevant pixels first."),
    ] = "morf",
    ties: Annotated[
        Literal["row", "random"],
        typer.Option("--ties", help="Order of equally salient pixels: by rows, or at random."),
    ] = "row",
    control: Annotated[
        str,
        typer.Option(
            "--control",
            metavar="NAME[,NAME...]",
            help="Score these beside every map: random, center, edges, uniform, random-model.",
        ),
    ] = "",
    curves: Annotated[
        Path | None,
        typer.Option(
            "--curves", metavar="DIR", help="Also write each curve as .npy and .png here."
        ),
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print means by method instead of the records.")
    ] = False,
    minimum: options.Gates = None,
    maximum: options.Limits = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="FILE", help="Exit 4 when a map is worse than in these records."
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="How much worse than --baseline is allowed.")
    ] = 0.01,
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Write the checks as JUnit XML."),
    ] = None,
    seed: options.Seed = 0,
    batch: options.Batch = 16,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    force: options.Force = False,
    form: options.Format = None,
) -> int:
    """Score saliency maps by insertion and deletion.

    Deletion greys out the image's pixels in the order of the map, insertion brings them back into
    a blurred image; the numbers are areas under the similarity to the query. A map that names the
    regions which matter has a high insertion and a low deletion. Pixels of equal saliency fall in
    row order: their share is `tied_fraction`, and where it is large both numbers mean little.

    A number says something beside a control's: `--control random,center` adds theirs as
    `insertion_control`, and what was gained over them as `insertion_gain`; `random-model` is the
    same method asked of a randomly initialised network. `--summary` gives means with bootstrap
    intervals over queries. Gates hold for the mean of every method: `--min insertion=0.8`,
    `--min insertion_gain.random=0.02`.
    """
    if junit is not None:
        refuse_existing(junit, force)
    controls = parse_controls(control)
    gates = parse_causal_gates(minimum, maximum, controls)
    stream = open_lines(records, "causal-metric")
    from xmir_cli.metrics.protocol import Protocol
    from xmir_cli.model.embedder import Embedder
    from xmir_cli.model.loader import load_embedder, make_spec
    from xmir_cli.scoring.outputs import outcome
    from xmir_cli.scoring.pairs import PairScorer
    from xmir_cli.scoring.report import Report, read_baseline
    from xmir_cli.scoring.tally import Tally

    def load(spec: ModelSpec) -> Embedder:
        embedder = load_embedder(spec, device, precision)
        embedder.batch = batch
        return embedder

    instead = make_spec(model, None, None, None, None, None, None) if model else None
    protocol = Protocol(preset, blur_padding, substrate, order, ties, steps, seed)
    scorer = PairScorer(protocol, controls, load, instead)
    tally, earlier = Tally(seed), read_baseline(baseline)
    report = Report(console.Skips(), tally, gates, earlier, tolerance, junit is not None)
    with (
        stream,
        Printer(form or "", _columns(summary, controls), "saliency") as printer,
        console.progress("scoring", None) as bar,
    ):
        for tasks in read_tasks(read_records(stream), report.skips):
            for task, scored in zip(tasks, scorer.score(tasks), strict=True):
                record = outcome(task, scored, curves)
                report.take(task, record)
                bar.advance()
                if not summary and not isinstance(record, ItemError):
                    printer.write(record)
        for row in report.tally.rows() if summary else ():
            printer.write(row)
    return report.finish(junit)


def _columns(summary: bool, controls: Sequence[str]) -> list[str]:
    gains = [f"{measure}_gain.{control}" for control in controls for measure in MEASURES]
    if not summary:
        return ["query", "retrieved", "method", *MEASURES, *gains, "tied_fraction"]
    spread = [f"{name}{part}" for name in MEASURES for part in ("", "_sd", "_low", "_high")]
    return ["method", "n", *spread, *gains]
