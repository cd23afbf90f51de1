"""The maps of a method for all questions, and what they are worth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from job import Job, Record, read, say, write
from methods import METHODS
from PIL import Image
from questions import ask
from truth import score

from xmir_cli.errors import XmirError
from xmir_cli.metrics.sanity import spearman
from xmir_cli.stories import causal_metric, saliency

CONTROLS = "random,center"
BATCH = 64  # images in one pass


def evaluate(job: Job, pairs: Sequence[Record], methods: Sequence[str]) -> list[Record]:
    """A row a map: its truth, how like the right map it is, insertion and deletion."""
    asked = ask(job, pairs)
    masks = {row["path"]: row["mask"] for row in job.test_images() if row.get("mask")}
    for name in methods:
        if not _file(job, name).exists():
            say(f"{job.network}, seed {job.seed}: {name}")
            write(_file(job, name), _rows(job, name, asked, masks))
    _score(job, methods)
    return [row for name in methods for row in read(_file(job, name))]


def _rows(
    job: Job, name: str, asked: Sequence[Record], masks: Mapping[str, str]
) -> Iterator[Record]:
    """The rows of one method, or one row with the reason why there are none."""
    about: Record = {"network": job.network, "seed": job.seed, "variant": name}
    try:
        records = _explain(job, name, asked)
    except XmirError as error:
        yield about | {"refused": str(error)}
        return
    maps = {_key(record): np.load(str(record["saliency"])) for record in records}
    right = {key[-1]: found for key, found in maps.items() if key[0] == "right"}
    for record in records:
        key, image = _key(record), str(record["retrieved"])
        like = spearman(maps[key], right[image]) if image in right else float("nan")
        own = about | {"like_right": None if np.isnan(like) else like}
        yield record | own | _truth(record, maps[key], masks)


def _explain(job: Job, name: str, asked: Sequence[Record]) -> list[Record]:
    """The records of `xmir saliency` for a method and all questions."""
    variant, folder = METHODS[name], _file(job, name).with_suffix("")
    folder.mkdir(exist_ok=True)
    write(folder / "asked.jsonl", asked)
    cache = job.folder / "cache" if variant.method in ("occlusion", "rise") else None
    return list(saliency.run(saliency.Saliency(
        records=str(folder / "asked.jsonl"), method=variant.method, settings=variant.settings,
        center=variant.center, output=folder, cache=cache, overlay=False, batch=BATCH,
    )))  # fmt: skip


def _score(job: Job, methods: Sequence[str]) -> None:
    """Add insertion and deletion, and the gains over controls, to rows of the right question.

    The maps of a pair are scored one after another, so that its controls are scored once.
    """
    left = [row for name in methods for row in read(_file(job, name)) if _is_unscored(row)]
    if not left:
        return
    say(f"{job.network}, seed {job.seed}: insertion and deletion")
    file = job.folder / "unscored.jsonl"
    write(file, sorted(left, key=_key))
    scored = causal_metric.run(causal_metric.CausalMetric(
        records=str(file), control=CONTROLS, curve_steps=12, batch=BATCH
    ))  # fmt: skip
    found = {record["saliency"]: record for record in scored}
    for name in {str(row["variant"]) for row in left}:
        rows = read(_file(job, name))
        write(_file(job, name), [found.get(row.get("saliency"), row) for row in rows])


def _is_unscored(row: Record) -> bool:
    return row.get("question") == "right" and "insertion" not in row


def _truth(record: Record, found: np.ndarray, masks: Mapping[str, str]) -> Record:
    """Peak, energy and AUROC where the mask of the retrieved image is known."""
    file = masks.get(str(record["retrieved"]))
    if file is None:
        return {}
    with Image.open(file) as picture:
        mask = _seen(np.asarray(picture) > 0, record["roi"], found.shape)
    return {"area": float(mask.mean()), **asdict(score(found, mask))}


def _seen(mask: np.ndarray, roi: object, shape: tuple[int, ...]) -> np.ndarray:
    """The mask [H, W] of a picture where the pixels of a map lie, which covers `roi` of it."""
    left, top, width, height = roi  # type: ignore[misc] # four numbers
    rows = top + (np.arange(shape[0]) + 0.5) / shape[0] * height
    columns = left + (np.arange(shape[1]) + 0.5) / shape[1] * width
    return mask[np.ix_(rows.astype(int), columns.astype(int))]


def _key(record: Record) -> tuple[str, ...]:
    """What tells the maps of a method apart."""
    return str(record["question"]), str(record["query"]), str(record["retrieved"])


def _file(job: Job, name: str) -> Path:
    """The rows of a method."""
    return job.folder / f"{name.replace(', ', '-').replace(' ', '')}.jsonl"
