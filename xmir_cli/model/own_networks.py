"""The user's own networks: `FILE.py:FUNCTION` or `package.module:FUNCTION`, which is code."""

import importlib
import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from xmir_cli.errors import ModelError, UsageError
from xmir_cli.model.named import is_named
from xmir_cli.model.network import Architecture

NETWORKS = "XMIR_NETWORKS"  # folders of code, or modules, that data may name; separated as in PATH
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")  # package.module


def build(name: str, input_size: int | None) -> Architecture:
    """What the function gives; raises ModelError for code that nobody has allowed."""
    del input_size
    place, _, function = name.rpartition(":")
    if not is_named(name) and not _is_allowed(place):
        raise ModelError(
            f"{name}: this network is code, and data alone do not make xmir run it",
            f"If it is yours, put its folder (or its module) into ${NETWORKS}.",
        )
    if not place or not function:
        raise ModelError(f"{name}: expected FILE.py:FUNCTION or package.module:FUNCTION")
    module = _load_file(place) if place.endswith(".py") else _load_module(place)
    if function not in vars(module):
        raise ModelError(f"{place}: no function named {function}")
    made = vars(module)[function]()
    if not isinstance(made, Architecture):
        raise ModelError(
            f"{name}: expected an xmir Architecture, found {type(made).__name__}",
            "The manual page xmir-networks shows a network of your own.",
        )
    return made


def _is_allowed(place: str) -> bool:
    """Whether a file lies in one of the user's folders, or a module is one of theirs or below.

    Raises UsageError for a folder that would be another wherever xmir is called.
    """
    allowed = [entry for entry in os.environ.get(NETWORKS, "").split(os.pathsep) if entry]
    relative = [entry for entry in allowed if not Path(entry).is_absolute()]
    if bad := next((entry for entry in relative if not _MODULE.fullmatch(entry)), None):
        raise _refused(bad)
    if not place.endswith(".py"):
        return any(f"{place}.".startswith(f"{entry}.") for entry in relative)
    file = Path(os.path.realpath(place))
    found = next((x for x in allowed if file.is_relative_to(os.path.realpath(x))), None)
    if found in relative:
        raise _refused(str(found))
    return found is not None


def _refused(entry: str) -> UsageError:
    return UsageError(
        f"${NETWORKS}: expected absolute folders, or modules, found {entry}",
        "A relative one would be another wherever xmir is called.",
    )


def _load_file(place: str) -> object:
    path = Path(place)
    if not path.is_file():
        raise ModelError(f"{place}: no such file")
    spec = importlib.util.spec_from_file_location(f"xmir_own_{path.stem}", os.path.realpath(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load_module(place: str) -> object:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise ModelError(f"{place}: no module named {error.name}") from None


def pretrained(name: str) -> Mapping[str, Tensor]:
    """Raises ModelError: code has no weights."""
    raise ModelError(
        f"{name}: a network of your own has no imagenet weights",
        "Pass `weights` random:SEED or `weights` FILE.",
    )
