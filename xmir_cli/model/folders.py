"""Folders that libraries write of a network, by path or as `hf:ORG/NAME`; only JSON is read here.

A folder brings its weights, which ModelSpec calls `folder`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from xmir_cli.errors import DataError, ModelError
from xmir_cli.model.hub import HUB, find_cached, hub_folder, may_be_on_hub
from xmir_cli.model.names import torchvision_names
from xmir_cli.store.regular import read_regular
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.strict import parse_json

OWN_WEIGHTS = "folder"  # in ModelSpec.weights: those that lie in the architecture's folder
CONFIG, OPEN_CLIP_CONFIG = "config.json", "open_clip_config.json"
INDEX = ".index.json"  # ends the name of a table of shards
_LIMIT = 16 << 20  # bytes of a description


@dataclass(frozen=True)
class Folder:
    """A folder of a network: how it was named, where it lies, which library wrote it."""

    name: str
    path: Path
    layout: str  # transformers | timm | open_clip

    def has(self, file: str) -> bool:
        """Whether a file of that name is in it, or a link, which may lead nowhere."""
        return os.path.lexists(self.path / file)

    def read_json(self, file: str) -> dict[str, object]:
        """The object in one of its files; raises ModelError."""
        return _read_json(self.path / file)


def is_folder(name: str) -> bool:
    """Whether a name is a folder's: `hf:ORG/NAME`, a path, or a folder that is here.

    A network of torchvision comes before a folder that is called like it.
    """
    if name.startswith(HUB):
        return True
    if ".py:" in name:
        return False
    return "/" in name or (Path(name).is_dir() and name not in torchvision_names())


def full_name(name: str) -> str:
    """The name of a folder that means the same from any working folder; raises ModelError."""
    if name.startswith(HUB):
        return name
    if not (path := Path(name).expanduser()).is_dir():
        raise _not_there(name, path)
    return os.path.realpath(path)


def holds_network(name: str) -> bool:
    """Whether a folder is here, or named on the hub, that describes a network."""
    described = any(Path(name, file).is_file() for file in (CONFIG, OPEN_CLIP_CONFIG))
    return name.startswith(HUB) or described


def move(spec: ModelSpec, place: str) -> ModelSpec:
    """The same model where its folder, or else its file of weights, lies elsewhere now.

    Whoever loads it checks that it is the same. Raises ModelError.
    """
    if not holds_network(place):
        return replace(spec, weights=str(Path(place).absolute()))
    weights = spec.weights if is_folder(spec.architecture) else OWN_WEIGHTS
    return replace(spec, architecture=full_name(place), weights=weights)


def is_layout(name: str, layout: str) -> bool:
    """Whether a name is that of a folder which such a library wrote; raises ModelError."""
    return is_folder(name) and open_folder(name).layout == layout


def open_folder(name: str) -> Folder:
    """The folder of that name, fetched where it lies on the hub; raises ModelError."""
    path = hub_folder(name) if name.startswith(HUB) else Path(full_name(name))
    return _recognise(name, path, _written(path))


def _not_there(name: str, path: Path) -> ModelError:
    if path.exists():
        return ModelError(f"{name}: not a folder", f"The folder of a network holds {CONFIG}.")
    hint = "Has it moved? Link its new place to this one. Or name that: `model` FOLDER."
    if not Path(name).is_absolute():
        hint = f"On the hub it would be {HUB}{name}." if may_be_on_hub(name) else ""
    return ModelError(f"{name}: no such folder", hint)


@cache  # asked again for every source; a changed folder has another time
def _recognise(name: str, path: Path, written: int) -> Folder:
    del written
    config = _read_json(path / CONFIG) if os.path.lexists(path / CONFIG) else {}
    transformers = "model_type" in config
    timm = "architecture" in config and config.get("model_type") in (None, "timm_wrapper")
    # where both lie, timm's is the image tower of open_clip's two
    if timm and not ((path / OPEN_CLIP_CONFIG).exists() and _has_both_towers(path)):
        return Folder(name, path, "timm")
    if (path / OPEN_CLIP_CONFIG).exists() and not (transformers and _has_plain_weights(path)):
        return Folder(name, path, "open_clip")
    if transformers:
        return Folder(name, path, "transformers")
    found = f"its {CONFIG} says neither model_type nor architecture" if config else f"no {CONFIG}"
    raise ModelError(
        f"{name}: not the folder of a network ({found})",
        "Folders of transformers, timm and open_clip are read, as their libraries write them.",
    )


def _has_plain_weights(path: Path) -> bool:
    return any((path / f"model.safetensors{end}").exists() for end in ("", INDEX))


def _has_both_towers(path: Path) -> bool:
    return next(path.glob("open_clip_*.safetensors*"), None) is not None


def _written(path: Path) -> int:
    files = [path, path / CONFIG, path / OPEN_CLIP_CONFIG]
    return hash(tuple(file.stat().st_mtime_ns for file in files if file.exists()))


def _read_json(file: Path) -> dict[str, object]:
    try:
        found = parse_json(read_regular(file, _LIMIT))
    except DataError as error:
        raise ModelError(str(error)) from None
    except ValueError as error:
        raise ModelError(f"{file}: no JSON that can be relied on ({error})") from None
    if not isinstance(found, Mapping):
        raise ModelError(f"{file}: expected an object, found {type(found).__name__}")
    return dict(found)


def near_folders(start: str) -> list[str]:
    """Paths beginning so of folders that describe a network, or may hold one: with a slash."""
    above, _, name = start.rpartition("/")
    try:
        found = sorted(each for each in Path(above or ".").iterdir() if each.is_dir())
    except OSError:
        return []
    named = [f"{above}/{each.name}" if "/" in start else each.name for each in found]
    return [each if holds_network(each) else f"{each}/" for each in named if _shown(each, name)]


def _shown(path: str, start: str) -> bool:
    return start.startswith(".") or not path.rpartition("/")[2].startswith(".")


def cached_names() -> list[str]:
    """`hf:ORG/NAME` of what the local cache of the hub has."""
    return find_cached()
