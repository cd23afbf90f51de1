"""Which pairs are explained, and what else is asked of the same retrieved images."""

from collections.abc import Sequence

import numpy as np
from job import Job, Record, read, write
from PIL import Image

from xmir_cli.stories import query

KEPT = ("query", "retrieved", "query_label", "retrieved_label", "index", "model")


def choose_pairs(job: Job, count: int) -> list[Record]:
    """Pairs of one label, each retrieved image once, labels in turn.

    Where masks are known, only images that show an opacity are retrieved.
    """
    file = job.folder / "pairs.jsonl"
    if not file.exists():
        write(file, _choose(job, count))
    return read(file)


def _choose(job: Job, count: int) -> list[Record]:
    empty = {row["path"] for row in job.test_images() if row.get("mask") and _is_empty(row["mask"])}
    asked = query.Query(everything=True, index=job.index("trained"), exclude_same="patient", top=20)
    hits: dict[str, list[Record]] = {}
    for hit in query.run(asked):
        if hit["match"] and hit["retrieved"] not in empty:
            hits.setdefault(str(hit["query"]), []).append(hit)
    used: set[object] = set()
    pairs: list[Record] = []
    for name in _in_turn(hits, np.random.default_rng(job.seed)):
        best = next((hit for hit in hits[name] if hit["retrieved"] not in used), None)
        if best is not None and len(pairs) < count:
            used.add(best["retrieved"])
            pairs.append(best)
    return pairs


def _is_empty(mask: str) -> bool:
    with Image.open(mask) as picture:
        return not np.asarray(picture).any()


def _in_turn(hits: dict[str, list[Record]], rng: np.random.Generator) -> list[str]:
    """The queries in a random order in which every label has its turn."""
    counts: dict[object, int] = {}
    turns = {}
    for name in rng.permutation(sorted(hits)).tolist():
        label = hits[name][0]["query_label"]
        turns[name] = counts[label] = counts.get(label, 0) + 1
    return sorted(turns, key=turns.__getitem__)


def ask(job: Job, pairs: Sequence[Record]) -> list[Record]:
    """Each pair as it is, with a query of another label, and under fresh weights."""
    rng = np.random.default_rng((job.seed, 1))
    test = job.test_images()
    plain = [{name: pair[name] for name in KEPT} for pair in pairs]
    others = []
    for pair in plain:
        wrong = [row for row in test if row["label"] != pair["query_label"]]
        row = wrong[rng.integers(len(wrong))]
        others.append(pair | {"query": row["path"], "query_label": row["label"]})
    hits = query.run(query.Query(everything=True, index=job.index("fresh"), top=1))
    first = next(hits)
    fresh = {name: first[name] for name in ("index", "model")}
    return [
        *(pair | {"question": "right"} for pair in plain),
        *(pair | {"question": "wrong query"} for pair in others),
        *(pair | {"question": "reset weights"} | fresh for pair in plain),
    ]
