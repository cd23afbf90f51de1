"""The figure of a training run: what its epochs gave so far."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from xmir_cli import console
from xmir_cli.console import escape
from xmir_cli.errors import DataError
from xmir_cli.render.history import draw_history
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.runs import Run
from xmir_cli.wire.records import Record


def write_history(path: Path, run: Run) -> None:
    """Draw the epochs of a run into a PNG or SVG file, in one atomic step.

    Equal epochs of equal runs give equal files. Raises OSError, and DataError for what is no file.
    """
    network = str(cast("Record", run.asked["start"])["architecture"])
    if Path(network).is_absolute():  # a file of one's own, or a folder
        network = Path(network).name
    title = f"Training of {escape(network)}: "
    title += f"{len(run.epochs)} of {run.wanted} epoch{'' if run.wanted == 1 else 's'}"
    kept = run.kept if run.keeps_best else None
    title += "" if kept is None else f", epoch {kept} kept (dashed)"
    drawing = draw_history(title, _describe(run.asked), run.epochs, run.wanted, kept)
    with atomic_file(path) as file:
        file.write(drawing.encode(path.suffix.lower()))


def redraw_history(path: Path | None, run: Run) -> None:
    """The same while the run goes on, where a path is given: it is not ended by a full disk."""
    if path is None:
        return
    try:
        write_history(path, run)
    except (DataError, OSError) as error:
        reason = error.strerror or "input/output error" if isinstance(error, OSError) else error
        console.warning(f"{path}: not drawn, the run goes on: {str(reason).lower()}")


def _describe(asked: Record) -> str:
    """How a run was asked for, in a line."""
    classes = cast("Mapping[str, int]", asked["classes"])
    drawn = asked["classes_per_batch"] or len(classes)
    parts = [
        f"{sum(classes.values())} images of {len(classes)} classes",
        f"batches of {drawn} classes x {asked['per_class']} images",
        f"learning rate {asked['learning_rate']:g}" + (", cosine" if "schedule" in asked else ""),
        f"loss {asked['loss']}" if "loss" in asked else f"margin {asked['margin']:g}",
        "all images in an epoch" if asked.get("sampler") == "all" else "",
        f"attention loss x {asked['attention_loss']:g}" if asked.get("attention_loss") else "",
        f"seed {asked['seed']}",
    ]
    return ", ".join(filter(None, parts))
