"""Two embeddings or indexes of the same images compared."""

from collections.abc import Hashable, Sequence
from itertools import compress

import numpy as np

from xmir_cli import console
from xmir_cli.console import Skips
from xmir_cli.errors import DataError
from xmir_cli.gallery.engines import is_index, make_absolute
from xmir_cli.metrics.ranking import Measures
from xmir_cli.render.junit import JunitCase
from xmir_cli.retrieval.collection import read_collection, sample_rows
from xmir_cli.retrieval.conditions import allowed_by, check_column, say_nothing
from xmir_cli.scoring.compare.archives import TwoArchives, match_archives
from xmir_cli.scoring.compare.changes import SIDES, SideName, list_changes, worst_first
from xmir_cli.scoring.compare.numbers import (
    PATIENTS,
    QUERIES,
    sum_up_changes,
    sum_up_differences,
    tell_intervals,
)
from xmir_cli.scoring.compare.pairs import QueryPairs
from xmir_cli.scoring.compare.ranked_archives import (
    ArchiveRules,
    LabelledQueries,
    rank_archives,
    score_archives,
)
from xmir_cli.scoring.compare.terms import HITS, ComparisonResult, ComparisonTerms
from xmir_cli.scoring.image_set import hash_names
from xmir_cli.store.where import parse_where
from xmir_cli.wire.records import Record

_PATIENT = "patient"


def compare_archives(old: str, new: str, terms: ComparisonTerms, skips: Skips) -> ComparisonResult:
    """The rankings of the images that both have, each asking for the others."""
    before, after = (read_collection(each, skips.add) for each in (old, new))
    both = match_archives(before, after, skips.add)
    rules = _rules(both, terms)
    asking = int(rules.queries.sum())
    with console.progress("ranking", 4 * asking) as bar:
        ranked = rank_archives(both, rules, bar.advance)
        measures = Measures(rules.cutoffs, by_label=True)
        found = score_archives(both, rules, measures, bar.advance)
    scores = None if found is None else found.spread(asking, rules.excluded)
    changes = list_changes(ranked, scores)
    order = worst_first(changes, () if scores is None else scores["old"].names)
    units = [each.unit for each in ranked.queries]
    of = PATIENTS if any(isinstance(unit, str) for unit in units) else QUERIES
    models = {"old": both.old.model.to_json(), "new": both.new.model.to_json()}
    summary: Record = {
        "protocol": terms.protocol,
        "exclude_same": terms.exclude_same,
        "where": list(map(str, parse_where(list(terms.where)))) or None,
        "sample": terms.tell_sample(asking),
        "images_sha256": hash_names(
            *(compress(both.identities, each) for each in (rules.queries, rules.searched))
        ),
        "compared": len(changes),
        "only_old": both.only_old,
        "only_new": both.only_new,
        "failed": skips.total,
        **sum_up_changes(changes, units, terms.seed),
        **({} if found is None else _differences(found, rules, units, terms)),
        "intervals": tell_intervals(units, of, terms.seed),
        "model_old": models["old"],
        "model_new": models["new"],
    }
    kept: dict[SideName, Record] = {
        side: {**({"index": make_absolute(name)} if is_index(name) else {}), "model": models[side]}
        for side, name in zip(SIDES, (old, new), strict=True)
    }
    pairs = QueryPairs(ranked, changes, kept, terms.hits or HITS)
    shown = [ranked.queries[row] for row in order[: terms.worst]]
    return ComparisonResult(
        "queries",
        [summary],
        lambda: pairs.records(shown),
        [changes[row] for row in order],
        _cases(both, skips),
        _notes(both, found),
    )


def _rules(both: TwoArchives, terms: ComparisonTerms) -> ArchiveRules:
    """Who asks whom; raises SettingError for columns that are not there."""
    count, where = len(both.identities), parse_where(list(terms.where))
    names = both.new.items.column_names
    for setting, column in [
        *(("where", each.column) for each in where),
        *([("exclude_same", terms.exclude_same)] if terms.exclude_same else []),
    ]:
        check_column(names, column, setting)
    queries = np.asarray(allowed_by(both.new.items, where))
    if not queries.any():
        raise DataError(say_nothing(both.new.items, where))
    searched = queries if terms.protocol == "loo" else np.ones(count, dtype=bool)
    if terms.sample is not None:
        rows = np.flatnonzero(queries)
        drawn = rows[sample_rows(len(rows), terms.sample, terms.seed)]
        queries = np.isin(np.arange(count), drawn)
    size = int(searched.sum()) - (terms.protocol == "loo")
    if size < 1:
        raise DataError("both have one image: there is nothing to find")
    group = terms.exclude_same or _PATIENT
    return ArchiveRules(queries, searched, group, bool(terms.exclude_same), terms.cutoffs_of(size))


def _differences(
    found: LabelledQueries, rules: ArchiveRules, units: Sequence[Hashable], terms: ComparisonTerms
) -> Record:
    """The numbers of retrieval-metric, chosen ones at the top, those of other neighbours below."""
    own = [units[row] for row in found.rows]
    record: Record = {}
    for others in (False, True):
        scores = found.of(others)
        if scores is None:
            continue
        whole = terms.sample is None or not found.everybody.unasked(scores["new"], others)
        numbers = sum_up_differences(scores, own, terms.seed, whole)
        if others == rules.excluded:
            record |= numbers
        if others:
            record[f"excluding_same_{rules.group}"] = numbers
        elif rules.excluded:
            record[f"including_same_{rules.group}"] = numbers
    return record


def _cases(both: TwoArchives, skips: Skips) -> list[JunitCase]:
    """One each for images that are missing in one of the two, and for rows that failed."""
    return [
        *(
            JunitCase("compare", f"images of {side}", missing=f"{count} {told}")
            for side, count, told in (
                ("old", both.only_old, "are missing in the new one"),
                ("new", both.only_new, "are missing in the old one"),
            )
            if count
        ),
        *(
            [JunitCase("compare", "rows", error=f"{skips.total} cannot be used")]
            if skips.total
            else []
        ),
    ]


def _notes(both: TwoArchives, found: LabelledQueries | None) -> list[str]:
    told = []
    if both.relabelled:
        told.append(f"{both.relabelled} images have another label in NEW: those of NEW hold")
    if found is None:
        told.append("no image has a label: only the rankings are compared")
    return told
