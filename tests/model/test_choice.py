"""Which network a command means is told by all of its flags that say something of one."""

from dataclasses import fields
from importlib import import_module

import pytest

from xmir_cli.main import COMMANDS
from xmir_cli.model.choice import ModelChoice

DESCRIPTIONS = {
    name: vars(import_module(f"xmir_cli.commands.{name.replace('-', '_')}"))[
        name.title().replace("-", "")
    ]
    for name in COMMANDS
}


@pytest.mark.parametrize(
    "name", [name for name, kind in DESCRIPTIONS.items() if hasattr(kind, "choice")]
)
def test_no_flag_of_a_network_is_left_out(name):
    asked = object.__new__(DESCRIPTIONS[name])  # whatever would be refused together
    flags = {field.name for field in fields(asked)}
    for flag in flags:
        object.__setattr__(asked, flag, f"what {flag} says")
    parts = {field.name for field in fields(ModelChoice)} & flags
    assert {"architecture"} <= parts
    assert asked.choice == ModelChoice(**{part: f"what {part} says" for part in parts})
