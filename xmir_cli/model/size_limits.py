"""How large a network a folder may describe: a few bytes of JSON can ask for any size.

Modules and parameters are counted while a library builds them; each tensor that it makes is
measured before it is filled.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import prod
from typing import cast

from torch import Tensor, nn
from torch.nn.modules import module as counted

from xmir_cli.errors import ModelError
from xmir_cli.model.folders import CONFIG, OPEN_CLIP_CONFIG, Folder, is_folder, open_folder
from xmir_cli.model.tensor_limits import small_tensors
from xmir_cli.store.checkpoint import METADATA, read_tensors_header

_DEEPEST = 1_000  # layers, or values in one list of them
_MODULES = 100_000
_WITHOUT_WEIGHTS = 1 << 31  # values, where no tensors in the folder say how many
_SPARE = 1 << 26  # values that a network may have beside twice those of its folder


def _refuse_deep(name: str, described: object) -> None:
    """Raise ModelError for a description, or one within it, of more layers than any has."""
    if isinstance(described, list):
        for each in described:
            _refuse_deep(name, each)
    if not isinstance(described, Mapping):
        return
    for key, value in described.items():
        if ("layers" in str(key) or "depth" in str(key)) and _deepest(value) > _DEEPEST:
            raise ModelError(f"{name}: {key}: expected at most {_DEEPEST}, found more")
        _refuse_deep(name, value)


def _deepest(value: object) -> float:
    if isinstance(value, list):
        return max([len(value), *map(_deepest, value)])
    return value if isinstance(value, int | float) else 0


@contextmanager
def bounded(name: str) -> Iterator[None]:
    """While it lasts, a network larger than the folder `name` can hold ends in ModelError."""
    if not is_folder(name):
        yield
        return
    most = _check(open_folder(name))
    found = {"modules": 0, "values": 0}

    def too_large(limit: int, what: str) -> ModelError:
        return ModelError(f"{name}: describes a network of more than {limit} {what}")

    def count(what: str, more: int, limit: int) -> None:
        found[what] += more
        if found[what] > limit:
            raise too_large(limit, what)

    def tensor(_module: nn.Module, _name: str, given: Tensor | None) -> None:
        count("values", 0 if given is None else given.numel(), most)

    def module(_module: nn.Module, _name: str, _given: nn.Module | None) -> None:
        count("modules", 1, _MODULES)

    hooks = [
        counted.register_module_parameter_registration_hook(tensor),
        counted.register_module_buffer_registration_hook(tensor),
        counted.register_module_module_registration_hook(module),
    ]
    try:
        with small_tensors(most, too_large(most, "values")):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _check(folder: Folder) -> int:
    """How many values its network may have: not many more than lie in the folder."""
    for file in (CONFIG, OPEN_CLIP_CONFIG):
        if folder.has(file):
            _refuse_deep(folder.name, folder.read_json(file))
    entries: list[Mapping[str, Sequence[int]]] = []
    for weights in folder.path.glob("*.safetensors"):
        with suppress(ModelError):  # of a damaged file, which is told when it is read
            header = read_tensors_header(weights).items()
            entries += [cast("Mapping[str, Sequence[int]]", e) for k, e in header if k != METADATA]
    held = sum(prod(entry["shape"]) for entry in entries)
    return 2 * held + _SPARE if entries else _WITHOUT_WEIGHTS
