"""`xmir sanity-check`: do saliency maps change when the network's weights are randomised?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, Status, UsageError
from xmir_cli.gates import Gate, check, parse_gates
from xmir_cli.printer import Printer
from xmir_cli.records import Record
from xmir_cli.saliency import load_methods
from xmir_cli.settings import method_settings
from xmir_cli.store.atomic import atomic_file, refuse_existing
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.outputs import refuse_input

if TYPE_CHECKING:
    from xmir_cli.explain.requests import Request

NUMBERS = ("spearman", "spearman_abs", "ssim")
COLUMNS = ["method", "position", "stage", "n", *NUMBERS, "verdict"]


@method_settings
def command(
    records: options.Records = "-",
    method: Annotated[
        str, typer.Option("--method", metavar="NAME[,NAME...]", help="One or several, in order.")
    ] = "activation",
    mode: Annotated[
        Literal["full", "cascading", "independent"],
        typer.Option(
            "--mode",
            help="All weights at once; block after block from the output; or each block alone.",
        ),
    ] = "cascading",
    seeds: Annotated[
        str,
        typer.Option("--seeds", metavar="N[,N...]", help="Of the random networks; averaged over."),
    ] = "0",
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, max=1, help="Largest correlation that passes.")
    ] = 0.5,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the correlations as PNG.")
    ] = None,
    model: options.Model = None,
    maximum: options.Limits = None,
    batch: options.Batch = 16,
    jobs: options.Jobs = None,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    force: options.Force = False,
    layout: options.Format = None,
    *,
    settings: Mapping[str, str],
) -> int:
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
    if plot is not None:
        refuse_existing(plot, force)
    gates, numbers = _parse_gates(maximum), _parse_seeds(seeds)
    stream = open_lines(records, "sanity-check")
    from xmir_cli.explain.requests import read_requests
    from xmir_cli.model.loader import load_embedder, make_spec
    from xmir_cli.model.randomize import fresh, stages
    from xmir_cli.scoring.sanity import Check, load_inputs, randomization_check

    checked = Check(load_methods(method, settings), mode, threshold)
    given = make_spec(model, None, None, None, None, None, None) if model else None
    skips = console.Skips()
    with stream:
        requests = list(read_requests(read_records(stream), given, skips))
    _refuse_unfit(requests, skips)
    if plot is not None:
        refuse_input(plot, (path for each in requests for path in (each.query, each.retrieved)))
    embedder = load_embedder(requests[0].spec, device, precision)
    embedder.batch = batch
    inputs = load_inputs(embedder, requests, skips, jobs)
    donors = [fresh(embedder.spec, number) for number in numbers]
    found = []
    with (
        Printer(layout or "", COLUMNS, "method") as printer,
        console.progress("randomising", len(stages(embedder.network, mode))) as bar,
    ):
        for record in randomization_check(embedder, inputs, checked, donors, bar.advance):
            printer.write(record)
            found.append(record)
    if plot is not None:
        _draw(found, threshold, plot)
    return _finish(found, gates, skips, len(inputs.pairs))


def _parse_gates(maximum: Sequence[str] | None) -> list[Gate]:
    gates = parse_gates(None, maximum)
    for gate in gates:
        if gate.name not in NUMBERS:
            raise UsageError(
                f"--max {gate.name}={gate.bound:g}: no such number",
                f"There are {', '.join(NUMBERS)}.",
            )
    return gates


def _parse_seeds(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"--seeds: expected whole numbers with commas, found {text}")
    return [int(part) for part in dict.fromkeys(parts)]


def _refuse_unfit(requests: "Sequence[Request]", skips: console.Skips) -> None:
    if not requests:
        raise DataError(
            f"none of {skips.total} records could be checked"
            if skips.total
            else "no records on standard input"
        )
    if any(request.spec != requests[0].spec for request in requests):
        raise DataError("the records come from more than one network", "Check one at a time.")


def _draw(found: Sequence[Record], threshold: float, plot: Path) -> None:
    from xmir_cli.render.sanity import draw_sanity

    curves: dict[str, list[float | None]] = {}
    for record in found:
        value = record["spearman"]
        values = curves.setdefault(str(record["method"]), [])
        values.append(value if isinstance(value, float) else None)
    stages = dict.fromkeys((str(record["stage"]), record["position"]) for record in found)
    picture = draw_sanity([name for name, _ in stages], curves, threshold)
    with atomic_file(plot) as file:
        picture.save(file, format="png")


def _finish(
    found: Sequence[Record], gates: Sequence[Gate], skips: console.Skips, pairs: int
) -> Status:
    """Judge the fully random network; the output is written already."""
    status = skips.finish(pairs, "checked")
    for record in found:
        if record["stage"] != "all":
            continue
        numbers = {name: record[name] for name in NUMBERS}
        known = {name: value for name, value in numbers.items() if isinstance(value, float)}
        for failure in check(gates, known):
            console.error(f"{record['method']}: {failure}")
            status = Status.GATE
    return status
