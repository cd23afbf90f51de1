"""Gates: numbers a run must reach, `--min map=0.8` and `--max deletion=0.4`."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xmir_cli.errors import SettingError, UsageError
from xmir_cli.guesses import find_near, hint, suggest


@dataclass(frozen=True)
class Gate:
    """One number and the bound that it must keep; reaching the bound exactly is enough."""

    name: str
    bound: float
    flag: str  # --min | --max

    @property
    def text(self) -> str:
        """As it was asked for."""
        return f"{self.flag} {self.name}={self.bound:g}"

    @property
    def setting(self) -> str:
        """The setting of a description that it came by."""
        return "minimum" if self.flag == "--min" else "maximum"

    def failure(self, numbers: Mapping[str, float]) -> str | None:
        """What is wrong, in one line; a number that is missing or NaN fails."""
        value = numbers.get(self.name)
        if value is None:
            told = f"gate {self.text}: no such number"
            return f"{told}; {_say_known(self.name, numbers)}"
        met = value >= self.bound if self.flag == "--min" else value <= self.bound
        return None if met else f"gate {self.text}: found {value:.6g}"


def parse_gates(minimum: Sequence[str] | None, maximum: Sequence[str] | None) -> list[Gate]:
    """The gates of `--min` and `--max`; raises UsageError when one is not NAME=NUMBER."""
    flags = {"--min": minimum or (), "--max": maximum or ()}
    return [_parse(text, flag) for flag, texts in flags.items() for text in texts]


def refuse_unknown(
    gates: Sequence[Gate],
    names: Sequence[str],
    advise: Callable[[str], str | None] = lambda _: None,
) -> None:
    """Raise SettingError for a gate of a number that a run does not have.

    `advise` says how to come by a number where there is a way.
    """
    for gate in gates:
        if gate.name not in names:
            told = advise(gate.name) or hint(gate.name, names)
            raise SettingError(gate.setting, "no such number", told, f"{gate.name}={gate.bound:g}")


def check(gates: Sequence[Gate], numbers: Mapping[str, float]) -> list[str]:
    """The gates that are not met, one line each, in the order given."""
    failures = (gate.failure(numbers) for gate in gates)
    return [failure for failure in failures if failure is not None]


def _say_known(name: str, numbers: Mapping[str, float]) -> str:
    """The numbers whose names look like this one, else those that are not parts of another."""
    whole = sorted(each for each in numbers if "." not in each) or sorted(numbers)
    return suggest(name, [*numbers] if find_near(name, numbers) else whole)


def _parse(text: str, flag: str) -> Gate:
    name, separator, value = text.rpartition("=")
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if not separator or not name or math.isnan(bound):
        raise UsageError(f"{flag} {text}: expected NAME=NUMBER", f"For example {flag} map=0.8.")
    return Gate(name, bound, flag)
