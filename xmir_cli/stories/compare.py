"""Compare two models over the same images: what changed?"""

from collections.abc import Iterator
from dataclasses import replace

from xmir_cli import console
from xmir_cli.commands.compare import Compare
from xmir_cli.console import Records, Skips
from xmir_cli.errors import DataError
from xmir_cli.scoring.compare.of_answers import compare_answers
from xmir_cli.scoring.compare.of_archives import compare_archives
from xmir_cli.scoring.compare.of_maps import compare_maps
from xmir_cli.scoring.compare.record_files import RecordFile, hold_records
from xmir_cli.scoring.compare.rules import RULES, main_rows, rows, say
from xmir_cli.scoring.compare.terms import ComparisonResult
from xmir_cli.scoring.tested import Checks, read_baseline
from xmir_cli.terminal import is_terminal
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.causal import CausalRecord
from xmir_cli.wire.schemas.compare_query import CompareQueryRecord
from xmir_cli.wire.schemas.compare_summary import CompareSummaryRecord
from xmir_cli.wire.schemas.localization import LocalizationRecord
from xmir_cli.wire.schemas.retrieval import RetrievalRecord
from xmir_cli.wire.schemas.saliency import SaliencyRecord

__all__ = ["Compare", "run"]

_MAPS = {each.NAME for each in (SaliencyRecord, CausalRecord, LocalizationRecord)}


def run(asked: Compare) -> Records:
    """`xmir.compare/1` records of the worst queries or maps; or as is asked, of all."""
    skips, earlier = Skips(), read_baseline(asked.baseline, RULES)
    found = _compare(asked, skips)
    named: Record = {"old": asked.old, "new": asked.new}
    summaries = [{"schema": CompareSummaryRecord.NAME, **named, **each} for each in found.summaries]
    yield from _records(asked, found, summaries)
    checks = Checks(RULES, summaries)
    checks.ask(asked.gates)
    checks.compare(earlier, asked.tolerance)
    checks.cases += found.cases
    checks.write(asked.junit)
    ending = skips.finish(sum(int(str(each["compared"])) for each in summaries), "compared")
    told = _more(asked, summaries) if asked.summary else [say(each) for each in summaries]
    ending = replace(
        ending, notes=(*ending.notes, *_missing(found, summaries[0]), *found.notes, *told)
    )
    return ending.judged(checks.unmet)


def _records(asked: Compare, found: ComparisonResult, summaries: list[Record]) -> Iterator[Record]:
    if asked.summary:
        yield from summaries
    elif asked.per_query:
        yield from ({"schema": CompareQueryRecord.NAME, **each} for each in found.changes)
    else:
        yield from found.shown()


def _compare(asked: Compare, skips: Skips) -> ComparisonResult:
    """What changed between two sources of one kind."""
    are_records = hold_records(asked.old, asked.new)
    if not any(are_records):
        return compare_archives(asked.old, asked.new, asked.terms, skips)
    if not all(are_records):
        raise DataError(
            "one of the two holds records, and the other one vectors",
            "Compare two embeddings or indexes, or two files of records.",
        )
    old, new = RecordFile(asked.old), RecordFile(asked.new)
    schemas = [each.find_schema() for each in (old, new)]
    if schemas[0] != schemas[1]:
        raise DataError(f"{asked.old} holds {schemas[0]}, and {asked.new} {schemas[1]}")
    if schemas[0] in {RetrievalRecord.NAME, *_MAPS}:
        asked.terms.refuse_of_records(maps=schemas[0] in _MAPS)
    if schemas[0] == RetrievalRecord.NAME:
        return compare_answers(old, new, asked.terms, skips)
    if schemas[0] in _MAPS:
        return compare_maps(old, new, asked.terms, skips)
    raise DataError(
        f"{schemas[0]}: such records cannot be compared",
        "Records of query, saliency, causal-metric and localization-metric can.",
    )


def _more(asked: Compare, summaries: list[Record]) -> list[str]:
    """That a table does not show all, where it is one."""
    if asked.form != "table" and not (asked.form is None and is_terminal()):
        return []
    count = sum(len([*rows(each)]) - len([*main_rows(each)]) for each in summaries)
    return [console.in_words(f"{count} numbers more are told by `form` tsv")] if count else []


def _missing(found: ComparisonResult, summary: Record) -> list[str]:
    """What one of the two has alone, which is no failure of the other."""
    what = "images" if summary.get("protocol") else found.what
    return [
        f"in {side} only, missing in the other: {summary[key]} of the {what}"
        for side, key in (("OLD", "only_old"), ("NEW", "only_new"))
        if summary[key]
    ]
