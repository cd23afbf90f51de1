"""What the numbers and the controls are called; imports nothing heavy."""

from collections.abc import Sequence

from xmir_cli.errors import SettingError
from xmir_cli.gates import Gate, parse_gates
from xmir_cli.guesses import hint

MEASURES = ("insertion", "deletion")
AGREEMENTS = ("spearman", "spearman_abs", "ssim")  # of the maps of two networks
CHANGES = ("change", "change_max")  # of maps under noise
THRESHOLDS = {  # of the verdicts by test; on which ground: examples/trust
    "model": 0.5,
    "query": 0.9,
    "repeat": 0.5,
    "reproduce": 0.5,
    "noise": 0.5,
}
TESTS = ("model", "query", "repeat", "noise")  # as they are asked for
RANDOM_MODEL = "random-model"
CONTROLS = ("random", "center", "edges", "uniform", "rollout", RANDOM_MODEL)


def parse_controls(names: str) -> tuple[str, ...]:
    """The controls of a list such as `random,center`; raises SettingError for an unknown one."""
    return _parse_names("control", names, CONTROLS)


def parse_tests(names: str) -> tuple[str, ...]:
    """The tests of a list such as `model,query`; raises SettingError for an unknown one."""
    return _parse_names("test", names, TESTS)


def number_names(controls: Sequence[str]) -> list[str]:
    """Every number of a record, those of controls as `insertion_gain.random`."""
    parts = [f"{part}.{control}" for control in controls for part in ("_control", "_gain")]
    return [f"{measure}{part}" for measure in MEASURES for part in ("", *parts)]


def parse_causal_gates(
    minimum: Sequence[str] | None, maximum: Sequence[str] | None, controls: Sequence[str]
) -> list[Gate]:
    """The gates; raises SettingError for a number that this run does not have."""
    gates = parse_gates(minimum, maximum)
    names = number_names(controls)
    for gate in gates:
        if gate.name not in names:
            raise SettingError(
                gate.setting,
                "no such number",
                _say_control(gate.name) or hint(gate.name, names),
                f"{gate.name}={gate.bound:g}",
            )
    return gates


def _say_control(name: str) -> str | None:
    """How to come by a number of a control, where it is one."""
    control = name.rpartition(".")[2]
    return f"Score it with `control` {control}." if name in number_names(CONTROLS) else None


def _parse_names(setting: str, names: str, known: Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(name for name in names.split(",") if name))
    for name in found:
        if name not in known:
            raise SettingError(
                setting, f"expected some of {', '.join(known)}", hint(name, known), name
            )
    return found
