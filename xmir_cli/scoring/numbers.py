"""The numbers of a record by their names, dots reaching into objects, as gates and baselines do."""

import math
from collections.abc import Collection, Iterator, Mapping

from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import NUMBER, OBJECT, WHOLE, Shows, keys_of

Numbers = Mapping[str, float | None]  # None: it could not be had


def pick_numbers(record: Mapping[str, object], schema: type[object], deep: bool = True) -> Record:
    """What was found, without how it was made; `deep`: with the objects of numbers in it.

    Keys that the schema does not list, such as p_at_K, are found.
    """
    kinds = (NUMBER, WHOLE, OBJECT) if deep else (NUMBER, WHOLE)
    keys = keys_of(schema)
    made = {name for name, key in keys.items() if key.shows == Shows.MADE or key.kind not in kinds}
    return {
        name: value
        for name, value in record.items()
        if name not in made and (deep or not isinstance(value, Mapping))
    }


def name_numbers(found: Mapping[str, object], prefix: str = "") -> dict[str, float | None]:
    """Every number of it by its dotted name."""
    named: dict[str, float | None] = {}
    for key, value in found.items():
        if isinstance(value, Mapping):
            named |= name_numbers(value, f"{prefix}{key}.")
        elif value is None or _is_number(value):
            named[f"{prefix}{key}"] = None if value is None else number(value)
    return named


def put_number(record: Record, name: str, suffix: str, value: float | None) -> None:
    """Set NUMBER and the suffix; of NUMBER.CONTROL the control's value in an object of that name.

    So all that is told of a number has one form of name: `insertion_gain_low.center`.
    """
    measure, _, control = name.partition(".")
    if not control:
        record[f"{measure}{suffix}"] = value
        return
    inner = record.setdefault(f"{measure}{suffix}", {})
    assert isinstance(inner, dict)
    inner[control] = value


def list_gone(
    before: Mapping[str, object],
    now: Mapping[str, object],
    prefix: str = "",
    outside: Collection[str] = (),
) -> Iterator[str]:
    """The names of numbers that only the first has; of an object that is gone whole, its own.

    What is gone `outside`, at the places around, is not told again of each place in it.
    """
    gone = [
        key
        for key, value in before.items()
        if not (key in now or key in outside) and _holds_number(value)
    ]
    yield from (f"{prefix}{key}" for key in gone)
    for key, value in before.items():
        inner = now.get(key)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            yield from list_gone(value, inner, f"{prefix}{key}.", {*outside, *gone})


def _holds_number(value: object) -> bool:
    return any(each is not None for each in name_numbers({"": value}).values())


def number(value: object) -> float:
    """The number, NaN for everything else."""
    return float(value) if isinstance(value, int | float) and _is_number(value) else math.nan


def _is_number(value: object) -> bool:
    """Whether a value of JSON is one; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
