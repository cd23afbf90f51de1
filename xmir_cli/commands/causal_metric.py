"""`xmir causal-metric`: does the similarity hang on the regions that a saliency map names?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, ItemError, Status, UsageError
from xmir_cli.gates import Gate, check, parse_gates
from xmir_cli.records import ModelSpec
from xmir_cli.store.jsonl import open_lines, read_records

if TYPE_CHECKING:
    from xmir_cli.scoring.tally import Tally

MEASURES = ("insertion", "deletion")
COLUMNS = ["query", "retrieved", "method", "insertion", "deletion", "tied_fraction"]
SUMMARY_COLUMNS = [
    "method", "n", *(f"{name}{part}" for name in MEASURES for part in ("", "_sd", "_low", "_high")),
]  # fmt: skip


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
    seed: options.Seed = 0,
    batch: options.Batch = 16,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    form: options.Format = None,
) -> int:
    """Score saliency maps by insertion and deletion.

    Deletion greys out the image's pixels in the order of the map, insertion brings them back into
    a blurred image; the numbers are areas under the similarity to the query. A map that names the
    regions which matter has a high insertion and a low deletion. Pixels of equal saliency fall in
    row order: their share is `tied_fraction`, and where it is large both numbers mean little.
    """
    gates = _parse_gates(minimum, maximum)
    stream = open_lines(records, "causal-metric")
    from xmir_cli.metrics.protocol import Protocol
    from xmir_cli.model.embedder import Embedder
    from xmir_cli.model.loader import load_embedder, make_spec
    from xmir_cli.scoring.outputs import causal_record, save_curves
    from xmir_cli.scoring.pairs import PairScorer
    from xmir_cli.scoring.tally import Tally
    from xmir_cli.scoring.tasks import read_tasks

    def load(spec: ModelSpec) -> Embedder:
        embedder = load_embedder(spec, device, precision)
        embedder.batch = batch
        return embedder

    instead = make_spec(model, None, None, None, None, None, None) if model else None
    protocol = Protocol(preset, blur_padding, steps=steps, seed=seed)
    scorer, skips, tally = PairScorer(protocol, load, instead), console.Skips(), Tally(seed)
    columns = SUMMARY_COLUMNS if summary else COLUMNS
    with (
        stream,
        console.Printer(form or "", columns, "saliency") as printer,
        console.progress("scoring", None) as bar,
    ):
        for tasks in read_tasks(read_records(stream), skips):
            for task, scored in zip(tasks, scorer.score(tasks), strict=True):
                bar.advance()
                if isinstance(scored, ItemError):
                    skips.add(task.name, scored.reason)
                    continue
                record = causal_record(scored)
                if curves is not None:
                    record |= save_curves(scored, curves)
                tally.add(record)
                if not summary:
                    printer.write(record)
        for row in tally.rows() if summary else ():
            printer.write(row)
    return _finish(tally, skips, gates)


def _parse_gates(minimum: Sequence[str] | None, maximum: Sequence[str] | None) -> list[Gate]:
    gates = parse_gates(minimum, maximum)
    for gate in gates:
        if gate.name not in MEASURES:
            raise UsageError(
                f"{gate.flag} {gate.name}={gate.bound:g}: no such number; there are "
                f"{' and '.join(MEASURES)}"
            )
    return gates


def _finish(tally: "Tally", skips: console.Skips, gates: Sequence[Gate]) -> Status:
    """Say what the user must know about the numbers, then the exit code; the output is written."""
    if not tally.total:
        if skips.total:
            raise DataError(f"none of {skips.total} records could be scored")
        raise DataError("no records on standard input")
    if tally.tied:
        console.warning(
            f"{tally.tied} of {tally.total} maps have more than 1 % tied pixels; "
            "the order of ties, not the map, decides part of their numbers"
        )
    status = skips.finish(tally.total, "scored")
    for method, means in tally.means():
        for failure in check(gates, means):
            console.error(f"{method}: {failure}")
            status = Status.GATE
    return status
