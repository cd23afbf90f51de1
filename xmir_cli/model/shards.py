"""The tensors of a folder: one safetensors file, or shards with a table of what lies in which."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xmir_cli.errors import ModelError
from xmir_cli.model.folders import INDEX, Folder
from xmir_cli.model.hub import HUB
from xmir_cli.store.checkpoint import read_tensors, read_tensors_header

if TYPE_CHECKING:
    from torch import Tensor

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.msgpack", "*.h5")


def read_folder_tensors(
    folder: Folder, names: Sequence[str] = ("model.safetensors",)
) -> "dict[str, Tensor]":
    """All tensors of a folder, from the first of the files that it has.

    Raises ModelError for a folder without safetensors, a shard that is missing or lies elsewhere,
    and shards that do not hold what their table says.
    """
    for name in names:
        if folder.has(name):
            return read_tensors(folder.path / name)[0]
        if folder.has(f"{name}{INDEX}"):
            return _read_shards(folder, f"{name}{INDEX}")
    raise _no_weights(folder, names)


def weights_files(folder: Folder, names: Sequence[str] = ("model.safetensors",)) -> list[str]:
    """The files that hold its tensors; raises ModelError where there is none."""
    for name in names:
        if folder.has(name):
            return [name]
        if folder.has(f"{name}{INDEX}"):
            return sorted(set(_table(folder, f"{name}{INDEX}").values()))
    raise _no_weights(folder, names)


def _read_shards(folder: Folder, index: str) -> "dict[str, Tensor]":
    table = _table(folder, index)
    found: dict[str, Tensor] = {}
    for shard in sorted(set(table.values())):
        if not folder.has(shard):
            raise ModelError(f"{folder.name}: its shard {shard} is missing; {index} names it")
        header = [name for name in read_tensors_header(folder.path / shard) if name[:2] != "__"]
        listed = [name for name, file in table.items() if file == shard]
        if odd := sorted(set(header) ^ set(listed)):
            where = "not in it" if odd[0] in listed else "not listed"
            raise ModelError(
                f"{folder.name}: {shard} is not what {index} says: {odd[0]} is {where}"
            )
        found |= read_tensors(folder.path / shard)[0]
    return found


def _table(folder: Folder, index: str) -> Mapping[str, str]:
    """Which shard each tensor lies in; raises ModelError for a file that is none of the folder."""
    table = folder.read_json(index).get("weight_map")
    if not isinstance(table, Mapping) or not table:
        raise ModelError(f"{folder.name}: {index}: expected a weight_map")
    for shard in table.values():
        plain = isinstance(shard, str) and "/" not in shard and "\\" not in shard
        if not plain or not shard.endswith(".safetensors"):
            raise ModelError(
                f"{folder.name}: {index}: expected names of safetensors files in the folder, "
                f"found {str(shard)[:60]!r}"
            )
    return table


def _no_weights(folder: Folder, names: Sequence[str]) -> ModelError:
    pickles = sorted(file.name for end in _PICKLES for file in folder.path.glob(end))
    wanted = " or ".join(names)
    if not pickles and folder.name.startswith(HUB):
        return ModelError(
            f"{folder.name}: no weights that are safe to fetch; expected {wanted}, and pickles of "
            "the hub may run any code",
            f"Do you trust it? Then: hf download {folder.name.removeprefix(HUB).partition('@')[0]}",
        )
    if not pickles:
        return ModelError(
            f"{folder.name}: no weights in it; expected {wanted}",
            "`weights` random:0 or `weights` FILE take others.",
        )
    direct = f"`weights` {folder.path / pickles[0]} reads its tensors and runs no code. Or: "
    direct = "" if folder.layout == "open_clip" else direct  # both towers lie in one there
    place, made = str(folder.path / pickles[0]), str(folder.path / names[0])
    return ModelError(
        f"{folder.name}: its weights are in {pickles[0]}, which is a pickle and may run any code; "
        f"expected {wanted}",
        f"{direct}Convert it once where you trust it: safetensors.torch.save_file("
        f"torch.load({place!r}, weights_only=True), {made!r}).",
    )
