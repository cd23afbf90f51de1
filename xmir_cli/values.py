"""The values of a description, checked and converted as its annotations say.

On the command line typer does this too; from Python nothing else does.
"""

import math
import re
import reprlib
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path, PurePath
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Literal, Union, cast, get_args, get_origin

from typer.models import ParameterInfo

from xmir_cli.errors import SettingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ON_SERVER = "An index may lie on a server, and 'xmir index EMBEDDINGS -o URL' puts it there."
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(?=[^/])")
_DASH = Path("-")
_KINDS: dict[object, tuple[str, tuple[type, ...]]] = {  # what it is called, what is taken for it
    bool: ("True or False", (bool,)),
    int: ("a whole number", (Integral,)),
    float: ("a number", (Real,)),
    str: ("text", (str, PurePath)),
    Path: ("a path", (str, PurePath)),
}


def check_values(description: "DataclassInstance", streams: Collection[str] = ()) -> None:
    """Give every field the value that its annotation wants; a path and its text stand for another.

    `streams` names the paths for which `-` stands for standard output.

    Raises SettingError for a value of another type, out of range, or that is none of the choices.
    """
    for each in fields(description):
        value = _plain(getattr(description, each.name))
        notes = getattr(each.type, "__metadata__", ())
        kind, optional = _parts(get_args(each.type)[0] if notes else each.type)
        if value is None and optional:
            continue
        try:
            fitting = _fit(kind, value)
            _expect(fitting != "" or each.default == "", "a value")  # nothing is no choice
            _expect(kind is not Path or fitting != _DASH or each.name in streams, "a path, not -")
            for note in notes:
                _refuse_beyond(note, fitting)
        except ValueError as error:
            raise SettingError(
                each.name, f"expected {error}, found {reprlib.repr(value)}"
            ) from None
        if isinstance(fitting, Path) and (scheme := find_scheme(str(fitting))):
            raise SettingError(each.name, f"expected a path, found {scheme}://...", ON_SERVER)
        object.__setattr__(description, each.name, fitting)  # it is frozen


def find_scheme(path: str) -> str | None:
    """The scheme of a URL that was taken for a path, which may have lost a slash; None of a path.

    A folder of such a name makes it a path.
    """
    match = _URL.match(path)
    return match[1] if match and not Path(f"{match[1]}:").exists() else None


def refuse_null(null: bool, form: str | None) -> None:
    """Raise SettingError when NUL bytes are asked for where no paths are printed."""
    if null and form != "paths":
        raise SettingError("null", "only with `form` paths")


def spell_value(value: object) -> str:
    """A method's setting as it would be typed."""
    plain = _plain(value)
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def _plain(value: object) -> object:
    """A number of NumPy as one of Python."""
    numpy = sys.modules.get("numpy")  # without it there is none
    return value.item() if numpy is not None and isinstance(value, numpy.generic) else value


def _parts(kind: object) -> tuple[object, bool]:
    """A type without its None, and whether it had one."""
    if get_origin(kind) not in (Union, UnionType):
        return kind, False
    return next(each for each in get_args(kind) if each is not NoneType), True


def _fit(kind: object, value: object) -> object:
    """The value as the kind; raises ValueError with what is expected."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        _expect(isinstance(value, str) and value in inner, f"one of {', '.join(inner)}")
        return value
    if origin is list:
        _expect(isinstance(value, list | tuple), "a list")
        found = [_fit(inner[0], each) for each in cast("Sequence[object]", value)]
        _expect("" not in found, "values that are not empty")
        return found
    if origin is Mapping:
        _expect(isinstance(value, Mapping), "a mapping")
        given = cast("Mapping[str, object]", value)
        _expect(all(isinstance(name, str) for name in given), "texts as names")
        return {name: spell_value(each) for name, each in given.items()}
    expected, accepted = _KINDS[kind]
    _expect(isinstance(value, accepted) and isinstance(value, bool) == (kind is bool), expected)
    return cast("type", kind)(value)


def _refuse_beyond(note: object, value: object) -> None:
    """Raise ValueError for a number outside the range of a flag, and for what is not finite."""
    if not isinstance(note, ParameterInfo) or not isinstance(value, int | float):
        return
    low, high = note.min, note.max
    if low is not None:
        wanted = f"{low} or more" if high is None else f"{low} to {high}"
        _expect(low <= value <= (math.inf if high is None else high), wanted)
    _expect(math.isfinite(value), "a finite number")


def _expect(fits: bool, what: str) -> None:
    if not fits:
        raise ValueError(what)
