"""A flag for every setting of every saliency method, made from the methods' own source."""

import functools
import inspect
from collections.abc import Collection, Mapping
from typing import Annotated

import typer

from xmir_cli.errors import MethodError
from xmir_cli.flags import METHODS, Command, flag_of, spell_flag
from xmir_cli.saliency import catalogue
from xmir_cli.saliency.source import MethodEntry, Setting
from xmir_cli.values import spell_value


def method_settings(command: Command) -> Command:
    """Give a command one flag a setting; those that were typed reach it as `settings`.

    Settings of one name share a flag, whose help names the methods. The command's own parameter
    `settings` is a mapping from names to texts for `load_methods`.
    """
    owners = _owners(catalogue())
    signature = inspect.signature(command, eval_str=True)
    own = [each for name, each in signature.parameters.items() if name != "settings"]
    _refuse_shared(set(map(flag_of, own)))

    @functools.wraps(command)
    def run(**values: object) -> int:
        typed = {name: values.pop(f"{METHODS}{name}", None) for name in owners}
        settings = {name: spell_value(value) for name, value in typed.items() if value is not None}
        return command(**values, settings=settings)

    parameters = [*own, *(_parameter(name, of) for name, of in owners.items())]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # read by inspect
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _refuse_shared(flags: Collection[str]) -> None:
    """Raise MethodError when a method's setting has the name of one of the command's flags."""
    for entry in catalogue().values():
        for setting in entry.settings:
            if (flag := spell_flag(setting.name)) in flags:
                where = f"{entry.path}: line {setting.line}"
                raise MethodError(f"{where}: {setting.name}: the command has a flag {flag} already")


def _owners(entries: Mapping[str, MethodEntry]) -> dict[str, list[tuple[str, Setting]]]:
    owners: dict[str, list[tuple[str, Setting]]] = {}
    for entry in entries.values():
        for setting in entry.settings:
            owners.setdefault(setting.name, []).append((entry.name, setting))
    return owners


def _parameter(name: str, owners: list[tuple[str, Setting]]) -> inspect.Parameter:
    setting, flag = owners[0][1], spell_flag(name)
    text = "; ".join(f"{method}: {own.help} [{_default(own)}]" for method, own in owners)
    if setting.kind == "bool":
        kind: object = bool | None
        option = typer.Option(f"{flag}/--no-{flag[2:]}", help=text)
    else:
        kind = str | None
        option = typer.Option(flag, metavar=_metavar(setting), help=text)
    return inspect.Parameter(
        f"{METHODS}{name}",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, option],
    )


def _metavar(setting: Setting) -> str:
    names = {"int": "N", "float": "X", "str": "TEXT", "choice": "|".join(setting.choices)}
    return names[setting.kind]


def _default(setting: Setting) -> str:
    if isinstance(setting.default, bool):
        return "on" if setting.default else "off"
    return str(setting.default)
