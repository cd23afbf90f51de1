"""The two files of a training run: what is continued, and the finished checkpoint.

Both carry, as JSON in the header, what the run was asked to do and what each epoch gave.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xmir_cli import __version__
from xmir_cli.errors import DataError, ExistsError, ModelError
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.checkpoint import METADATA, read_tensors, read_tensors_header, write_tensors
from xmir_cli.store.turns import is_held
from xmir_cli.store.unfinished import state_path
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.strict import parse_json

if TYPE_CHECKING:
    from torch import Tensor

STATE = "xmir.training/1"
CHECKPOINT = "xmir.checkpoint/1"
OWN = "self"  # where the weights of a checkpoint's network lie: equal runs make equal files
_TRAINING = "xmir.training"


@dataclass(frozen=True)
class Run:
    """What decides a run's result, and its epochs so far; plain data as JSON has it."""

    asked: Record
    epochs: tuple[Record, ...] = ()
    begun: tuple[tuple[float, float, float], ...] = ()  # what each batch of the next epoch gave

    @property
    def wanted(self) -> int:
        """How many epochs were asked for."""
        return cast("int", self.asked["epochs"])

    @property
    def keeps_best(self) -> bool:
        """Whether the weights of the best epoch are kept, not those of the last one."""
        return self.asked.get("keep") == "best"

    @property
    def kept(self) -> int:
        """The number of the epoch whose weights are kept: of equally good ones the first."""
        if not self.keeps_best or not self.epochs:
            return len(self.epochs)
        worths = [_worth(epoch) for epoch in self.epochs]
        return worths.index(max(worths)) + 1

    @property
    def is_over(self) -> bool:
        """Whether its epochs are done, or so many brought nothing better that it gives up."""
        return len(self.epochs) >= self.wanted or self.gave_up

    @property
    def gave_up(self) -> bool:
        """Whether as many epochs as it has patience for came after the best one."""
        patience = cast("int | None", self.asked.get("patience"))
        return patience is not None and len(self.epochs) - self.kept >= patience

    def differences(self, other: "Run") -> list[str]:
        """The names of what the two were asked to do differently.

        How many epochs is left out, unless the size of the steps depends on it.
        """
        names = dict.fromkeys([*self.asked, *other.asked])
        if "schedule" not in names:
            names.pop("epochs", None)
        return [name for name in names if self.asked.get(name) != other.asked.get(name)]


def _worth(epoch: Record) -> float:
    """By what the best epoch is chosen: mAP, without images of the query's patient if known."""
    numbers = (epoch.get(name) for name in ("map_excluding_same_patient", "map"))
    return next((float(each) for each in numbers if isinstance(each, int | float)), -1.0)


def write_state(path: Path, tensors: Mapping[str, "Tensor"], run: Run) -> None:
    """Write the state of an unfinished run in one atomic step."""
    write_tensors(path, tensors, {"xmir.schema": STATE, _TRAINING: _to_json(run)}, sealed=True)


def continue_state(path: Path, run: Run) -> tuple[dict[str, "Tensor"], Run]:
    """The tensors that `write_state` wrote, and `run` with the epochs that are done.

    Raises ModelError for a file of another kind, DataError when that run was asked for something
    else or did more epochs than `run` wants.
    """
    before = read_run(path, STATE)
    if changed := before.differences(run):
        raise DataError(
            f"{path}: interrupted with other {', '.join(changed)}",
            "Repeat its settings to continue it, or start anew with `force`.",
        )
    if len(before.epochs) > run.wanted:
        raise DataError(
            f"{path}: {len(before.epochs)} epochs are done, more than the {run.wanted} of `epochs`"
        )
    return read_tensors(path)[0], Run(run.asked, before.epochs, before.begun)


def check_finished(output: Path, run: Run) -> None:
    """Raise ExistsError unless the checkpoint `output` is what `run` would give."""
    before = read_run(output, CHECKPOINT)
    changed = before.differences(run)
    done = len(before.epochs)
    if (
        done != run.wanted
        and not (done < run.wanted and before.gave_up)
        and "epochs" not in changed
    ):
        changed.append("epochs")
    if changed:
        raise ExistsError(
            f"{output}: exists already, trained with other {', '.join(changed)}",
            "Replace it with `force`.",
        )


def check_output(output: Path, replace_or_resume: bool) -> None:
    """Find out before the work whether its result can and may be written."""
    folder = output.absolute().parent
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    if output.is_dir() or not os.access(folder, os.W_OK):
        raise DataError(f"{output}: cannot be written there")
    refuse_existing(output, force=replace_or_resume)
    if not replace_or_resume and state_path(output).exists() and not is_held(output):
        raise ExistsError(
            f"{state_path(output)}: a run that was interrupted",
            "Continue it with `resume`, or start anew with `force`.",
        )


def write_checkpoint(
    path: Path, tensors: Mapping[str, "Tensor"], spec: ModelSpec, run: Run
) -> None:
    """Write the trained network in one atomic step; `spec` is what loads it again."""
    metadata = {
        "xmir.schema": CHECKPOINT,
        "xmir.version": __version__,
        "xmir.model": json.dumps(spec.to_json()),
        _TRAINING: _to_json(run),
    }
    write_tensors(path, tensors, metadata, sealed=True)


def read_run(path: Path, schema: str) -> Run:
    """The run in a file's header; raises ModelError when the file is not of this schema."""
    metadata = cast("dict[str, str]", read_tensors_header(path).get(METADATA, {}))
    if metadata.get("xmir.schema") != schema:
        found = metadata.get("xmir.schema", "none")
        raise ModelError(f"{path}: expected a file of the schema {schema}, found {found}")
    try:
        data = cast("Mapping[str, Any]", parse_json(metadata[_TRAINING]))
        epochs = tuple(dict(epoch) for epoch in data["epochs"])
        begun = tuple((float(a), float(b), float(c)) for a, b, c in data.get("begun", ()))
        return Run(dict(data["asked"]), epochs, begun)
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{path}: damaged record of the training run") from None


def _to_json(run: Run) -> str:
    more: Record = {"kept": run.kept} if run.keeps_best else {}
    if run.begun:
        more["begun"] = run.begun
    return json.dumps({"asked": run.asked, "epochs": run.epochs, **more}, allow_nan=False)
