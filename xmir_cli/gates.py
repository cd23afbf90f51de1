"""Gates: numbers a run must reach, `--min map=0.8` and `--max deletion=0.4`."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from xmir_cli.errors import SettingError, UsageError
from xmir_cli.guesses import find_near, hint

_ENDS = ("_sd", "_low", "_high")  # of numbers that say how sure another one is


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
    def is_limit(self) -> bool:
        """Whether the number must not be larger."""
        return self.flag == "--max"

    @property
    def setting(self) -> str:
        """The setting of a description that it came by."""
        return "maximum" if self.is_limit else "minimum"

    def failure(self, value: float) -> str:
        """What is wrong with a number, in one line; nothing where it keeps the bound, as no NaN."""
        met = value <= self.bound if self.is_limit else value >= self.bound
        return "" if met else f"gate {self.text}: found {value:.6g}"

    def lacking(self, why: str) -> str:
        """That the number could not be had, in one line; of a spread it is known why."""
        spread = self.name.partition(".")[0].endswith(_ENDS) or self.name.endswith(_ENDS)
        why = "it takes two images, of two patients where these are known" if spread else why
        return f"gate {self.text}: {self.name} is null, for {why}"


def limit(name: str, bound: float) -> Gate:
    """The gate of a number that must not be larger."""
    return Gate(name, bound, "--max")


def parse_gates(minimum: Sequence[str] | None, maximum: Sequence[str] | None) -> list[Gate]:
    """The gates of `--min` and `--max`; raises UsageError when one is not NAME=NUMBER."""
    flags = {"--min": minimum or (), "--max": maximum or ()}
    return [_parse(text, flag) for flag, texts in flags.items() for text in texts]


def refuse_unknown(
    gates: Sequence[Gate],
    names: Collection[str],
    advise: Callable[[str], str | None] = lambda _: None,
) -> None:
    """Raise SettingError for a gate of a number that a run does not have.

    `advise` says how to come by a number where there is a way.
    """
    for gate in gates:
        if gate.name not in names:
            told = advise(gate.name) or _say_known(gate.name, names)
            raise SettingError(gate.setting, "no such number", told, f"{gate.name}={gate.bound:g}")


def _say_known(name: str, names: Collection[str]) -> str:
    """The numbers whose names look like this one, else those that are no part of another."""
    whole = [each for each in names if "." not in each and not each.endswith(_ENDS)] or [*names]
    return hint(name, [*names] if find_near(name, names) else whole)


def _parse(text: str, flag: str) -> Gate:
    name, separator, value = text.rpartition("=")
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if not separator or not name or not math.isfinite(bound):
        told = f"`summary` prints the names; {flag} NAME=0.8 bounds one."
        raise UsageError(f"{flag} {text}: expected NAME=NUMBER", told)
    return Gate(name, bound, flag)
