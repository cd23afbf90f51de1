"""How much an answer can be trusted: votes of the nearest, and how far away they are.

Whatever hits are shown, a query is judged by its k nearest items of other patients, as it was
before anything moved it. A sample of the gallery's own items, one a patient, is asked about in the
same way: half of them say how votes are weighed, the other half how large the sets are, and all of
them how far away the nearest usually are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from xmir_cli import console
from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.errors import SettingError
from xmir_cli.gallery.protocol import Columns, Conditions, Gallery, Hits
from xmir_cli.labels import parse_labels
from xmir_cli.metrics.conformal import conformal_bound, label_sets, novelty, own_scores
from xmir_cli.metrics.votes import Ballots, VoteRule, calibration_error, fit_votes, vote
from xmir_cli.retrieval.conditions import allowed_by, check_column
from xmir_cli.retrieval.queries import Question, ask_items
from xmir_cli.wire.records import Record

SAMPLE = 1000  # patients of a gallery that are asked about; a search each
_DRAWN = 8  # items drawn for each of them, at most: of patients with many images, or left out
_BLOCK = 500
_SHOWN = 20  # labels whose probability a record tells
_UNLIKE = 0.99  # the novelty from which on words are said
_PATIENT = "patient"


@dataclass(frozen=True)
class EvidenceRules:
    """What is asked of the nearest items."""

    column: str | None  # whose values they vote for
    novelty: bool
    neighbors: int
    coverage: float
    seed: int = 0


@dataclass(frozen=True, eq=False)
class _Near:
    """The nearest items of some queries."""

    similarities: Floats  # [n, k], NaN where there are fewer
    labels: list[list[object]]  # of each

    @property
    def distances(self) -> Floats:
        """The mean distance of each [n], NaN where there is nothing."""
        found = np.isfinite(self.similarities)
        sums = np.where(found, 1 - self.similarities, 0).sum(axis=1)
        return np.where(found.any(axis=1), sums / np.maximum(found.sum(axis=1), 1), np.nan)


class _Kinds:
    """Numbers sets of labels as they are met."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)  # [L]
        self._numbers: dict[frozenset[str], int] = {}

    def of(self, value: object) -> int:
        """The number of a value's labels, those that are known; -1 for none."""
        known = parse_labels(value) & frozenset(self.names)
        return self._numbers.setdefault(known, len(self._numbers)) if known else -1

    def ballots(self, near: _Near) -> Ballots:
        """The votes of the nearest."""
        kinds = np.full(near.similarities.shape, -1, dtype=np.int64)
        for row, values in zip(kinds, near.labels, strict=True):
            row[: len(values)] = [self.of(value) for value in values]
        return Ballots(near.similarities, kinds)

    @property
    def holds(self) -> Booleans:
        """Which of them has which label [C, L]; at least one row."""
        sets = [*self._numbers, frozenset[str]()]
        return np.array([[name in each for name in self.names] for each in sets], dtype=bool)


@dataclass(frozen=True, eq=False)
class _Votes:
    """How votes are counted, once that is fitted."""

    kinds: _Kinds
    frequencies: Floats  # [L]
    rule: VoteRule
    bound: float
    told: Record

    def probabilities(self, near: _Near) -> Floats:
        """Of each label [n, L]."""
        ballots = self.kinds.ballots(near)
        return vote(ballots, self.kinds.holds, self.frequencies, self.rule)


class Evidence:
    """Judges queries to a gallery; what that takes is asked of it once."""

    def __init__(self, gallery: Gallery, conditions: Conditions, rules: EvidenceRules) -> None:
        """Raise SettingError for a column that the items do not have."""
        if rules.column is not None:
            check_column(gallery.column_names, rules.column, "vote")
        known = (_PATIENT,) if _PATIENT in gallery.column_names else ()
        others = dict.fromkeys((*conditions.not_same, *known))
        self._conditions = replace(
            conditions, not_itself=True, not_same=tuple(others), at_most=None
        )
        self._gallery, self._rules = gallery, rules

    def of(self, asked: Sequence[Question]) -> list[Record]:
        """What the records of each query tell."""
        near = self._nearest([replace(each, vector=each.image) for each in asked])
        told: list[Record] = [{} for _ in asked]
        if self._rules.column is not None:
            for record, more in zip(told, self._voted(near), strict=True):
                record.update(more)
        if self._rules.novelty:
            for record, distance in zip(told, near.distances.tolist(), strict=True):
                record.update(self._novelty(distance))
        return told

    def _voted(self, near: _Near) -> list[Record]:
        votes = self._votes
        probabilities = votes.probabilities(near)
        sets = label_sets(probabilities, votes.bound)
        found: list[Record] = []
        for row, members in zip(probabilities, sets, strict=True):
            order = np.argsort(-row, kind="stable").tolist()
            likely = {votes.kinds.names[place]: float(row[place]) for place in order[:_SHOWN]}
            members_first = [votes.kinds.names[place] for place in order if members[place]]
            found.append({"vote": likely, "vote_set": members_first, "vote_by": votes.told})
        return found

    def _novelty(self, distance: float) -> Record:
        if not np.isfinite(distance):
            return {"novelty": None, "remark": "no image of another patient to compare with"}
        known = self._own.distances[np.isfinite(self._own.distances)]
        if not len(known):
            raise SettingError("novelty", "the index has no two patients to compare")
        found = novelty(distance, known)
        if found < _UNLIKE:
            return {"novelty": found}
        count = int((known < distance).sum())
        return {
            "novelty": found,
            "remark": f"unlike the images of the index: {count} of {len(known)} of its own are "
            f"nearer to their {self._rules.neighbors} nearest of other patients than this one",
        }

    @cached_property
    def _sample(self) -> list[Question]:
        """Items of the gallery that may be found, one a patient, in a seeded order."""
        ids = sorted(str(each) for each in self._gallery.distinct("id").to_pylist())
        order = np.random.default_rng(self._rules.seed).permutation(len(ids))[: SAMPLE * _DRAWN]
        drawn: dict[str, Question] = {}
        for start in range(0, len(order), _BLOCK):
            names = [ids[place] for place in order[start : start + _BLOCK].tolist()]
            keys = [key for key in self._gallery.by_id(names) if key is not None]
            for each in self._allowed([q for part in ask_items(self._gallery, keys) for q in part]):
                patient = each.columns.get(_PATIENT)
                drawn.setdefault(f"p{patient}" if patient else f"i{each.columns['id']}", each)
            if len(drawn) >= SAMPLE:
                break
        found = list(drawn.values())[:SAMPLE]
        if len(order) < len(ids) or len(drawn) > SAMPLE:
            console.note(
                f"the answers are judged by {len(found)} images of as many patients, a sample of "
                f"the {len(ids)} of the index (seed {self._rules.seed})"
            )
        return found

    def _allowed(self, items: list[Question]) -> list[Question]:
        """Those that are as the conditions say that know of no query."""
        if not (self._conditions.where and items):
            return items
        names = [condition.column for condition in self._conditions.where]
        rows = [{name: each.columns.get(name) for name in names} for each in items]
        allowed = allowed_by(pa.Table.from_pylist(rows), self._conditions.where)
        return [each for each, fits in zip(items, allowed.tolist(), strict=True) if fits]

    @cached_property
    def _own(self) -> _Near:
        """The nearest of the sample's items."""
        return self._nearest(self._sample)

    @cached_property
    def _votes(self) -> _Votes:
        column, near = str(self._rules.column), self._own
        own = [parse_labels(each.columns.get(column)) for each in self._sample]
        kinds = _Kinds(sorted(frozenset[str]().union(*own)))
        has = np.array([[name in each for name in kinds.names] for each in own], dtype=bool)
        usable = np.flatnonzero(has.any(axis=1) & np.isfinite(near.distances))
        fitted, held_out = usable[::2], usable[1::2]
        if len(kinds.names) < 2 or not len(held_out):
            raise SettingError("vote", f"the images of the index have no two values of {column}")
        ballots, frequencies = kinds.ballots(near), has[usable].mean(axis=0)
        numbers = np.array([kinds.of(each.columns.get(column)) for each in self._sample])
        holds = kinds.holds
        rule = fit_votes(_take(ballots, fitted), numbers[fitted], holds, frequencies)
        if rule is None:
            raise SettingError("vote", f"no image of the index has a neighbour with a {column}")
        told = vote(_take(ballots, held_out), holds, frequencies, rule)
        bound = conformal_bound(own_scores(told, has[held_out]), self._rules.coverage)
        if not np.isfinite(bound):
            console.warning(
                f"{len(held_out)} images of the index are too few to leave out a label with a "
                f"coverage of {self._rules.coverage:g}: every set has all of them"
            )
        about: Record = {
            "column": column,
            "neighbors": self._rules.neighbors,
            "coverage": self._rules.coverage,
            "temperature": rule.temperature,
            "doubt": rule.doubt,
            "fitted_to": len(fitted),
            "held_out": len(held_out),
            "calibration_error": calibration_error(told, has[held_out]),
            "seed": self._rules.seed,
        }
        return _Votes(kinds, frequencies, rule, bound, about)

    def _nearest(self, asked: Sequence[Question]) -> _Near:
        found: list[Hits] = []
        for start in range(0, len(asked), _BLOCK):
            part = asked[start : start + _BLOCK]
            found += self._gallery.search(part, self._rules.neighbors, self._conditions)
        similarities = np.full((len(asked), self._rules.neighbors), np.nan)
        for row, hits in zip(similarities, found, strict=True):
            row[: len(hits.keys)] = hits.similarities
        return _Near(similarities, self._labels(found))

    def _labels(self, found: Sequence[Hits]) -> list[list[object]]:
        if self._rules.column is None:
            return [[] for _ in found]
        keys = list(dict.fromkeys(key for hits in found for key in hits.keys))
        rows: dict[object, Columns] = {}
        for start in range(0, len(keys), _BLOCK):
            part = keys[start : start + _BLOCK]
            rows.update(zip(part, self._gallery.columns_of(part), strict=True))
        return [[rows[key].get(self._rules.column) for key in hits.keys] for hits in found]


def _take(ballots: Ballots, rows: Integers) -> Ballots:
    return Ballots(ballots.similarities[rows], ballots.kinds[rows])
