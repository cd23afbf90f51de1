"""Whether tests raise an alarm, and what that means."""

from collections.abc import Sequence

from xmir_cli.metrics.shortcut import holm
from xmir_cli.scoring.check_rules import CheckRules, has_verdict
from xmir_cli.scoring.shortcut.names import ALARM, NONE, UNDEFINED
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.shortcut import ShortcutRecord

_MEANING = {
    "object": "images of one label are found without what should matter",
    "suspect": "retrieval needs the suspect part more than any other of that size",
    "saliency": "similarity lies in the suspect part of one label for what it shows",
}
_TOO_FEW = "too few patients or images for an alarm, whatever they hold"


def judge(found: Sequence[Record], level: float, least: float) -> list[Record]:
    """The records of all tests with their verdicts.

    An alarm has a p below `level`, corrected for the number of tests, and an effect of `least`.
    Where no ranking nor map could have a p that small, there is no verdict.
    """
    values = [_number(record["p"]) for record in found]
    return [
        _judged(record, p, _is_possible(values, place, record, level), level, least)
        for place, (record, p) in enumerate(zip(found, holm(values), strict=True))
    ]


def _is_possible(values: Sequence[float], place: int, record: Record, level: float) -> bool:
    """Whether the least p at a place, the others being what they are, would be below the level."""
    best = [*values[:place], _number(record["p_least"]), *values[place + 1 :]]
    return holm(best)[place] < level


def _judged(record: Record, p: float, possible: bool, level: float, least: float) -> Record:
    alarm = p < level and _number(record["effect"]) >= least
    verdict = (ALARM if alarm else NONE) if possible else UNDEFINED
    meanings = {ALARM: _MEANING[str(record["test"])], UNDEFINED: _TOO_FEW}
    return {
        **record,
        "p_holm": p,
        "level": level,
        "least_effect": least,
        "verdict": verdict,
        "meaning": meanings.get(verdict),
    }


def explain(record: Record) -> str:
    """What an alarm means, with its numbers, or why there is no verdict; else nothing."""
    if record["verdict"] == NONE:
        return ""
    if record["verdict"] == UNDEFINED:
        lowest, level = _number(record["p_least"]), _number(record["level"])
        return f"undefined: {record['meaning']} (p is at least {lowest:.2g}, level {level:g})"
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
