"""Whether tests raise an alarm, and what that means."""

from collections.abc import Sequence

from xmir_cli.metrics.shortcut import holm
from xmir_cli.scoring.shortcut.names import ALARM, NONE
from xmir_cli.scoring.tested import CheckRules, has_verdict
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.shortcut import ShortcutRecord

_MEANING = {
    "object": "images of one label are found without what should matter",
    "suspect": "retrieval needs the suspect part more than any other of that size",
    "saliency": "similarity lies in the suspect part of one label for what it shows",
}


def judge(found: Sequence[Record], level: float, least: float) -> list[Record]:
    """The records of all tests with their verdicts.

    An alarm has a p below `level`, corrected for the number of tests, and an effect of `least`.
    """
    corrected = holm([_number(record["p"]) for record in found])
    return [_judged(record, p, level, least) for record, p in zip(found, corrected, strict=True)]


def _judged(record: Record, p: float, level: float, least: float) -> Record:
    alarm = p < level and _number(record["effect"]) >= least
    return {
        **record,
        "p_holm": p,
        "level": level,
        "least_effect": least,
        "verdict": ALARM if alarm else NONE,
        "meaning": _MEANING[str(record["test"])] if alarm else None,
    }


def explain(record: Record) -> str:
    """What an alarm means, with its numbers; nothing where there is none."""
    if record["verdict"] != ALARM:
        return ""
    effect, p = _number(record["effect"]), _number(record["p_holm"])
    return f"alarm: {record['meaning']} (effect {effect:.3f}, p {p:.2g})"


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


RULES = CheckRules(
    command="shortcut",
    schema=ShortcutRecord,
    keys=(
        "part",
        "fill",
        "elsewhere",
        "exclude_same",
        "method",
        "settings",
        "where",
        "draws",
        "seed",
    ),
    settings=(
        "suspect",
        "object_part",
        "fill",
        "elsewhere",
        "exclude_same",
        "where",
        "draws",
        "seed",
    ),
    goodness=lambda record: (
        {} if record.get("effect") is None else {"effect": -_number(record["effect"])}
    ),
    advice="Make the baseline without `per_query`.",
    counted=("images",),
    test="test",
    alike=False,
    explain=explain,
    is_check=has_verdict,
)
