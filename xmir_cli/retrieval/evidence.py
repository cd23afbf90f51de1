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
from xmir_cli.errors import SettingError
from xmir_cli.gallery.protocol import Columns, Conditions, Gallery, Hits
from xmir_cli.metrics.conformal import novelty
from xmir_cli.retrieval.conditions import allowed_by, check_column
from xmir_cli.retrieval.queries import Question, ask_items
from xmir_cli.retrieval.voting import NearestItems, Voting
from xmir_cli.wire.records import Record

SAMPLE = 1000  # patients of a gallery that are asked about; a search each
_DRAWN = 8  # items drawn for each of them, at most: of patients with many images, or left out
_BLOCK = 500
_UNLIKE = 0.99  # the novelty from which on words are said
_PATIENT = "patient"


@dataclass(frozen=True)
class EvidenceRules:
    """What is asked of the nearest items."""

    column: str | None  # whose values they vote for
    novelty: bool
    neighbors: int = 10
    coverage: float = 0.9
    seed: int = 0


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
            for record, more in zip(told, self._voting.of(near), strict=True):
                record.update(more)
        for record, distance in zip(told, near.distances.tolist(), strict=True):
            more = self._novelty(distance)
            if not self._rules.novelty:  # what is voted for an image unlike all has words, too
                del more["novelty"]
            record.update(more)
        return told

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
    def _own(self) -> NearestItems:
        """The nearest of the sample's items."""
        return self._nearest(self._sample)

    @cached_property
    def _voting(self) -> Voting:
        column = str(self._rules.column)
        own = [each.columns.get(column) for each in self._sample]
        return Voting(own, self._own, column, self._rules.coverage, self._rules.seed)

    def _nearest(self, asked: Sequence[Question]) -> NearestItems:
        found: list[Hits] = []
        for start in range(0, len(asked), _BLOCK):
            part = asked[start : start + _BLOCK]
            found += self._gallery.search(part, self._rules.neighbors, self._conditions)
        similarities = np.full((len(asked), self._rules.neighbors), np.nan)
        for row, hits in zip(similarities, found, strict=True):
            row[: len(hits.keys)] = hits.similarities
        return NearestItems(similarities, self._labels(found))

    def _labels(self, found: Sequence[Hits]) -> list[list[object]]:
        if self._rules.column is None:
            return [[] for _ in found]
        keys = list(dict.fromkeys(key for hits in found for key in hits.keys))
        rows: dict[object, Columns] = {}
        for start in range(0, len(keys), _BLOCK):
            part = keys[start : start + _BLOCK]
            rows.update(zip(part, self._gallery.columns_of(part), strict=True))
        return [[rows[key].get(self._rules.column) for key in hits.keys] for hits in found]
