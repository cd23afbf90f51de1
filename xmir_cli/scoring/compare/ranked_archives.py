"""Two archives as rankings: who is nearest to each image under both models, and the numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xmir_cli.arrays import Booleans, Integers
from xmir_cli.labels import parse_labels, share_label
from xmir_cli.metrics.everybody import Everybody
from xmir_cli.metrics.nearest import Places, nearest
from xmir_cli.metrics.ranking import Measures
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.retrieval import Evaluation, evaluate
from xmir_cli.metrics.scores import Scores
from xmir_cli.scoring.compare.archives import TwoArchives
from xmir_cli.scoring.compare.changes import RankedQueries, SideName, TwoRankings
from xmir_cli.store.cells import to_json
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.store.names import restore_name
from xmir_cli.wire.records import Record

DEPTH = 100  # places of a ranking by which rank-biased overlap goes; those after have 0.003 %
_OWN = {"path", "label", "sha256", "width", "height"}  # columns that a record does not repeat


@dataclass(frozen=True)
class ArchiveRules:
    """Who asks whom."""

    queries: Booleans  # [N] of the images that both have
    searched: Booleans  # [N]
    group: str  # the column of patients
    excluded: bool  # whether images of the query's own group do not count
    cutoffs: Sequence[int]


@dataclass(frozen=True)
class LabelledQueries:
    """The numbers of those queries that have a label, under both models."""

    rows: Integers  # which of the queries they are
    old: Evaluation
    new: Evaluation
    everybody: Everybody  # whoever could have been asked

    def of(self, others: bool) -> dict[SideName, Scores] | None:
        """The numbers with all neighbours, or without those of the query's own group.

        None where no query is in any group.
        """
        if not others:
            return {"old": self.old.scores, "new": self.new.scores}
        if self.old.other_groups is None or self.new.other_groups is None:
            return None
        return {"old": self.old.other_groups, "new": self.new.other_groups}

    def spread(self, count: int, excluded: bool) -> dict[SideName, Scores]:
        """The chosen numbers of all `count` queries, none of those without a label."""
        found: dict[SideName, Scores] = {}
        for side, scores in (("old", self.old), ("new", self.new)):
            chosen = scores.chosen(excluded)
            values = np.full((count, len(chosen.names)), np.nan)
            values[self.rows] = chosen.values
            found["old" if side == "old" else "new"] = replace(chosen, values=values, alone=None)
        return found


def rank_archives(
    both: TwoArchives, rules: ArchiveRules, advance: Callable[[int], None]
) -> RankedQueries:
    """The nearest images of each query under both models."""
    labels, units = both.texts("label"), both.texts("patient")
    asking, searched = np.flatnonzero(rules.queries), np.flatnonzero(rules.searched)
    lists = []
    for images in (both.old, both.new):
        found = nearest(
            _labelled(both, images, asking, rules),
            _labelled(both, images, searched, rules),
            _own(rules),
            Places(DEPTH, rules.excluded),
            advance,
        )
        lists.append([searched[each] for each in found])

    def tell_query(row: int) -> Record:
        return _tell_query(both, row, labels[row], units[row])

    queries = [
        TwoRankings(row, tell_query(row), old, new, units[row] or row)
        for row, old, new in zip(asking.tolist(), *lists, strict=True)
    ]

    def match(query: TwoRankings, item: int, _: SideName) -> bool | None:
        return share_label(labels[query.number], labels[item])

    def tell(query: TwoRankings, item: int, side: SideName) -> Record:
        told = _tell_hit(both, query.number, item, side, labels[item])
        return {**told, "match": match(query, item, side)}

    return RankedQueries(queries, rules.cutoffs, tell, match)


def score_archives(
    both: TwoArchives, rules: ArchiveRules, measures: Measures, advance: Callable[[int], None]
) -> LabelledQueries | None:
    """The numbers of `retrieval-metric` under both models; None where no query has a label.

    Of the images that have none nobody knows what they are relevant to: they are left out.
    """
    labels = both.texts("label")
    known = np.array([bool(parse_labels(label or "")) for label in labels])
    kept = replace(rules, queries=rules.queries & known, searched=rules.searched & known)
    if not kept.queries.any():
        return None
    asking, searched = np.flatnonzero(kept.queries), np.flatnonzero(kept.searched)
    found = []
    for images in (both.old, both.new):
        queries, gallery = (_labelled(both, images, rows, kept) for rows in (asking, searched))
        found.append(evaluate(queries, gallery, _own(kept), measures, advance))
    rows = np.searchsorted(np.flatnonzero(rules.queries), asking)
    every = _labelled(both, both.new, searched, kept)  # all that ask are searched, too
    old, new = found
    return LabelledQueries(rows, old, new, Everybody(every, every, np.arange(len(searched))))


def _own(rules: ArchiveRules) -> Integers:
    """Where each query stands among the searched images, -1 where it does not."""
    places = np.cumsum(rules.searched) - 1
    return np.where(rules.searched, places, -1)[rules.queries]


def _labelled(
    both: TwoArchives, images: Embeddings, rows: Integers, rules: ArchiveRules
) -> LabelledVectors:
    labels, groups = both.texts("label"), both.texts(rules.group)
    return LabelledVectors(
        images.vectors[rows], [labels[row] or "" for row in rows], [groups[row] for row in rows]
    )


def _tell_query(both: TwoArchives, row: int, label: str | None, patient: str | None) -> Record:
    found = both.new.items.slice(row, 1).to_pylist()[0]
    return {
        "query": restore_name(str(found["path"])),
        "query_id": str(found["id"]),
        "query_identity": both.identities[row],
        "query_label": label,
        **({"query_patient": patient} if patient else {}),
    }


def _tell_hit(both: TwoArchives, asks: int, row: int, side: SideName, label: str | None) -> Record:
    images = both.old if side == "old" else both.new
    found, query = (images.items.slice(each, 1).to_pylist()[0] for each in (row, asks))
    wide = [images.vectors[each].astype(np.float64) for each in (asks, row)]
    return {
        "query": restore_name(str(query["path"])),
        "retrieved": restore_name(str(found["path"])),
        "retrieved_identity": both.identities[row],
        "similarity": float(np.clip(wide[0] @ wide[1], -1, 1)),
        "retrieved_label": label,
        "meta": {name: to_json(found[name]) for name in found if name not in _OWN},
    }
