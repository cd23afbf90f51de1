"""Score saliency maps against experts' masks and boxes: do they lie where the marks lie?"""

from collections.abc import Iterator

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.commands.localization_metric import LocalizationMetric
from xmir_cli.console import Records, Skips
from xmir_cli.errors import DataError, ItemError
from xmir_cli.scoring.localization import LOCALIZATION
from xmir_cli.scoring.localizer import (
    Localizer,
    MapTask,
    PlacingRules,
    Unplaced,
    identities_of,
    task_of,
)
from xmir_cli.scoring.located import located_record, save_located
from xmir_cli.scoring.map_baseline import read_baseline
from xmir_cli.scoring.map_output import MapOutput
from xmir_cli.scoring.tally import Tally
from xmir_cli.scoring.tasks import attempt
from xmir_cli.scoring.verdict import Verdict
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.outputs import refuse_input
from xmir_cli.truth.sources import open_truth
from xmir_cli.wire.records import Record

__all__ = ["LocalizationMetric", "run"]


def run(asked: LocalizationMetric) -> Records:
    """One `xmir.localization/1` record a map and mask; summed up, one a method.

    `asked.records` names a file of JSON lines, one record a line.
    """
    truth = open_truth(asked.masks, asked.boxes, asked.columns)
    assert truth is not None  # the description has one
    marks = "masks" if asked.boxes is None else "boxes"
    rules = PlacingRules(asked.hit_tolerance, asked.threshold, asked.by, asked.seed, marks)
    localizer = Localizer(truth, rules, asked.controls)
    tally, earlier = Tally(LOCALIZATION, asked.seed), read_baseline(asked.baseline, LOCALIZATION)
    output = MapOutput(tally, asked.summary, asked.per_query)
    listed, summed = asked.junit is not None, asked.summary or asked.per_query
    verdict = Verdict(Skips(), tally, asked.gates, earlier, asked.tolerance, listed, summed)
    with open_lines(asked.records) as stream, console.progress("scoring", stream.count) as bar:
        for number, line in read_records(stream):
            where = f"line {number}"
            task = line if isinstance(line, ItemError) else attempt(task_of, line)
            bar.advance()
            if isinstance(task, ItemError):
                verdict.lose(where, task)
                continue
            refuse_input(asked.junit, [task.saliency], "junit")
            identities = identities_of(task.view)
            for part, record in _records(asked, localizer, task, identities):
                told = f"{where}, {part}" if part else where
                verdict.take(told, task.view, identities, record, part)
                yield from output.take(record)
    if not tally.total and set(verdict.skips.codes) == {Cause.NO_MASK}:
        raise DataError(truth.say_nothing())
    yield from output.rest()
    return verdict.finish(asked.junit)


def _records(
    asked: LocalizationMetric, localizer: Localizer, task: MapTask, identities: tuple[str, str]
) -> Iterator[tuple[str, Record | ItemError]]:
    """The record of each mask, by its name, or why there is none."""
    found = attempt(localizer.place, task, identities)
    if isinstance(found, ItemError):
        yield "", found
        return
    for placed in found:
        if isinstance(placed, Unplaced):
            yield placed.name, placed.error
            continue
        record = located_record(task, placed, identities, localizer.rules)
        if asked.curves is not None:
            record |= save_located(task, placed, asked.curves, identities, localizer.rules)
        yield placed.mark.name, record
