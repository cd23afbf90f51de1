"""What a placed map becomes: its record, and its curves on disk."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from xmir_cli.arrays import Booleans, Floats
from xmir_cli.metrics.localization import STEPS
from xmir_cli.render.curves import draw_shares
from xmir_cli.scoring.evaluation import CHANCE
from xmir_cli.scoring.localizer import MapTask, PlacedMap, PlacingRules
from xmir_cli.store.arrays import write_array
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.hashes import safe_name, sha256_file
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import until_stage
from xmir_cli.wire.schemas.causal import CausalRecord
from xmir_cli.wire.schemas.localization import LocalizationRecord

_DIGITS = 7


def located_record(
    task: MapTask, placed: PlacedMap, identities: tuple[str, str], rules: PlacingRules
) -> Record:
    """The map's record with its numbers added, and what its images are."""
    query, retrieved = identities
    numbers: Record = {}
    for name, value in placed.located.numbers.items():
        others = {name: each.numbers for name, each in placed.controls.items()}
        controls = {control: each[name] for control, each in others.items()}
        known = {CHANCE: placed.chance[name]} if name in placed.chance else {}
        gains = {other: value - each for other, each in {**known, **controls}.items()}
        numbers[name] = _rounded(value)
        numbers |= {f"{name}_chance": _rounded(each) for each in known.values()}
        numbers |= {f"{name}_control": _all_rounded(controls)} if controls else {}
        numbers |= {f"{name}_gain": _all_rounded(gains)} if gains else {}
    curves = {name: _points(each.found) for name, each in placed.controls.items()}
    return {
        **until_stage(task.view.record, CausalRecord, LocalizationRecord),
        "schema": LocalizationRecord.NAME,
        **({"query_identity": query} if query else {}),
        "retrieved_identity": retrieved,
        **({} if rules.by is None else {"mask_name": placed.mark.name}),
        "mask_files": list(placed.mark.files),
        "mask_sha256": _hash_mask(placed.mark.mask),
        "mask_area": _rounded(float(placed.seen.mask.mean())),
        "mask_outside": _rounded(placed.seen.outside),
        **numbers,
        "found_curve": _points(placed.located.found),
        **({"found_control_curve": curves} if curves else {}),
        "iou_curve": _points(placed.located.iou),
        "localization": describe(rules),
    }


def describe(rules: PlacingRules) -> Record:
    """How maps are placed, for their records."""
    return {
        "hit_tolerance": rules.tolerance,
        "threshold": rules.threshold,
        "by": rules.by,
        "truth": rules.truth,
        "seed": rules.seed,
    }


def save_located(
    task: MapTask, placed: PlacedMap, folder: Path, identities: tuple[str, str], rules: PlacingRules
) -> Record:
    """Write NAME.npy [3, STEPS + 1] (shares, mask found, overlap) and the plot NAME.png.

    The name carries a hash of what made the curves, so that another run writes the same files.
    Returns their paths under the keys `located` and `located_plot`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    view = task.view
    about = [*identities, view.explains, view.method, sha256_file(Path(task.saliency))]
    mask = _hash_mask(placed.mark.mask)
    made_of = json.dumps([about, placed.mark.name, mask, asdict(rules)], sort_keys=True)
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    name = f"{safe_name(Path(task.saliency).stem)}-{digest}"
    array, plot = folder / f"{name}.npy", folder / f"{name}.png"
    shares = np.linspace(0, 1, STEPS + 1)
    write_array(array, np.stack([shares, placed.located.found, placed.located.iou]))
    title = f"{view.method}: {Path(task.image.name).name}"
    lines = {"map": placed.located.found.tolist()}
    lines |= {each: curves.found.tolist() for each, curves in placed.controls.items()}
    picture = draw_shares(title, lines, placed.located.iou.tolist())
    with atomic_file(plot) as file:
        picture.save(file, format="png")
    return {"located": str(array), "located_plot": str(plot)}


def _hash_mask(mask: Booleans) -> str:
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()


def _points(curve: Floats) -> list[float]:
    return [_rounded(value) for value in curve.tolist()]


def _all_rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: _rounded(value) for name, value in numbers.items()}


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
