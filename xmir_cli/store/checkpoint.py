"""Checkpoints in the safetensors format: a JSON header and raw bytes, so nothing in them can run.

Layout: header length (8 bytes, little endian), header, tensors without gaps.
Source: the format section of https://github.com/huggingface/safetensors
"""

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from xmir_cli.errors import DataError, ModelError
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.regular import open_regular
from xmir_cli.wire.strict import parse_json

if TYPE_CHECKING:
    import torch

METADATA = "__metadata__"
_HEADER_LIMIT = 100_000_000  # bytes
# name in the file: (name in torch, bytes a value)
_TYPES = {
    "BOOL": ("bool", 1),
    "U8": ("uint8", 1),
    "I8": ("int8", 1),
    "I16": ("int16", 2),
    "U16": ("uint16", 2),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I32": ("int32", 4),
    "U32": ("uint32", 4),
    "F32": ("float32", 4),
    "I64": ("int64", 8),
    "U64": ("uint64", 8),
    "F64": ("float64", 8),
}
_NAMES = {torch_name: name for name, (torch_name, _) in _TYPES.items()}


def write_tensors(
    path: Path, tensors: Mapping[str, "torch.Tensor"], metadata: Mapping[str, str]
) -> None:
    """Write tensors and text metadata in one atomic step; equal contents give equal bytes.

    Raises ModelError for a kind of number the format has no name for.
    """
    # wide values first keeps every tensor aligned without gaps, as the library does
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, object] = {METADATA: dict(sorted(metadata.items()))} if metadata else {}
    end = 0
    for name in names:
        start, end = end, end + tensors[name].numel() * tensors[name].element_size()
        header[name] = {
            "dtype": _type_name(path, name, tensors[name]),
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with atomic_file(path) as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for name in names:
            file.write(_to_bytes(tensors[name]))


def read_tensors(path: Path) -> tuple[dict[str, "torch.Tensor"], dict[str, str]]:
    """All tensors, on the CPU, and the text metadata.

    Raises ModelError unless the header is whole and the tensors fill the file, gapless, in order.
    """
    with _open(path) as file:
        header = _header(file, path)
        tensors = {name: _read_tensor(file, entry) for name, entry in _entries(header)}
    return tensors, cast("dict[str, str]", header.get(METADATA, {}))


def read_tensors_header(path: Path) -> dict[str, object]:
    """The checked header: `{name: {dtype, shape, data_offsets}}`, `__metadata__`; no torch."""
    with _open(path) as file:
        return _header(file, path)


def _type_name(path: Path, name: str, tensor: "torch.Tensor") -> str:
    torch_name = str(tensor.dtype).removeprefix("torch.")
    if torch_name not in _NAMES:
        raise ModelError(f"{path}: {name}: {torch_name} numbers cannot be stored")
    return _NAMES[torch_name]


def _to_bytes(tensor: "torch.Tensor") -> bytes:
    import torch  # noqa: PLC0415 # read_header serves `info`, which needs no torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def _read_tensor(file: BinaryIO, entry: Mapping[str, object]) -> "torch.Tensor":
    import torch  # noqa: PLC0415 # as above

    shape = cast("list[int]", entry["shape"])
    start, end = cast("list[int]", entry["data_offsets"])
    kind: torch.dtype = vars(torch)[_TYPES[str(entry["dtype"])][0]]
    if start == end:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(bytearray(file.read(end - start)), dtype=kind).reshape(shape)


def _open(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except DataError as error:
        raise ModelError(str(error)) from None


def _header(file: BinaryIO, path: Path) -> dict[str, object]:
    """The header; leaves the file at its first tensor."""
    size = os.fstat(file.fileno()).st_size
    prefix = file.read(8)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
    if not 2 <= length <= min(size - 8, _HEADER_LIMIT):
        raise ModelError(f"{path}: not a safetensors file, or cut short")
    try:
        header: object = parse_json(file.read(length))
        if not isinstance(header, dict) or not _is_text_map(header.get(METADATA, {})):
            raise TypeError
        end = _check_entries(header)
    except (ValueError, TypeError, KeyError):
        raise ModelError(f"{path}: damaged safetensors header") from None
    if end != size - 8 - length:
        found = size - 8 - length
        raise ModelError(f"{path}: expected {end} bytes of tensors, found {found}; cut short?")
    return header


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _entries(header: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Names with their entries in the order of the file."""
    entries = {
        name: cast("dict[str, list[int]]", e) for name, e in header.items() if name != METADATA
    }
    yield from sorted(entries.items(), key=lambda item: item[1]["data_offsets"])


def _check_entries(header: Mapping[str, object]) -> int:
    """Where the last tensor ends; ValueError, TypeError or KeyError when an entry does not fit."""
    end = 0
    for _, entry in _entries(header):
        shape, (start, stop) = (
            cast("list[int]", entry["shape"]),
            cast("list[int]", entry["data_offsets"]),
        )
        width = _TYPES[cast("str", entry["dtype"])][1]
        whole = all(type(value) is int and value >= 0 for value in [*shape, start, stop])
        if not whole or start != end or stop - start != math.prod(shape) * width:
            raise ValueError
        end = stop
    return end
