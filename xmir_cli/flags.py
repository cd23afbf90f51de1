"""How the command line spells the names of settings."""

import inspect
from collections.abc import Callable

from typer.models import ParameterInfo

Command = Callable[..., int]

METHODS = "setting_"  # before the parameters of methods, whose names a command may have for its own


def flags_of(command: Command) -> dict[str, str]:
    """How the command line spells a setting: `--learning-rate` for `learning_rate`.

    The name of a method's setting means that one, not a parameter of the command.
    """
    parameters = inspect.signature(command).parameters.values()
    return {each.name.removeprefix(METHODS): flag_of(each) for each in parameters}


def flag_of(parameter: inspect.Parameter) -> str:
    """The flag of a command's parameter, or the word for an argument."""
    for info in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(info, ParameterInfo):
            # typer keeps the first spelling where a default would stand without Annotated
            spelled = [str(each) for each in (info.default, *(info.param_decls or ()))]
            flags = [each.partition("/")[0] for each in spelled if each.startswith("--")]
            return flags[0] if flags else str(info.metavar)
    return spell_flag(parameter.name)


def spell_flag(name: str) -> str:
    """How a setting is spelled that says nothing else."""
    return f"--{name.replace('_', '-')}"
