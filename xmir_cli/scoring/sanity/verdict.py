"""What a test says of a method: its verdict, what a fail means, and what to try then."""

import math
from collections.abc import Sequence

from xmir_cli import console
from xmir_cli.scoring.check_rules import CheckRules, has_verdict
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.sanity import SanityRecord

PASS, FAIL, UNDEFINED = "pass", "fail", "undefined"

_JUDGED_BY = {"model": ("spearman", "spearman_abs"), "noise": ("change_max",)}
_MEANING = {
    "model": "the same without what the network learned",
    "query": "the same whatever image asks",
    "repeat": "another one after another training",
    "reproduce": "another one by another architecture",
    "noise": "another one after noise of that size",
    UNDEFINED: "constant: it has no order to compare",
}
_ADVICE = {
    "model": "It shows the picture, such as its edges or its middle: use occlusion, or take off "
    "what all images share with `center` (activation, bilrp); `mode` cascading says from which "
    "block on a map depends on the weights.",
    "query": "It says nothing about the pair: take off what all images share with `center` "
    "(activation, bilrp), or use occlusion.",
    "repeat": "Rest nothing on the map of one training: look for what the maps of several share, "
    "or use a method with larger cells or windows.",
    "reproduce": "Rest nothing on the map of one architecture: look for what the maps of several "
    "share, or use a method with larger cells or windows.",
    "noise": "Its detail is not to be read: use a method with larger cells or windows, or more "
    "masks or steps.",
    UNDEFINED: "Use a method whose map tells one place from another.",
}


def judge(test: str, found: Record, threshold: float) -> Record:
    """The verdict on what a test found, its threshold, and of no pass its meaning and advice.

    `model` passes up to the threshold in the size of both rank correlations, `query` in the signed
    one, for a map whose sign turns has changed, `noise` in the largest change; `repeat` and
    `reproduce` from the threshold on.
    """
    numbers = [found[name] for name in _JUDGED_BY.get(test, ("spearman",))]
    known = [each for each in numbers if isinstance(each, float)]
    if len(known) < len(numbers):
        verdict = UNDEFINED
    elif test in {"repeat", "reproduce"}:
        verdict = PASS if known[0] >= threshold else FAIL
    else:
        most = known[0] if test == "query" else max(map(abs, known))
        verdict = PASS if most <= threshold else FAIL
    about = UNDEFINED if verdict == UNDEFINED else test
    bad = verdict != PASS
    return {
        "verdict": verdict,
        "threshold": threshold,
        "meaning": _MEANING[about] if bad else None,
        "advice": console.in_words(_ADVICE[about]) if bad else None,
    }


def not_judged(threshold: float) -> Record:
    """The same keys of what has no verdict."""
    return {"verdict": None, "threshold": threshold, "meaning": None, "advice": None}


def explain(record: Record) -> str:
    """What a verdict that is no pass means; nothing of one."""
    if record["verdict"] == PASS:
        return ""
    return f"{record['verdict']}: its map is {record['meaning']}"


def advise(found: Sequence[Record]) -> list[str]:
    """What a fail means and what to try, a line each for all methods of which it is the same."""
    told: dict[tuple[str, str], list[str]] = {}
    for record in filter(has_verdict, found):
        if record["verdict"] != PASS:
            key = f"{record['test']}: {explain(record)}", str(record["advice"])
            told.setdefault(key, []).append(str(record["method"]))
    return [f"{', '.join(names)}: {what}. {advice}" for (what, advice), names in told.items()]


def _goodness(record: Record) -> dict[str, float]:
    """What a verdict goes by, more being better; a map without an order is the worst."""
    test = str(record["test"])
    values = {
        name: float(value) if isinstance(value := record.get(name), int | float) else math.nan
        for name in _JUDGED_BY.get(test, ("spearman",))
    }
    if test not in {"repeat", "reproduce"}:
        values = {
            name: -(value if test == "query" else abs(value)) for name, value in values.items()
        }
    return {name: -math.inf if math.isnan(value) else value for name, value in values.items()}


RULES = CheckRules(
    command="sanity-check",
    schema=SanityRecord,
    subject="method",
    keys=(
        *("mode", "noise", "draws", "seeds", "seed_numbers", "other_query", "settings"),
        "against.weights_sha256",
    ),
    settings=("mode", "noise", "draws", "seeds", "center", "against"),
    goodness=_goodness,
    advice="Make the baseline without `per_query`.",
    counted=("n",),
    test="test",
    alike=False,
    explain=explain,
    is_check=has_verdict,
)
