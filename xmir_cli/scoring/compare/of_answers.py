"""Two files of hits compared."""

from collections.abc import Iterator

from xmir_cli.console import Skips
from xmir_cli.labels import share_label
from xmir_cli.render.junit import JunitCase
from xmir_cli.scoring.compare.changes import (
    SIDES,
    RankedQueries,
    SideName,
    TwoRankings,
    list_changes,
    worst_first,
)
from xmir_cli.scoring.compare.numbers import (
    PATIENTS,
    QUERIES,
    sum_up_changes,
    sum_up_differences,
    tell_intervals,
)
from xmir_cli.scoring.compare.pairs import QueryPairs
from xmir_cli.scoring.compare.ranked_answers import TwoAnswers, read_answers
from xmir_cli.scoring.compare.record_files import RecordFile
from xmir_cli.scoring.compare.scored_answers import score_answers
from xmir_cli.scoring.compare.terms import HITS, ComparisonResult, ComparisonTerms
from xmir_cli.scoring.compare.ways import OtherWays, compare_ways, merge_ways
from xmir_cli.scoring.image_set import hash_names
from xmir_cli.wire.records import Record

# what a record says of the two images and of what is asked, whatever the model
_OF_BOTH = {
    *("query", "query_identity", "query_label", "query_patient", "query_meta"),
    *("query_text", "query_templates", "text_weight"),
    *("retrieved", "retrieved_identity", "retrieved_label", "match", "meta"),
}


def compare_answers(
    old: RecordFile, new: RecordFile, terms: ComparisonTerms, skips: Skips
) -> ComparisonResult:
    """The answers to the queries that both files have."""
    answers = read_answers({"old": old, "new": new})
    for side in SIDES:
        for number, error in answers.failed[side]:
            skips.add(f"{answers.files[side].source}: line {number}", error)
    ways = compare_ways(zip(answers.ways("old"), answers.ways("new"), strict=True))
    if terms.gated:
        ways.refuse_gates()
    asked = {side: merge_ways(answers.ways(side)) for side in SIDES}
    cutoffs = terms.cutoffs_of(min(answers.depths))
    records: dict[tuple[int, int, SideName], Record] = {}

    def tell(query: TwoRankings, item: int, side: SideName) -> Record:
        told, label = _tell(records, query, item, side), answers.label_of(item)
        match = share_label(query.query.get("query_label"), label)
        known = {"query_label": query.query.get("query_label"), "retrieved_label": label}
        return told if match is None else {**told, **known, "match": match}

    ranked = RankedQueries(answers.queries(), cutoffs, tell, answers.match)
    scores = score_answers(answers, cutoffs)
    changes = list_changes(ranked, scores)
    order = worst_first(changes, () if scores is None else [f"p_at_{cutoffs[-1]}"])
    units = [each.unit for each in ranked.queries]
    of = PATIENTS if any(isinstance(unit, str) for unit in units) else QUERIES
    summary: Record = {
        **{f"asked_{side}": each for side, each in asked.items() if each is not None},
        "images_sha256": hash_names(
            " ".join(filter(None, (identity, *rest))) for (identity, _), *rest in answers.asked
        ),
        "compared": len(changes),
        "only_old": answers.count_only("old"),
        "only_new": answers.count_only("new"),
        "failed": skips.total,
        **sum_up_changes(changes, units, terms.seed),
        **({} if scores is None else sum_up_differences(scores, units, terms.seed)),
        "intervals": tell_intervals(units, of, terms.seed),
        **{
            f"model_{side}": each["model"]
            for side, each in answers.models.items()
            if "model" in each
        },
    }
    shown = [ranked.queries[row] for row in order[: terms.worst]]

    def show() -> Iterator[Record]:
        records.update(answers.read_records(shown))
        yield from QueryPairs(ranked, changes, answers.models, terms.hits or HITS).records(shown)

    return ComparisonResult(
        "queries",
        [summary],
        show,
        [changes[row] for row in order],
        _cases(answers),
        _notes(answers, ways, scores is not None),
    )


def _tell(
    records: dict[tuple[int, int, SideName], Record], query: TwoRankings, item: int, side: SideName
) -> Record:
    """The record of a hit; where only the other model has it, without what that says of it."""
    own = records.get((query.number, item, side))
    if own is not None:
        return own
    other = records[query.number, item, "new" if side == "old" else "old"]
    return {name: value for name, value in other.items() if name in _OF_BOTH}


def _notes(answers: TwoAnswers, ways: OtherWays, scored: bool) -> list[str]:
    told = []
    if answers.relabelled:
        told.append(f"{answers.relabelled} images have another label in NEW: those of NEW hold")
    told += ways.note(len(answers.asked))
    old, new = answers.depths
    if scored and old != new:
        told.append(f"up to {old} hits of a query in OLD, {new} in NEW: mrr counts all of them")
    return told


def _cases(answers: TwoAnswers) -> list[JunitCase]:
    """What one file has alone is missing in the other; what cannot be read failed."""
    cases, both = [], set(answers.asked)
    for side, other in (("old", "new"), ("new", "old")):
        own = answers.hits["old" if side == "old" else "new"]
        alone = [each for key, each in own.items() if key not in both]
        cases += [
            JunitCase(
                "compare",
                str(each.told.get("query") or each.told.get("query_text")),
                missing=f"not in the {other} file",
            )
            for each in alone
        ]
    for side in SIDES:
        cases += [
            JunitCase("compare", f"{side}: line {number}", error=error.reason)
            for number, error in answers.failed[side]
        ]
    return cases
