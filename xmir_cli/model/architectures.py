"""A name becomes an architecture: torchvision's, timm's, or the user's own network."""

import importlib
import importlib.util
import os
from pathlib import Path

from xmir_cli.errors import ModelError
from xmir_cli.model.compiler import compiler_left_out
from xmir_cli.model.network import Architecture
from xmir_cli.model.timm_networks import build_timm
from xmir_cli.model.torchvision_networks import FAMILIES

__all__ = ["Architecture", "build"]


def build(name: str, input_size: int | None = None) -> Architecture:
    """The architecture `name` with freshly initialised weights.

    Raises ModelError when the name means nothing, or the package or file is not there.
    """
    with compiler_left_out():
        return _build(name, input_size)


def _build(name: str, input_size: int | None) -> Architecture:
    if name.startswith("timm:"):
        return build_timm(name.removeprefix("timm:"), input_size)
    if ":" in name:
        return _own(name)
    for family, split in FAMILIES.items():
        if name.startswith(family):
            return split(name, input_size)
    raise ModelError(
        f"{name}: not a known architecture",
        f"Known are torchvision's {', '.join(f'{family}*' for family in FAMILIES)}; timm:NAME; "
        "FILE.py:FUNCTION; package.module:FUNCTION.",
    )


def _own(name: str) -> Architecture:
    place, _, function = name.rpartition(":")
    module = _load_file(place) if place.endswith(".py") else _load_module(place)
    if function not in vars(module):
        raise ModelError(f"{place}: no function named {function}")
    made = vars(module)[function]()
    if not isinstance(made, Architecture):
        raise ModelError(
            f"{name}: expected an xmir Architecture, found {type(made).__name__}",
            "The README shows a network of your own.",
        )
    return made


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
