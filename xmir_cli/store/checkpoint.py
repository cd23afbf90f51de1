"""Checkpoints in the safetensors format: a JSON header and raw bytes, so nothing in them can run.

Layout: header length (8 bytes, little endian), header, tensors without gaps.
Source: the format section of https://github.com/huggingface/safetensors
"""

import hashlib
import json
import math
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, cast

from xmir_cli.errors import DataError, ModelError
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.regular import open_regular
from xmir_cli.store.seal import SEAL, seal
from xmir_cli.wire.strict import parse_json

if TYPE_CHECKING:
    import torch

METADATA = "__metadata__"
_DATA, _HEADER = "xmir.data_sha256", "xmir.checksum"  # of the tensors; of all the rest
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
    path: Path,
    tensors: Mapping[str, "torch.Tensor"],
    metadata: Mapping[str, str],
    sealed: bool = False,
) -> None:
    """Write tensors and text metadata in one atomic step; equal contents give equal bytes.

    `sealed` puts all of it under checksums, which are compared when it is read.

    Raises ModelError for a kind of number the format has no name for.
    """
    # wide values first keeps every tensor aligned without gaps, as the library does
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    entries: dict[str, object] = {}
    end = 0
    for name in names:
        start, end = end, end + tensors[name].numel() * tensors[name].element_size()
        entries[name] = {
            "dtype": _type_name(path, name, tensors[name]),
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    told = (
        _seal(metadata, entries, (_to_bytes(tensors[name]) for name in names))
        if sealed
        else metadata
    )
    header = {METADATA: dict(sorted(told.items())), **entries} if told else entries
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with atomic_file(path) as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for name in names:
            file.write(_to_bytes(tensors[name]))


def read_tensors(path: Path) -> tuple[dict[str, "torch.Tensor"], dict[str, str]]:
    """All tensors, on the CPU, and the text metadata.

    Raises ModelError unless the header is whole and the tensors fill the file, gapless, in order,
    and have the checksum that it tells, if any.
    """
    with _open(path) as file:
        header = _header(file, path)
        _check_data(file, header, path)
        tensors = {name: _read_tensor(file, entry) for name, entry in _entries(header)}
    return tensors, cast("dict[str, str]", header.get(METADATA, {}))


def read_tensors_header(path: Path) -> dict[str, object]:
    """The checked header: `{name: {dtype, shape, data_offsets}}`, `__metadata__`; no torch."""
    with _open(path) as file:
        return _header(file, path)


def check_data(path: Path) -> bool:
    """Whether every byte of the file was compared with a checksum; ModelError when one is wrong."""
    with _open(path) as file:
        return _check_data(file, _header(file, path), path)


def _check_data(file: BufferedReader, header: Mapping[str, object], path: Path) -> bool:
    """The same of the tensors; leaves the file where it was, at the first of them."""
    told = cast("dict[str, str]", header.get(METADATA, {}))
    if _DATA not in told:
        return False
    start = file.tell()
    if hashlib.file_digest(file, "sha256").hexdigest() != told[_DATA]:
        raise ModelError(f"{path}: damaged tensors (checksum)")
    file.seek(start)
    return True


def _seal(
    metadata: Mapping[str, str], entries: Mapping[str, object], data: Iterable[bytes]
) -> dict[str, str]:
    """The metadata with the checksums of the tensors and of the header."""
    total = hashlib.sha256()
    for part in data:
        total.update(part)
    told = {**metadata, _DATA: total.hexdigest()}
    return {**told, _HEADER: seal(_texts(told, entries))[SEAL]}


def _check_seal(header: Mapping[str, object]) -> None:
    """Raise ValueError for a header that has another checksum than it tells, or lost one of two."""
    told = dict(cast("dict[str, str]", header.get(METADATA, {})))
    if _HEADER not in told and _DATA not in told:
        return
    found = told.pop(_HEADER, "")
    if _DATA not in told or found != seal(_texts(told, header))[SEAL]:
        raise ValueError(_HEADER)


def _texts(told: Mapping[str, str], header: Mapping[str, object]) -> dict[str, str]:
    entries = {name: entry for name, entry in header.items() if name != METADATA}
    return {**told, "tensors": json.dumps(entries, sort_keys=True)}


def _type_name(path: Path, name: str, tensor: "torch.Tensor") -> str:
    torch_name = str(tensor.dtype).removeprefix("torch.")
    if torch_name not in _NAMES:
        raise ModelError(f"{path}: {name}: {torch_name} numbers cannot be stored")
    return _NAMES[torch_name]


def _to_bytes(tensor: "torch.Tensor") -> bytes:
    import torch  # noqa: PLC0415 # read_header serves `info`, which needs no torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def _read_tensor(file: BufferedReader, entry: Mapping[str, object]) -> "torch.Tensor":
    import torch  # noqa: PLC0415 # as above

    shape = cast("list[int]", entry["shape"])
    start, end = cast("list[int]", entry["data_offsets"])
    kind: torch.dtype = vars(torch)[_TYPES[str(entry["dtype"])][0]]
    if start == end:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(bytearray(file.read(end - start)), dtype=kind).reshape(shape)


def _open(path: Path) -> BufferedReader:
    try:
        return open_regular(path)
    except DataError as error:
        raise ModelError(str(error)) from None


def _header(file: BufferedReader, path: Path) -> dict[str, object]:
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
        _check_seal(header)
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
