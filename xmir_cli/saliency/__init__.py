"""Saliency methods: the folder methods/ is the registry, one file a method.

The catalogue is read from the source text, so that help and argument errors need no torch.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from xmir_cli.errors import SettingError
from xmir_cli.guesses import near_hint
from xmir_cli.saliency.source import MethodEntry, Setting, Value, read_entry, refuse_two_kinds
from xmir_cli.wire.old_settings import find_new_name

if TYPE_CHECKING:
    from xmir_cli.saliency.sample import Method

_FOLDER = Path(__file__).parent / "methods"
AUTO = "auto"  # in the place of a method: the first of those below with the settings that are typed
_USUAL = ("activation", "occlusion")  # why: examples/trust

_LARGEST = 2**63  # beyond whole numbers that torch takes


def method_names() -> list[str]:
    """The methods there are, in alphabetical order."""
    return sorted(path.stem.replace("_", "-") for path in _FOLDER.glob("[a-z]*.py"))


@cache
def catalogue() -> Mapping[str, MethodEntry]:
    """What every method is called, does and can be set to; imports none of them.

    Raises MethodError for a file that does not say it, naming the line.
    """
    entries = {name: read_entry(name, _FOLDER / f"{_stem(name)}.py") for name in method_names()}
    refuse_two_kinds(list(entries.values()))
    return entries


def feature_methods() -> list[str]:
    """The methods that need an image's last feature map alone."""
    return [entry.name for entry in catalogue().values() if entry.from_features]


def place_methods() -> list[str]:
    """Those of them that need more than that map of a transformer."""
    return [entry.name for entry in catalogue().values() if entry.of_places]


def exact_methods() -> list[str]:
    """The methods whose maps share out a similarity, so that they do it for a centred one, too."""
    return [entry.name for entry in catalogue().values() if entry.exact]


def refuse_inexact(names: Iterable[str]) -> None:
    """Raise SettingError for a method that has no map of the centred similarity."""
    for name in names:
        if not catalogue()[name].exact:
            raise SettingError(
                "center",
                f"the map of {name} does not share out a similarity",
                f"Use `method` {' or '.join(exact_methods())}.",
            )


def load_methods(names: str, settings: Mapping[str, str]) -> "dict[str, Method]":
    """The methods of a list such as `occlusion,activation`, each with the settings that it has.

    Raises SettingError as `choose_methods`, and for a value that a method refuses.
    """
    values = choose_methods(names, settings)  # before torch loads
    return {name: _build(name, values[name]) for name in values}


def choose_methods(names: str, settings: Mapping[str, str]) -> dict[str, dict[str, Value]]:
    """The methods of a list such as `occlusion,activation` and what is set of each, as values.

    `auto` is activation, or occlusion where a setting is one of it alone.

    Imports none of them. Raises SettingError for an unknown name, for a setting that none of them
    has, and for a text that is no value of a setting.
    """
    names = _usual(settings) if names == AUTO else names
    chosen = list(dict.fromkeys(name for name in names.split(",") if name))
    if not chosen:
        raise SettingError("method", "no method named", _known())
    for name, (given, text) in product(chosen, settings.items()):
        if (new := find_new_name(name, given, text)) is not None:
            raise SettingError(given, f"of {name} it is `{new}` now")
    taken = {setting.name for name in chosen for setting in _find(name).settings}
    for name in settings:
        if name not in taken:
            raise SettingError(name, f"not a setting of {', '.join(chosen)}", _owners(name))
    return {name: _values(name, _of(name, settings)) for name in chosen}


def load_method(name: str, settings: Mapping[str, str]) -> "Method":
    """The method `name`; `settings` are texts as typed, the others keep their defaults."""
    return _build(name, _values(name, settings))


def _values(name: str, settings: Mapping[str, str]) -> dict[str, Value]:
    known = {setting.name: setting for setting in _find(name).settings}
    for given in settings:
        if given not in known:
            allowed = ", ".join(known) or "none"
            raise SettingError(given, f"not a setting of {name}", f"Its settings: {allowed}.")
    return {given: parse(known[given], text) for given, text in settings.items()}


def _build(name: str, values: Mapping[str, Value]) -> "Method":
    module = importlib.import_module(f"xmir_cli.saliency.methods.{_stem(name)}")
    method: Method = module.Method(**values)
    return method


def parse(setting: Setting, text: str) -> Value:
    """The value that `text` stands for; raises SettingError naming what is allowed."""
    if setting.kind == "choice":
        if text not in setting.choices:
            raise _unfit(setting, " or ".join(setting.choices), text, setting.choices)
        return text
    if setting.kind == "bool":
        if text not in {"true", "false"}:
            raise _unfit(setting, "true or false", text)
        return text == "true"
    return _number(setting, text) if setting.kind in {"int", "float"} else text


def _number(setting: Setting, text: str) -> int | float:
    expected = "a whole number" if setting.kind == "int" else "a number"
    try:
        number = int(text) if setting.kind == "int" else float(text)
        if isinstance(number, float) or abs(number) < _LARGEST:
            return number
        expected = f"{expected} below {_LARGEST}"
        raise ValueError
    except ValueError:
        raise _unfit(setting, expected, text) from None


def _unfit(setting: Setting, expected: str, found: str, near: Sequence[str] = ()) -> SettingError:
    message = f"expected {expected}, found {found}"
    return SettingError(setting.name, message, near_hint(found, near))


def _find(name: str) -> MethodEntry:
    if name not in catalogue():
        near = near_hint(name, method_names())
        raise SettingError("method", f"{name}: no such saliency method", near or _known())
    return catalogue()[name]


def _of(name: str, settings: Mapping[str, str]) -> dict[str, str]:
    own = {setting.name for setting in _find(name).settings}
    return {given: text for given, text in settings.items() if given in own}


def _usual(settings: Mapping[str, str]) -> str:
    fitting = (
        name
        for name in _USUAL
        if settings.keys() <= {setting.name for setting in catalogue()[name].settings}
    )
    return next(fitting, _USUAL[0])


def _known() -> str:
    return f"Methods: {', '.join(method_names())}."


def _owners(setting: str) -> str:
    owners = [
        entry.name
        for entry in catalogue().values()
        if any(own.name == setting for own in entry.settings)
    ]
    return f"It is one of {', '.join(owners)}."


def _stem(name: str) -> str:
    """The file of a method: its name in the flags has hyphens, a module's underscores."""
    return name.replace("-", "_")
