"""Check that saliency maps depend on what they claim to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from xmir_cli import console
from xmir_cli.commands.sanity_check import SanityCheck
from xmir_cli.console import Ending, Records, Skips
from xmir_cli.errors import DataError, SettingError
from xmir_cli.explain.fit import warn_of_unfit
from xmir_cli.explain.refused import Refusals
from xmir_cli.explain.requests import Request, read_requests
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.randomize import load_fresh, stages
from xmir_cli.pictures.identity import file_of
from xmir_cli.render.sanity import draw_sanity
from xmir_cli.saliency import load_methods
from xmir_cli.scoring.baseline import Baseline
from xmir_cli.scoring.check_rules import has_verdict
from xmir_cli.scoring.sanity.check import Check
from xmir_cli.scoring.sanity.mapper import Mapper
from xmir_cli.scoring.sanity.noise import add_noise
from xmir_cli.scoring.sanity.other_network import compare_networks
from xmir_cli.scoring.sanity.other_query import replace_queries
from xmir_cli.scoring.sanity.pairs import Inputs, load_inputs
from xmir_cli.scoring.sanity.verdict import RULES, advise
from xmir_cli.scoring.sanity.weights import randomize_weights
from xmir_cli.scoring.tested import Checks, read_baseline
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.outputs import refuse_input
from xmir_cli.terminal import is_terminal
from xmir_cli.wire.records import Record

__all__ = ["SanityCheck", "run"]

_CENTERED = 3  # images of which a mean can be taken off: of two, what is left is opposite


def run(asked: SanityCheck) -> Records:
    """One `xmir.sanity/1` record a method and test, of `model` one a stage.

    `asked.records` names a file of JSON lines, one record a line.
    """
    skips, refusals = Skips(), Refusals()
    earlier = read_baseline(asked.baseline, RULES)
    requests = _requests(asked, skips)
    methods = load_methods(asked.method, asked.settings)
    embedder = load_embedder(requests[0].spec, asked.device, asked.precision, asked.batch)
    warn_of_unfit(methods, embedder)
    inputs = load_inputs(embedder, requests, skips, asked.jobs)
    _refuse_few(asked, inputs)
    tests = [_prepare(asked, name, embedder, skips) for name in asked.tests]
    found = []
    with console.progress("checking", 1 + sum(parts for parts, _ in tests)) as bar:
        mapper = Mapper(embedder, inputs, asked.center)
        before = refusals.try_all(methods, lambda _, each: mapper.map(each, inputs.pairs))
        kept = {name: methods[name] for name in before}
        bar.advance()
        check = Check(kept, before, mapper, inputs, asked.thresholds, bar.advance, asked.per_query)
        for _, test in tests:
            for record in test(check):
                of_query = "query" in record
                found += [] if of_query else [record]
                if of_query == asked.per_query and (has_verdict(record) or not asked.summary):
                    yield _with_plot(record, asked.plot)
    if asked.plot is not None:
        _draw(found, asked, asked.plot)
    refusals.count(skips)
    ending = skips.finish(len(inputs.pairs), "checked")
    checks = Checks(RULES, found)
    checks.take_lost(skips.reasons)
    lost = dict.fromkeys([name for name in methods if name not in kept], "")
    checks.take_lost((name, "the network refuses the method") for name in lost)
    return _judge(asked, ending, checks, earlier, lost)


def _prepare(
    asked: SanityCheck, name: str, embedder: Embedder, skips: Skips
) -> tuple[int, Callable[[Check], Iterator[Record]]]:
    """How many parts a test has, and what does it; the networks that it needs are loaded."""
    seeds = asked.seed_numbers
    if name == "model":
        donors = {seed: load_fresh(embedder.spec, seed) for seed in seeds}
        parts = (len(stages(embedder.network, asked.mode)) - 1) * len(donors)
        return parts, lambda check: randomize_weights(check, asked.mode, donors)
    if name == "query":
        return 1, lambda check: replace_queries(check, seeds, skips)
    if name == "noise":
        parts = len(seeds) * asked.draws
        return parts, lambda check: add_noise(check, asked.noise, seeds, asked.draws)
    other = _load_other(asked, embedder)
    return 1, lambda check: compare_networks(check, other, asked.jobs)


def _load_other(asked: SanityCheck, embedder: Embedder) -> Embedder:
    spec = resolve_model(ModelChoice(model=asked.against))
    other = load_embedder(spec, asked.device, asked.precision, asked.batch)
    if other.spec.same_embedding(embedder.spec):
        raise SettingError(
            "against",
            "it is the network that the maps are of",
            "Name one of another training.",
            value=str(asked.against),
        )
    return other


def _refuse_few(asked: SanityCheck, inputs: Inputs) -> None:
    if asked.center and len({each.identity for each in inputs.images.values()}) < _CENTERED:
        raise SettingError(
            "center", f"expected records of {_CENTERED} images or more, whose mean is taken off"
        )


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
    for name, file in {"plot": asked.plot, "junit": asked.junit}.items():
        images = (path for each in requests for path, _ in each.images)
        refuse_input(file, map(file_of, images), name)
    return requests


def _with_plot(record: Record, plot: Path | None) -> Record:
    """The record, which names the figure that it will be in."""
    return {**record, "plot": str(plot)} if plot and record["test"] == "model" else record


def _draw(found: Sequence[Record], asked: SanityCheck, plot: Path) -> None:
    """Draw what the weights did; the other tests have one number each."""
    found = [record for record in found if record["test"] == "model"]
    curves: dict[str, list[float | None]] = {}
    for record in found:
        value = record["spearman"]
        values = curves.setdefault(str(record["method"]), [])
        values.append(value if isinstance(value, float) else None)
    stages = dict.fromkeys((str(record["stage"]), record["position"]) for record in found)
    verdicts = {str(each["method"]): str(each["verdict"]) for each in found if each["verdict"]}
    names = [name for name, _ in stages]
    drawing = draw_sanity(names, curves, asked.thresholds["model"], asked.mode, verdicts)
    with atomic_file(plot) as file:
        file.write(drawing.encode(plot.suffix.lower()))


def _judge(
    asked: SanityCheck,
    ending: Ending,
    checks: Checks,
    earlier: Baseline | None,
    lost: Mapping[str, str],
) -> Ending:
    """How it ends: below a table stands what does not pass, which fails the run if it is to."""
    checks.take_verdicts(failing=asked.gate)
    checks.ask(asked.gates)
    checks.compare(earlier, asked.tolerance, lost)
    checks.write(asked.junit)
    table = asked.form == "table" or (asked.form is None and is_terminal())
    advice = advise(checks.found) if table else []
    return replace(ending, notes=(*ending.notes, *advice)).judged(checks.unmet)
