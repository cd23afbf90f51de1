"""Records that are scored already: their numbers serve a summary as they are."""

import itertools
from collections.abc import Mapping, Sequence
from typing import cast

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.metrics.protocol import Protocol
from xmir_cli.scoring.causal import CAUSAL
from xmir_cli.scoring.tasks import Task
from xmir_cli.wire.old_settings import renew_protocol
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas.causal import CausalRecord

_CHOICES = ("blur", "blur_padding", "substrate", "order", "ties")
_MOST = 1e6  # of an area under similarities, far above any: such a number can still be summed


def find_scored(task: Task, protocol: Protocol, controls: Sequence[str]) -> Record | None:
    """The record of a task as it came, if it is scored and nothing asked says it another way.

    What the protocol leaves at its default is not asked. Raises ItemError for numbers that are
    none.
    """
    record = task.view.record
    if record.get("schema") != CausalRecord.NAME:
        return None
    view = read_view(CausalRecord, record)
    if view.insertion is None or view.deletion is None or view.causal is None:
        return None
    if not _as_asked(renew_protocol(view.causal), task, protocol):
        return None
    by_control = {
        f"{measure}_{name}": _numbers(record, f"{measure}_{name}")
        for measure in CAUSAL.measures
        for name in ("control", "gain")
    }
    numbers = [
        view.insertion,
        view.deletion,
        *itertools.chain(*(each.values() for each in by_control.values())),
    ]
    if not all(abs(number) <= _MOST for number in numbers):
        raise ItemError(Cause.BAD_RECORD, f"expected areas up to {_MOST:g}")
    known = all(name in found for name in controls for found in by_control.values())
    return record if known else None


def _as_asked(scored: Mapping[str, object], task: Task, protocol: Protocol) -> bool:
    usual = Protocol()
    asked = {name: vars(protocol)[name] for name in _CHOICES}
    wanted = {name: value for name, value in asked.items() if value != vars(usual)[name]}
    if protocol.steps is not None:
        side = task.pair.spec.preprocessing.input_size
        wanted["step"] = protocol.step(side, side)
    return all(scored.get(name) == value for name, value in wanted.items())


def _numbers(record: Record, key: str) -> dict[str, float]:
    found = cast("dict[str, float]", record.get(key) or {})  # the view has read it
    if not all(type(value) in {int, float} for value in found.values()):
        raise ItemError(Cause.BAD_RECORD, f"{key}: expected numbers by control")
    return found
