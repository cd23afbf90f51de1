"""Files of torch.save, read without running any code of them, and with nothing in them believed."""

import io
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from xmir_cli.errors import ModelError

_DEEPEST = 8  # tables in tables


def read_torch(file: Path) -> dict[str, Tensor]:
    """The tensors of a .pt or .pth file; raises ModelError when it is damaged or holds none."""
    try:
        data = file.read_bytes()
        _check_archive(data, file)
        with warnings.catch_warnings(action="ignore"):  # its advice is not for our users
            # from memory, never mapped: a cut file must be noticed
            value: object = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{file}: {(error.strerror or 'cannot be read').lower()}") from None
    except pickle.UnpicklingError:
        raise ModelError(
            f"{file}: holds Python objects, not only weights; xmir runs no code from checkpoints",
            "Export the state dict once where you trust the file: "
            "torch.save(model.state_dict(), 'weights.pt').",
        ) from None
    except (RuntimeError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{file}: damaged or no checkpoint ({type(error).__name__})") from None
    return _tensors(value, file)


def _check_archive(data: bytes, file: Path) -> None:
    """Raise ModelError for what torch.load would take on trust: a bomb, or the other byte order."""
    if not data.startswith((b"PK", b"\x80")):  # a zip archive, or the legacy format's pickle
        raise ModelError(f"{file}: damaged or no checkpoint")
    if data.startswith(b"\x80"):
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > 2 * len(data):  # torch itself compresses nothing
            raise ModelError(f"{file}: inflates from {len(data)} to {size} bytes")
        for name in archive.namelist():
            if name.endswith("/byteorder") and archive.read(name) != b"little":
                raise ModelError(f"{file}: its numbers are not little-endian")


def _tensors(value: object, file: Path) -> dict[str, Tensor]:
    """All tensors by dotted names, in which wrappers such as `state_dict` are the first words."""
    if not isinstance(value, Mapping):
        raise ModelError(f"{file}: expected a table of tensors, found {type(value).__name__}")
    tensors: dict[str, Tensor] = {}
    for name, tensor in _walk(value, "", _DEEPEST):
        if name in tensors:
            raise ModelError(f"{file}: two tensors in it have the name {name}")
        tensors[name] = tensor
    if not tensors:
        held = ", ".join(map(str, list(value)[:3])) or "nothing"
        raise ModelError(f"{file}: no tensors in it; it holds {held}")
    return tensors


def _walk(value: object, name: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping) and depth:
        for key, part in value.items():
            yield from _walk(part, f"{name}.{key}" if name else str(key), depth - 1)
