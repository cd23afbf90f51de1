"""Score saliency maps by insertion and deletion: are they right?"""

from collections.abc import Iterator, Sequence

from xmir_cli import console
from xmir_cli.commands.causal_metric import CausalMetric
from xmir_cli.console import Records, Skips
from xmir_cli.errors import ItemError
from xmir_cli.metrics.protocol import Protocol
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.scoring.altered import name_others
from xmir_cli.scoring.causal import CAUSAL
from xmir_cli.scoring.earlier import find_scored
from xmir_cli.scoring.map_baseline import read_baseline
from xmir_cli.scoring.map_output import MapOutput
from xmir_cli.scoring.names import OTHER_PAIR
from xmir_cli.scoring.outputs import outcome
from xmir_cli.scoring.pairs import PairScorer
from xmir_cli.scoring.tally import Tally
from xmir_cli.scoring.tasks import Task, attempt, read_tasks
from xmir_cli.scoring.verdict import Verdict
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.outputs import refuse_input
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

__all__ = ["CausalMetric", "run"]


def run(asked: CausalMetric) -> Records:
    """One `xmir.causal/1` record a map, in order, or one `xmir.causal-summary/1` a method.

    `asked.records` names a file of JSON lines, one record a line.
    """
    protocol = Protocol(
        asked.blur,
        asked.blur_padding,
        asked.substrate,
        asked.order,
        asked.ties,
        asked.curve_steps,
        asked.seed,
    )

    def load(spec: ModelSpec) -> Embedder:
        return load_embedder(spec, asked.device, asked.precision, asked.batch)

    instead = resolve_model(ModelChoice(model=asked.model)) if asked.model else None
    scorer = PairScorer(protocol, asked.controls, load, instead)
    tally, earlier = Tally(CAUSAL, asked.seed), read_baseline(asked.baseline, CAUSAL)
    output = MapOutput(tally, asked.summary, asked.per_query)
    listed, summed = asked.junit is not None, asked.summary or asked.per_query
    verdict = Verdict(Skips(), tally, asked.gates, earlier, asked.tolerance, listed, summed)
    with open_lines(asked.records) as stream, console.progress("scoring", stream.count) as bar:
        groups = read_tasks(read_records(stream), verdict.lose)
        if OTHER_PAIR in asked.controls:  # which it needs to know all of
            groups = iter(name_others(list(groups), asked.seed))
        for tasks in groups:
            refuse_input(asked.junit, (file for task in tasks for file in task.files), "junit")
            for task, identities, record in _outcomes(asked, scorer, tasks):
                verdict.take(task.name, task.view, identities, record)
                bar.advance()
                yield from output.take(record)
    yield from output.rest()
    return verdict.finish(asked.junit)


def _outcomes(
    asked: CausalMetric, scorer: PairScorer, tasks: Sequence[Task]
) -> Iterator[tuple[Task, tuple[str, str], Record | ItemError]]:
    """Each task of a pair with its images and its record, which a summary may have at hand."""
    at_hand = asked.summary and asked.model is None and asked.curves is None
    known = [
        attempt(find_scored, task, scorer.protocol, asked.controls) if at_hand else None
        for task in tasks
    ]
    left = [task for task, record in zip(tasks, known, strict=True) if record is None]
    scored = iter(scorer.score(left) if left else ())
    for task, record in zip(tasks, known, strict=True):
        if record is not None:
            view = task.view
            yield task, (view.query_identity or "", view.retrieved_identity or ""), record
            continue
        identities = scorer.identify(task)
        yield task, identities, outcome(task, next(scored), identities, asked.curves)
