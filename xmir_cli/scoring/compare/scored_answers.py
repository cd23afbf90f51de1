"""The numbers of queries of which hits alone are known."""

from collections.abc import Mapping, Sequence

import numpy as np

from xmir_cli.arrays import Floats, Integers
from xmir_cli.labels import parse_labels
from xmir_cli.metrics.scores import LabelScores, Scores
from xmir_cli.scoring.compare.answer_side import UNKNOWN
from xmir_cli.scoring.compare.changes import SIDES, SideName
from xmir_cli.scoring.compare.ranked_answers import TwoAnswers

_Matches = Mapping[SideName, Sequence[Integers]]  # of each hit of each query, the nearest first


def score_answers(answers: TwoAnswers, cutoffs: Sequence[int]) -> dict[SideName, Scores] | None:
    """What hits alone can tell: p_at_K, mrr and recall_at_K; None where no label is known.

    Of a ranking that ends before K the rest counts as misses, also where nothing was found. Other
    numbers would need the whole archive: how many relevant images there are.
    """
    names = (
        *(f"p_at_{cutoff}" for cutoff in cutoffs),
        "mrr",
        *(f"recall_at_{cutoff}" for cutoff in cutoffs),
    )
    labels = [str(answers.told(each).get("query_label") or "") for each in answers.asked]
    every = {side: [answers.matches(side, each) for each in answers.asked] for side in SIDES}
    values = _score(every, labels, cutoffs)
    if np.isnan(values["new"]).all():
        return None
    alone = _score_alone(answers, labels, cutoffs)
    pairs = np.zeros((len(labels), 2), dtype=np.int64)
    return {side: Scores(names, values[side], labels, pairs, alone.get(side)) for side in SIDES}


def _score_alone(
    answers: TwoAnswers, labels: Sequence[str], cutoffs: Sequence[int]
) -> dict[SideName, LabelScores]:
    """Of queries with several labels; empty where there are none."""
    sets = [sorted(parse_labels(text)) for text in labels]
    pairs = [(row, label) for row, each in enumerate(sets) if len(each) > 1 for label in each]
    if not pairs:
        return {}
    rows, names = np.array([row for row, _ in pairs]), [label for _, label in pairs]
    every = {
        side: [answers.matches(side, answers.asked[row], label) for row, label in pairs]
        for side in SIDES
    }
    values = _score(every, names, cutoffs)
    return {side: LabelScores(rows, names, values[side]) for side in SIDES}


def _score(
    found: _Matches, labels: Sequence[str], cutoffs: Sequence[int]
) -> dict[SideName, Floats]:
    """The numbers [Q, M] of each query; NaN under both where one does not know what is right."""
    values = {side: np.stack([_score_one(each, cutoffs) for each in found[side]]) for side in SIDES}
    both = zip(found["old"], found["new"], labels, strict=True)
    unknown = [not (label or len(old) or len(new)) for old, new, label in both]
    missing = unknown | np.isnan(values["old"][:, 0]) | np.isnan(values["new"][:, 0])
    for each in values.values():
        each[missing] = np.nan
    return values


def _score_one(matches: Integers, cutoffs: Sequence[int]) -> Floats:
    if (matches == UNKNOWN).any():
        return np.full(2 * len(cutoffs) + 1, np.nan)
    first = np.flatnonzero(matches)
    reciprocal = 1 / (first[0] + 1) if len(first) else 0.0
    counts = [matches[:cutoff].sum() for cutoff in cutoffs]
    precisions = [count / cutoff for count, cutoff in zip(counts, cutoffs, strict=True)]
    return np.array([*precisions, reciprocal, *(float(count > 0) for count in counts)])
