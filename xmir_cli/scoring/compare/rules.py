"""A comparison as checks; imports nothing heavy."""

import re
from collections.abc import Iterator, Mapping

from xmir_cli.scoring.check_rules import CheckRules
from xmir_cli.scoring.names import name_apart
from xmir_cli.scoring.numbers import name_numbers
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.compare_summary import CompareSummaryRecord

CUTOFFS = (1, 5, 10)  # the Ks where none are named
COLUMNS = ("over", "number", "value", "old", "new", "difference", "low", "high")

_COMPARED = re.compile(
    r"overlap_at_[0-9]+|rbo|spearman|\w+_gain_difference\.[\w-]+"
    r"|((macro|(in|ex)cluding_same_.+)\.)?\w+_difference"
)
_SAID = ("rbo", "right_to_wrong", "wrong_to_right", "spearman")
_MOST = 7  # numbers in a line
_MICRO = "micro"
_MAIN = re.compile(r"map|p_at_[0-9]+|mrr")
_ASIDE = re.compile(r"\w+_(chance|control\.[\w-]+)")
_CHANCE, _DIFFERENCE = "_chance_difference", "_difference"
_FEW = 2  # of these, of each label and the like


def _goodness(record: Record) -> dict[str, float]:
    """What two comparisons with one old model are compared by: more is better.

    A gain over a control is better where it is more, whichever way a map was scored.
    """
    scoring = record.get("scoring")
    first_least = isinstance(scoring, Mapping) and scoring.get("order") == "lerf"
    lower = f"{'insertion' if first_least else 'deletion'}_difference"
    return {
        name: -value if name == lower else value
        for name, value in name_numbers(record).items()
        if value is not None and _COMPARED.fullmatch(name) and not name.endswith(_CHANCE)
    }


def _list_settings(before: Record, now: Record) -> Iterator[str]:
    """Where the maps of a method were made in another way than in the earlier run."""
    for side in ("old", "new"):
        asked = [each.get(f"settings_{side}") for each in (before, now)]
        told = [each for each in asked if isinstance(each, Mapping)]
        if told[1:] and asked[0] != asked[1]:
            was, new = name_apart(told)
            where = f"{was} in {side.upper()}, in this run with {new}"
            yield f"{now.get('method')} was made with {where}"


RULES = CheckRules(
    command="compare",
    schema=CompareSummaryRecord,
    keys=(
        *("protocol", "where", "exclude_same", "sample.queries", "sample.seed", "scoring"),
        *("asked_old", "asked_new"),
        *("model_old.weights_sha256", "model_old.whitening.sha256"),
    ),
    settings=("old", "protocol", "where", "exclude_same", "sample", "seed"),
    goodness=_goodness,
    advice="Make the baseline with `summary`.",
    counted=("compared",),
    subject="method",
    test="variant",
    apart=("mask_name", "settings_new"),
    changeable="settings_new",
    list_settings=_list_settings,
    what="comparisons",
    deep=True,
)


def main_rows(record: Record) -> Iterator[Record]:
    """Those rows that a table for eyes has: what matters first.

    Over all queries the mean average precision, P@K and the mean reciprocal rank; over labels, of
    each label, and with other neighbours average precision and P@K at the first K, where there are
    such numbers. The rest say nearly the same. Of maps it is all but what controls and chance have,
    which hardly go by the model; how much better maps are stands there.
    """
    firsts: dict[str, list[str]] = {}
    for row in rows(record):
        over, number = str(row["over"]), str(row["number"])
        if "difference" not in row:
            yield row
            continue
        main = _ASIDE.fullmatch(number) is None if record.get("method") else _MAIN.fullmatch(number)
        seen = firsts.setdefault(over, [])
        if main and (over == _MICRO or record.get("method") or len(seen) < _FEW):
            seen.append(number)
            yield row


def rows(record: Record) -> Iterator[Record]:
    """The summary as the rows of a table: a number each, with its interval."""
    method = record.get("method")
    yield from _rows(record, str(method or ""))
    for key, part in record.items():
        if not isinstance(part, Mapping):
            continue
        if key == "macro":
            yield from _rows(part, "macro")
        elif key == "labels":
            for label, found in part.items():
                yield from _rows(found, str(label))
        elif key.startswith(("excluding_same_", "including_same_")):
            yield from _rows(part, key.replace("_same_", " same "))


def _rows(part: Mapping[str, object], over: str) -> Iterator[Record]:
    for name, value in part.items():
        if name.endswith(_DIFFERENCE):
            for control in value if isinstance(value, Mapping) else ("",):
                row = _row(part, name.removesuffix(_DIFFERENCE), control)
                yield {"over": over or _MICRO, **row}
        elif f"{name}_low" in part or name in {"right_to_wrong", "wrong_to_right"}:
            ends = {end: part.get(f"{name}_{end}") for end in ("low", "high")}
            yield {"over": over, "number": name, "value": value, **ends}


def _row(part: Mapping[str, object], number: str, control: str) -> Record:
    """A number under both models, of a control where one is named."""
    suffixes = {"old": "_old", "new": "_new", "difference": _DIFFERENCE}
    suffixes |= {end: f"{_DIFFERENCE}_{end}" for end in ("low", "high")}
    values = {name: part.get(f"{number}{suffix}") for name, suffix in suffixes.items()}
    if control:
        values = {
            name: each.get(control) if isinstance(each, Mapping) else None
            for name, each in values.items()
        }
    return {"number": f"{number}.{control}" if control else number, **values}


def say(summary: Record) -> str:
    """The numbers over all in a line."""
    told = [str(summary["method"])] if summary.get("method") else []
    for name, value in summary.items():
        low, high = (summary.get(f"{name}_{end}") for end in ("low", "high"))
        number = name.removesuffix(_DIFFERENCE)
        if number != name:
            if name.endswith(_CHANCE) or isinstance(value, Mapping):  # of controls
                continue
            old, new = (_digits(summary[f"{number}_{side}"]) for side in ("old", "new"))
            told.append(f"{number} {old} -> {new} ({_digits(value)}{_ends(low, high)})")
        elif (name.startswith("overlap_at_") and f"{name}_low" in summary) or name in _SAID:
            told.append(f"{name} {_digits(value)}{_ends(low, high)}")
    return ", ".join(told[:_MOST])


def _digits(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"


def _ends(low: object, high: object) -> str:
    return "" if low is None else f" [{_digits(low)}, {_digits(high)}]"
