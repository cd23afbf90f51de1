"""What a scored map becomes: its record, and its curves on disk."""

import hashlib
import json
from pathlib import Path

import numpy as np

from xmir_cli.errors import ItemError
from xmir_cli.metrics.causal import Curve
from xmir_cli.render.curves import draw_curves
from xmir_cli.scoring.pairs import Scored
from xmir_cli.scoring.tasks import Task
from xmir_cli.store.arrays import write_array
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.hashes import safe_name, sha256_file
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.causal import CausalRecord

_DIGITS = 7  # what single precision knows of a similarity


def outcome(
    task: Task, scored: Scored | ItemError, identities: tuple[str, str], curves: Path | None
) -> Record | ItemError:
    """The record of a scored map, its curves written to the folder `curves` when there is one."""
    if isinstance(scored, ItemError):
        return scored
    record = causal_record(task, scored, identities)
    if curves is None:
        return record
    return {**record, **save_curves(task, scored, curves, identities)}


def causal_record(task: Task, scored: Scored, identities: tuple[str, str]) -> Record:
    """The map's record with insertion and deletion added, and what its images are."""
    query, retrieved = identities
    insertion, deletion = scored.causal.insertion, scored.causal.deletion
    return {
        **task.record,
        "schema": CausalRecord.NAME,
        **({"query_identity": query} if query else {}),
        "retrieved_identity": retrieved,
        "insertion": _rounded(insertion.auc),
        "deletion": _rounded(deletion.auc),
        **(_controls(scored) if scored.controls else {}),
        **({"same_as": scored.same_as} if scored.same_as else {}),
        "steps": len(insertion.similarities) - 1,
        "tied_fraction": _rounded(scored.tied_fraction),
        "tie_effect": _rounded(scored.tie_effect),
        "insertion_curve": _points(insertion),
        "deletion_curve": _points(deletion),
        "causal": scored.parameters,
    }


def _controls(scored: Scored) -> Record:
    """The controls' numbers by name, and how much better than each the map is."""
    better = 1 if scored.parameters["order"] == "morf" else -1
    insertion = {name: causal.insertion.auc for name, causal in scored.controls.items()}
    deletion = {name: causal.deletion.auc for name, causal in scored.controls.items()}
    own = scored.causal.insertion.auc, scored.causal.deletion.auc
    gains = {
        "insertion_gain": {name: better * (own[0] - auc) for name, auc in insertion.items()},
        "deletion_gain": {name: better * (auc - own[1]) for name, auc in deletion.items()},
    }
    numbers = {"insertion_control": insertion, "deletion_control": deletion, **gains}
    rounded = {
        key: {name: _rounded(value) for name, value in by_control.items()}
        for key, by_control in numbers.items()
    }
    curves = scored.controls.items()
    return {
        **rounded,
        "insertion_control_curve": {name: _points(causal.insertion) for name, causal in curves},
        "deletion_control_curve": {name: _points(causal.deletion) for name, causal in curves},
    }


def _points(curve: Curve) -> list[float]:
    return [_rounded(value) for value in curve.similarities.tolist()]


def _rounded(value: float) -> float:
    return round(value, _DIGITS)


def save_curves(task: Task, scored: Scored, folder: Path, identities: tuple[str, str]) -> Record:
    """Write NAME.npy [3, T + 1] (fractions, insertion, deletion) and the plot NAME.png.

    The name carries a hash of what made the curves, so that another run writes the same files,
    wherever the images and maps lie.
    Returns their paths under the keys `curves` and `curves_plot`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    insertion, deletion = scored.causal.insertion, scored.causal.deletion
    about = [*identities, task.view.explains, task.method, sha256_file(Path(task.saliency))]
    about += [] if task.pair.words is None else [task.pair.words.digest]
    made_of = json.dumps([about, scored.parameters], sort_keys=True)
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    name = f"{safe_name(Path(task.saliency).stem)}-{digest}"
    array, plot = folder / f"{name}.npy", folder / f"{name}.png"
    write_array(
        array, np.stack([insertion.fractions, insertion.similarities, deletion.similarities])
    )
    fractions = insertion.fractions.tolist()
    picture = draw_curves(
        f"{task.method}: {Path(task.pair.explained).name}",
        (fractions, insertion.similarities.tolist(), insertion.auc),
        (fractions, deletion.similarities.tolist(), deletion.auc),
    )
    with atomic_file(plot) as file:
        picture.save(file, format="png")
    return {"curves": str(array), "curves_plot": str(plot)}
