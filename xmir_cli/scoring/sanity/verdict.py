"""What a test says of a method: its verdict, what a fail means, and what to try then."""

from collections.abc import Sequence

from xmir_cli import console
from xmir_cli.gates import Gate, check
from xmir_cli.render.junit import JunitCase
from xmir_cli.wire.records import Record

PASS, FAIL, UNDEFINED = "pass", "fail", "undefined"

_MEANING = {
    "model": "the same without what the network learned",
    "query": "the same whatever image asks",
    "repeat": "another one after another training",
    "reproduce": "another one by another architecture",
    "noise": "another one after a change that nobody sees",
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
    names = {"model": ("spearman", "spearman_abs"), "noise": ("change_max",)}
    numbers = [found[name] for name in names.get(test, ("spearman",))]
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


def ask_gates(found: Sequence[Record], gates: Sequence[Gate]) -> list[JunitCase]:
    """A case for each gate and record that has a verdict and the gate's number."""
    cases = []
    for record in filter(_is_judged, found):
        for gate in gates:
            if gate.name in record:
                value = record[gate.name]
                numbers = {gate.name: value} if isinstance(value, float) else {}
                failures = [f"{_where(record)}{each}" for each in check([gate], numbers)]
                name = f"{record['test']}: {gate.flag} {gate.name}={gate.bound:g}"
                cases.append(JunitCase(str(record["method"]), name, *failures))
    return cases


def list_verdicts(found: Sequence[Record]) -> list[JunitCase]:
    """A case for each verdict."""
    cases = []
    for record in filter(_is_judged, found):
        name = f"{record['test']}: verdict"
        failure = "" if record["verdict"] == PASS else f"{record['test']}: {explain(record)}"
        cases.append(JunitCase(str(record["method"]), name, failure))
    return cases


def explain(record: Record) -> str:
    """What a verdict that is no pass means."""
    return f"{record['verdict']}: its map is {record['meaning']}"


def advise(found: Sequence[Record]) -> list[str]:
    """What a fail means and what to try, a line each for all methods of which it is the same."""
    told: dict[tuple[str, str], list[str]] = {}
    for record in filter(_is_judged, found):
        if record["verdict"] != PASS:
            key = f"{record['test']}: {explain(record)}", str(record["advice"])
            told.setdefault(key, []).append(str(record["method"]))
    return [f"{', '.join(names)}: {what}. {advice}" for (what, advice), names in told.items()]


def _where(record: Record) -> str:
    """Which test a gate is of, where it is not the one that there always was."""
    return "" if record["test"] == "model" else f"{record['test']}: "


def _is_judged(record: Record) -> bool:
    return record.get("verdict") is not None
