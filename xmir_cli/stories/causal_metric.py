"""Score saliency maps by insertion and deletion: are they right?"""

from xmir_cli import console
from xmir_cli.commands.causal_metric import CausalMetric
from xmir_cli.console import Records, Skips
from xmir_cli.errors import ItemError
from xmir_cli.metrics.protocol import Protocol
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.scoring.outputs import outcome
from xmir_cli.scoring.pairs import PairScorer
from xmir_cli.scoring.report import Report, read_baseline
from xmir_cli.scoring.tally import Tally
from xmir_cli.scoring.tasks import read_tasks
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.wire.model import ModelSpec

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
    tally, earlier = Tally(asked.seed), read_baseline(asked.baseline)
    report = Report(Skips(), tally, asked.gates, earlier, asked.tolerance, asked.junit is not None)
    with open_lines(asked.records) as stream, console.progress("scoring", None) as bar:
        for tasks in read_tasks(read_records(stream), report.skips):
            for task, scored in zip(tasks, scorer.score(tasks), strict=True):
                identities = scorer.identify(task)
                record = outcome(task, scored, identities, asked.curves)
                report.take(task, identities, record)
                bar.advance()
                if not asked.summary and not isinstance(record, ItemError):
                    yield record
    if asked.summary:
        yield from tally.rows()
    return report.finish(asked.junit)
