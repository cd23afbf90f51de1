"""Methods that a network or a target refuses, beside others that go on."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.console import Skips
from xmir_cli.errors import ModelError, SettingError

M = TypeVar("M")
F = TypeVar("F")


class Refusals:
    """What was left out since methods were refused, and what was said of it."""

    def __init__(self) -> None:
        self._left_out = 0
        self._told: dict[str, object] = {}

    def try_all(self, methods: Mapping[str, M], work: Callable[[str, M], F]) -> dict[str, F]:
        """What `work` gives for those methods that are not refused; each refusal is said once.

        Raises the first one's ModelError or SettingError where there is no other.
        """
        made: dict[str, F] = {}
        refused: dict[str, ModelError | SettingError] = {}
        for name, method in methods.items():
            try:
                made[name] = work(name, method)
            except (ModelError, SettingError) as error:
                if isinstance(error, SettingError) and error.name != "method":
                    raise  # a value of a setting, not the method
                refused[name] = error
        if not made:
            raise next(iter(refused.values()))
        for name, refusal in refused.items():
            self._tell(name, refusal)
        return made

    def _tell(self, name: str, error: ModelError | SettingError) -> None:
        self._left_out += 1
        reason = error.message if isinstance(error, SettingError) else f"{error}"
        mine = object()
        if self._told.setdefault(f"{name}: {reason}", mine) is mine:  # threads meet here
            console.warning(console.in_words(f"{name} is left out: {reason}"))

    def count(self, skips: Skips) -> None:
        """Add what was left out to what was skipped."""
        skips.count(Cause.REFUSED, self._left_out)
