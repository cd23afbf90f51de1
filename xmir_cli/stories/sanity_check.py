"""Check that saliency maps depend on the trained weights."""

from collections.abc import Sequence
from pathlib import Path

from xmir_cli import console
from xmir_cli.commands.sanity_check import SanityCheck
from xmir_cli.console import Records, Skips
from xmir_cli.errors import DataError
from xmir_cli.explain.fit import warn_of_unfit
from xmir_cli.explain.requests import Request, read_requests
from xmir_cli.gates import Gate, check
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.randomize import load_fresh, stages
from xmir_cli.pictures.identity import file_of
from xmir_cli.render.sanity import draw_sanity
from xmir_cli.saliency import load_methods
from xmir_cli.scoring.names import AGREEMENTS
from xmir_cli.scoring.sanity import Check, load_inputs, randomization_check
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.outputs import refuse_input
from xmir_cli.wire.records import Record

__all__ = ["SanityCheck", "run"]


def run(asked: SanityCheck) -> Records:
    """One `xmir.sanity/1` record a method and stage, from the trained network on.

    `asked.records` names a file of JSON lines, one record a line.
    """
    skips = Skips()
    requests = _requests(asked, skips)
    methods = load_methods(asked.method, asked.settings)
    checked = Check(methods, asked.mode, asked.threshold, asked.center)
    embedder = load_embedder(requests[0].spec, asked.device, asked.precision, asked.batch)
    warn_of_unfit(checked.methods, embedder)
    inputs = load_inputs(embedder, requests, skips, asked.jobs)
    donors = [load_fresh(embedder.spec, number) for number in asked.seed_numbers]
    found = []
    with console.progress("randomising", len(stages(embedder.network, asked.mode))) as bar:
        for record in randomization_check(embedder, inputs, checked, donors, bar.advance):
            yield record
            found.append(record)
    if asked.plot is not None:
        _draw(found, asked.threshold, asked.plot)
    checked.refusals.count(skips)
    return skips.finish(len(inputs.pairs), "checked").judged(_judge(found, asked.gates))


def _requests(asked: SanityCheck, skips: Skips) -> list[Request]:
    """All pairs, of one network."""
    given = resolve_model(ModelChoice(model=asked.model)) if asked.model else None
    with open_lines(asked.records) as stream:
        requests = list(read_requests(read_records(stream), given, skips))
    if not requests:
        raise DataError(
            f"none of {skips.total} records could be checked"
            if skips.total
            else "no records on standard input"
        )
    if any(request.spec != requests[0].spec for request in requests):
        raise DataError("the records come from more than one network", "Check one at a time.")
    if asked.plot is not None:
        images = (path for each in requests for path, _ in each.images)
        refuse_input(asked.plot, map(file_of, images), "plot")
    return requests


def _draw(found: Sequence[Record], threshold: float, plot: Path) -> None:
    curves: dict[str, list[float | None]] = {}
    for record in found:
        value = record["spearman"]
        values = curves.setdefault(str(record["method"]), [])
        values.append(value if isinstance(value, float) else None)
    stages = dict.fromkeys((str(record["stage"]), record["position"]) for record in found)
    picture = draw_sanity([name for name, _ in stages], curves, threshold)
    with atomic_file(plot) as file:
        picture.save(file, format="png")


def _judge(found: Sequence[Record], gates: Sequence[Gate]) -> list[str]:
    """The gates that the fully random network does not meet, a line each."""
    failures = []
    for record in found:
        if record["stage"] == "all":
            numbers = {name: record[name] for name in AGREEMENTS}
            known = {name: value for name, value in numbers.items() if isinstance(value, float)}
            failures += [f"{record['method']}: {failure}" for failure in check(gates, known)]
    return failures
