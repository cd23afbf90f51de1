"""What a scored map becomes: its record, and its curves on disk."""

import hashlib
import json
from pathlib import Path

import numpy as np

from xmir_cli.records import CAUSAL, Record
from xmir_cli.render.curves import draw_curves
from xmir_cli.scoring.pairs import Scored
from xmir_cli.store.arrays import write_array
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.hashes import safe_name

_DIGITS = 7  # what single precision knows of a similarity


def causal_record(scored: Scored) -> Record:
    """The map's record with insertion and deletion added."""
    insertion, deletion = scored.causal.insertion, scored.causal.deletion
    return {
        **scored.task.record,
        "schema": CAUSAL,
        "insertion": round(insertion.auc, _DIGITS),
        "deletion": round(deletion.auc, _DIGITS),
        "steps": len(insertion.similarities) - 1,
        "tied_fraction": round(scored.tied_fraction, _DIGITS),
        "insertion_curve": [round(value, _DIGITS) for value in insertion.similarities.tolist()],
        "deletion_curve": [round(value, _DIGITS) for value in deletion.similarities.tolist()],
        "causal": scored.parameters,
    }


def save_curves(scored: Scored, folder: Path) -> Record:
    """Write NAME.npy [3, T + 1] (fractions, insertion, deletion) and the plot NAME.png.

    The name carries a hash of what made the curves, so that another run writes the same files.
    Returns their paths under the keys `curves` and `curves_plot`.
    """
    task, causal = scored.task, scored.causal
    made_of = json.dumps([task.record, scored.parameters], sort_keys=True)
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:8]
    name = f"{safe_name(Path(task.saliency).stem)}-causal-{digest}"
    array, plot = folder / f"{name}.npy", folder / f"{name}.png"
    rows = [causal.insertion.fractions, causal.insertion.similarities, causal.deletion.similarities]
    write_array(array, np.stack(rows))
    fractions = causal.insertion.fractions.tolist()
    picture = draw_curves(
        f"{task.method}: {Path(task.pair.explained).name}",
        (fractions, causal.insertion.similarities.tolist(), causal.insertion.auc),
        (fractions, causal.deletion.similarities.tolist(), causal.deletion.auc),
    )
    with atomic_file(plot) as file:
        picture.save(file, format="png")
    return {"curves": str(array), "curves_plot": str(plot)}
