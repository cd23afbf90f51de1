"""The three tests: what is found without the object, without the suspect, and where it lies.

Each gives `effect`, how far retrieval or maps are beyond what they are compared with, and `p`.
Maguolo and Nanni, A critic evaluation of methods for COVID-19 automatic detection from X-ray
images, Information Fusion 2021, hide the lungs and still classify.
"""

from collections.abc import Sequence

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.labels import LabelSets, share_label
from xmir_cli.metrics.ranking import Measures
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.retrieval import leave_one_out, rounding
from xmir_cli.metrics.scores import Scores
from xmir_cli.metrics.shortcut import (
    Draws,
    find_allowed,
    flip_chance,
    label_chance,
    number_units,
)
from xmir_cli.wire.records import Record

_MEASURES = Measures((1,))


def score(images: LabelledVectors) -> Scores:
    """Leave-one-out retrieval by label, without other images of the query's group."""
    return leave_one_out(images, _MEASURES).chosen(excluded=True)


def without_object(whole: LabelledVectors, left: LabelledVectors, draws: Draws) -> Record:
    """Retrieval by what is left, beside labels permuted."""
    chance = label_chance(left, draws)
    all_shown, found = score(whole).micro(), score(left).micro()
    return {
        "map": found["map"],
        "map_whole": all_shown["map"],
        "map_chance": chance.map,
        "p_at_1": found["p_at_1"],
        "p_at_1_whole": all_shown["p_at_1"],
        "p_at_1_chance": chance.p_at_1,
        "effect": found["map"] - chance.map,
        "p": chance.p,
        "p_least": chance.least,
    }


def without_suspect(
    whole: LabelledVectors,
    hidden: LabelledVectors,
    elsewhere: Sequence[LabelledVectors],
    draws: Draws,
) -> Record:
    """What hiding the suspect changes, beside as much hidden elsewhere.

    The effect is against the place elsewhere whose hiding costs most.
    """
    before = score(whole).values[:, 0]  # [Q] average precision, NaN where nothing is to be found
    known = ~np.isnan(before)
    after = score(hidden).values[known, 0]
    others = np.stack([score(each).values[known, 0] for each in elsewhere])  # [K, Q]
    worst = others[others.mean(axis=1).argmin()]
    drops = before[known].mean() - others.mean(axis=1)
    chance = flip_chance(worst - after, number_units(whole.groups)[known], draws)
    return {
        "map": float(after.mean()),
        "map_whole": float(before[known].mean()),
        "map_drop": float(before[known].mean() - after.mean()),
        "map_drop_elsewhere": float(drops.mean()),
        "map_drop_elsewhere_max": float(drops.max()),
        "changed": count_changed(whole, hidden),
        "changed_elsewhere": float(np.mean([count_changed(whole, each) for each in elsewhere])),
        "elsewhere": len(elsewhere),
        "effect": float((worst - after).mean()),
        "p": chance.p,
        "p_least": chance.least,
    }


def first_hits(images: LabelledVectors) -> Integers:
    """The most similar image of each query [N], of another group; -1 where there is none."""
    similar = _similarities(images)
    return np.where(np.isneginf(similar).all(axis=1), -1, similar.argmax(axis=1))


def count_changed(before: LabelledVectors, after: LabelledVectors) -> float:
    """The share of queries whose first hit is none any more."""
    hits = first_hits(before)
    asked = np.flatnonzero(hits >= 0)
    similar = _similarities(after)[asked]
    kept = similar[np.arange(len(asked)), hits[asked]]
    return float((kept < similar.max(axis=1) - rounding(after.vectors.shape[1])).mean())


def in_suspect(images: LabelledVectors, shares: Floats, hits: Integers, draws: Draws) -> Record:
    """The share of positive saliency in the suspect area by label and by right and wrong.

    Networks have favourite places: maps may have more than the area in a corner that tells
    nothing. So the effect is against the share [2, N] that the area of another image has in the
    same place. It is that of the label where it is largest; p is for all labels.
    """
    own, lent = shares
    known = (hits >= 0) & ~np.isnan(own) & ~np.isnan(lent)
    right = np.array(
        [
            bool(hit >= 0 and share_label(label, images.labels[hit]))
            for label, hit in zip(images.labels, hits, strict=True)
        ]
    )
    sets = LabelSets(images.labels)
    chosen = {name: known & (sets.grade(frozenset([name])) > 0) for name in sets.names}
    chosen = {name: rows for name, rows in chosen.items() if rows.any()}
    parts = np.stack(list(chosen.values()))[:, known]
    beyond = (own - lent)[known]
    effects = parts @ beyond / parts.sum(axis=1)
    chance = flip_chance(beyond, number_units(images.groups)[known], draws, parts)
    return {
        "share": float(own[known].mean()),
        "share_exchanged": float(lent[known].mean()),
        "by_label": {name: _sides(shares, rows, right) for name, rows in chosen.items()},
        "label": list(chosen)[int(effects.argmax())],
        "blank": int((hits >= 0).sum() - known.sum()),
        "effect": float(effects.max()),
        "p": chance.p,
        "p_least": chance.least,
    }


def _sides(shares: Floats, rows: Booleans, right: Booleans) -> Record:
    """The mean shares over images, and over those whose first hit is right or wrong."""
    found: Record = {}
    for name, chosen in (("", rows), ("_right", rows & right), ("_wrong", rows & ~right)):
        own, lent = shares[:, chosen].mean(axis=1) if chosen.any() else (None, None)
        found[f"n{name}"] = int(chosen.sum())
        found[f"share{name}"] = None if own is None else float(own)
        found[f"share_exchanged{name}"] = None if lent is None else float(lent)
    return found


def _similarities(images: LabelledVectors) -> Floats:
    """Of all pairs [N, N], minus infinity where one does not count for the other."""
    wide = images.vectors.astype(np.float64)
    return np.asarray(np.where(find_allowed(images.groups), wide @ wide.T, -np.inf))
