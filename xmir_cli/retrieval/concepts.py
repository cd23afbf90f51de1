"""Concepts in a query: hits moved towards a direction, and how much of a similarity it holds.

    s = (f_q . v) (f_r . v) + rest

Exact for unit vectors f and v. Chance are the same products along directions of shuffled examples.

Source: Cai et al., Human-centered tools for coping with imperfect algorithms during medical
decision-making, CHI 2019 (refine by concept); Kim et al., TCAV, ICML 2018.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.errors import DataError, SettingError
from xmir_cli.gallery.protocol import Gallery
from xmir_cli.gallery.vectors import Vectors, unit_rows
from xmir_cli.metrics.directions import count_chance
from xmir_cli.retrieval.queries import Pull, Question, Refinement
from xmir_cli.store.concepts import StoredConcept, read_concept
from xmir_cli.wire.records import Record


def open_concept(name: str, gallery: Gallery) -> StoredConcept:
    """The concept in a file; raises DataError unless it is one of the gallery's model."""
    found = read_concept(name)
    if not gallery.model.same_embedding(found.model) or len(found.direction) != gallery.dim:
        raise DataError(
            f"{name}: a concept of another model than {gallery.name}",
            "Fit it again, to examples of this one.",
        )
    return found


def open_pulls(weights: Iterable[tuple[str, float]], gallery: Gallery) -> list[Pull]:
    """The concepts that queries are moved towards; raises DataError as `open_concept`."""
    return [Pull(open_concept(name, gallery), weight) for name, weight in weights]


def pull(query: Question, pulls: Sequence[Pull]) -> Question:
    """The query, or the part of it that asks, plus each direction times its weight, at length 1.

    Raises SettingError when that leaves nothing.
    """
    if not pulls:
        return query
    part = query.contribution
    length = 1.0 if part is None else part.length
    aim = length * query.vector.astype(np.float64) + direction_of(pulls)
    moved, usable = unit_rows(aim[None])
    if not usable[0]:
        raise SettingError("toward", "the query and the concepts cancel each other out")
    if part is not None:
        part = replace(part, length=float(np.linalg.norm(aim)))
        return replace(query, vector=moved[0], pulls=pulls, contribution=part)
    refinement = query.refinement or Refinement((), (), query.vector)
    return replace(query, vector=moved[0], pulls=pulls, refinement=refinement)


def direction_of(pulls: Sequence[Pull]) -> Floats:
    """The sum of the directions, each times its weight [D]."""
    parts = [each.weight * each.concept.direction.astype(np.float64) for each in pulls]
    return np.asarray(np.sum(parts, axis=0))


_KEYS = ("query", "retrieved", "part", "rest", "share", "p")  # behind `concept_` in records


@dataclass(frozen=True, eq=False)
class _Told:
    name: str
    direction: Floats  # [D]
    shuffled: Vectors  # [K, D]


class ConceptShares:
    """What each of some concepts holds of a similarity."""

    def __init__(self, concepts: Sequence[StoredConcept]) -> None:
        names = [each.name for each in concepts]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise SettingError("concepts", "several are called so", "Rename one.", twice)
        self._told = [
            _Told(each.name, each.direction.astype(np.float64), each.read_shuffled())
            for each in concepts
        ]

    def of(self, image: Vectors, hits: Vectors, similarities: Sequence[float]) -> list[Record]:
        """What records tell of a query's image [D] and its hits [n, D], by concept."""
        tables = {each.name: _numbers(each, image, hits, similarities) for each in self._told}
        return [
            {
                f"concept_{key}": {name: rows[place][key] for name, rows in tables.items()}
                for key in _KEYS
            }
            for place in range(len(similarities))
        ]


def open_shares(names: Sequence[str], gallery: Gallery) -> ConceptShares | None:
    """What concepts hold of similarities; None without any; raises DataError as `open_concept`."""
    return ConceptShares([open_concept(name, gallery) for name in names]) if names else None


def _numbers(
    told: _Told, image: Vectors, hits: Vectors, similarities: Sequence[float]
) -> list[dict[str, float | None]]:
    query, retrieved = float(image @ told.direction), hits.astype(np.float64) @ told.direction
    chance = (told.shuffled @ image)[:, None] * (told.shuffled @ hits.T)  # [K, n]
    parts = query * retrieved
    return [
        dict(
            zip(
                _KEYS,
                (
                    query,
                    along,
                    part,
                    similarity - part,
                    part / similarity if similarity > 0 else None,
                    p,
                ),
                strict=True,
            )
        )
        for along, part, similarity, p in zip(
            retrieved.tolist(),
            parts.tolist(),
            similarities,
            count_chance(parts, chance.astype(np.float64)).tolist(),
            strict=True,
        )
    ]
