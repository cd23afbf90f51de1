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
MEASURES = ("insertion", "deletion", "insertion_gain", "deletion_gain")


def evaluate(job: Job, pairs: Sequence[Record], methods: Sequence[str]) -> Iterator[Record]:
    """A row a map: its truth, how like the right map it is, insertion and deletion."""
    asked = ask(job, pairs)
    masks = {row["path"]: row["mask"] for row in job.test_images() if row.get("mask")}
    for name in methods:
        file = job.folder / f"{_slug(name)}.jsonl"
        if not file.exists():
            say(f"{job.network}, seed {job.seed}: {name}")
            write(file, _rows(job, name, asked, masks))
        yield from read(file)


def _rows(
    job: Job, name: str, asked: Sequence[Record], masks: Mapping[str, str]
) -> Iterator[Record]:
    """The rows of one method, or one row with the reason why there are none."""
    about: Record = {"network": job.network, "seed": job.seed, "method": name}
    try:
        records = _explain(job, name, asked)
    except XmirError as error:
        yield about | {"refused": str(error)}
        return
    gains = _gains(job.folder / _slug(name), records)
    maps = {_key(record): np.load(str(record["saliency"])) for record in records}
    right = {key[-1]: found for key, found in maps.items() if key[0] == "right"}
    for record in records:
        key, image = _key(record), str(record["retrieved"])
        row = {name: record[name] for name in ("asked", "query_label", "retrieved_label")}
        names = {name: Path(str(record[name])).name for name in ("query", "retrieved")}
        like = spearman(maps[key], right[image]) if image in right else float("nan")
        row |= {"like_right": None if np.isnan(like) else like}
        yield about | row | names | _truth(record, maps[key], masks) | gains.get(key, {})


def _explain(job: Job, name: str, asked: Sequence[Record]) -> list[Record]:
    """The records of `xmir saliency` for a method and all questions."""
    variant, folder = METHODS[name], job.folder / _slug(name)
    folder.mkdir(exist_ok=True)
    write(folder / "asked.jsonl", asked)
    cache = job.folder / "cache" if variant.method in ("occlusion", "rise") else None
    return list(saliency.run(saliency.Saliency(
        records=str(folder / "asked.jsonl"), method=variant.method, settings=variant.settings,
        center=variant.center, output=folder, cache=cache, overlay=False, batch=BATCH,
    )))  # fmt: skip


def _gains(folder: Path, maps: Sequence[Record]) -> dict[tuple[str, ...], Record]:
    """Insertion and deletion of the maps of the right question, and the gains over controls."""
    write(folder / "maps.jsonl", (record for record in maps if record["asked"] == "right"))
    scored = causal_metric.run(causal_metric.CausalMetric(
        records=str(folder / "maps.jsonl"), control=CONTROLS, curve_steps=12, batch=BATCH
    ))  # fmt: skip
    return {_key(record): {name: record[name] for name in MEASURES} for record in scored}


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
    return str(record["asked"]), str(record["query"]), str(record["retrieved"])


def _slug(name: str) -> str:
    """A method's row as the name of a file."""
    return name.replace(", ", "-").replace(" ", "")
