"""Our safetensors codec against the library, and against files made to hurt."""

import json
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, safe_open, save_file

from xmir_cli.errors import ModelError
from xmir_cli.store.checkpoint import check_data, read_tensors, read_tensors_header, write_tensors

KINDS = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = {str(kind): (torch.randn(3, 2, generator=generator) * 3).to(kind) for kind in KINDS}
    return {**made, "scalar": torch.tensor(7), "nothing": torch.empty(0, 4)}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return set(left) == set(right) and all(
        left[name].dtype == right[name].dtype and torch.equal(left[name], right[name])
        for name in left
    )


def raw(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_the_library_reads_what_we_write(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    write_tensors(path, tensors(), {"xmir.model": "{}"})
    assert same(load_file(path), tensors())
    with safe_open(path, "pt") as opened:
        assert opened.metadata() == {"xmir.model": "{}"}


def test_we_read_what_the_library_writes(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    save_file(tensors(), path, {"made": "by the library"})
    found, metadata = read_tensors(path)
    assert same(found, tensors())
    assert metadata == {"made": "by the library"}


def test_equal_contents_give_equal_bytes_in_any_order(tmp_path: Path):
    write_tensors(tmp_path / "a", tensors(), {"a": "1", "b": "2"})
    write_tensors(tmp_path / "b", dict(reversed(tensors().items())), {"b": "2", "a": "1"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_views_are_stored_as_they_look(tmp_path: Path):
    matrix = torch.arange(6.0).reshape(2, 3)
    write_tensors(tmp_path / "a", {"t": matrix.T, "column": matrix[:, 1].requires_grad_()}, {})
    found, metadata = read_tensors(tmp_path / "a")
    assert torch.equal(found["t"], matrix.T)
    assert torch.equal(found["column"], matrix[:, 1])
    assert metadata == {}


def test_header_tells_shapes_without_reading_tensors(tmp_path: Path):
    write_tensors(tmp_path / "a", {"w": torch.zeros(2, 3)}, {"k": "v"})
    assert read_tensors_header(tmp_path / "a") == {
        "__metadata__": {"k": "v"},
        "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    }


def test_complex_numbers_are_refused_and_nothing_is_written(tmp_path: Path):
    with pytest.raises(ModelError, match="complex64 numbers cannot be stored"):
        write_tensors(tmp_path / "a", {"w": torch.zeros(2, dtype=torch.complex64)}, {})
    assert list(tmp_path.iterdir()) == []


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ([], b""),
        (b"{" * 100_000, b""),
        (b"{\xff}", b""),
        ({"w": 1}, b""),
        ({"w": {**ENTRY, "dtype": "F4"}}, b"12345678"),
        ({"w": {**ENTRY, "dtype": ["F32"]}}, b"12345678"),
        ({"w": {**ENTRY, "shape": [-1, -2]}}, b"12345678"),
        ({"w": {**ENTRY, "shape": [True, 2]}}, b"12345678"),
        ({"w": {**ENTRY, "shape": [10**30]}}, b"12345678"),
        ({"w": {**ENTRY, "shape": "ab"}}, b"12345678"),
        ({"w": {**ENTRY, "data_offsets": [0, 8, 16]}}, b"12345678"),
        ({"w": {**ENTRY, "data_offsets": [4, 12]}}, b"123456789012"),
        ({"w": ENTRY, "v": ENTRY}, b"12345678"),
        ({"w": ENTRY, "__metadata__": {"a": 1}}, b"12345678"),
        ({"w": {"dtype": "F32"}}, b""),
    ],
)
def test_forged_headers_are_refused(tmp_path: Path, header: object, data: bytes):
    path = raw(tmp_path / "a", header, data)
    with pytest.raises(ModelError, match="a: damaged safetensors header"):
        read_tensors(path)


@pytest.mark.parametrize("data", [b"1234567", b"123456789"])
def test_tensors_must_fill_the_file(tmp_path: Path, data: bytes):
    path = raw(tmp_path / "a", {"w": ENTRY}, data)
    with pytest.raises(ModelError, match=rf"expected 8 bytes of tensors, found {len(data)}"):
        read_tensors_header(path)


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 20, b"PK\x03\x04" + bytes(60)])
def test_other_files_are_refused(tmp_path: Path, content: bytes):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ModelError, match="not a safetensors file, or cut short"):
        read_tensors(tmp_path / "a")


def test_missing_files_and_folders_are_named(tmp_path: Path):
    with pytest.raises(ModelError, match="gone: no such file or directory"):
        read_tensors(tmp_path / "gone")
    with pytest.raises(ModelError, match="not a regular file"):
        read_tensors(tmp_path)


@settings(max_examples=100, deadline=None)
@given(position=st.integers(0, 300), bit=st.integers(0, 7), cut=st.booleans())
def test_damage_is_refused_or_changes_only_values(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int, cut: bool
):
    path = tmp_path_factory.mktemp("damage") / "a"
    write_tensors(path, {"w": torch.ones(4, 3), "b": torch.zeros(3)}, {"k": "v"})
    content = bytearray(path.read_bytes())
    position %= len(content)
    content[position] ^= 1 << bit
    path.write_bytes(content[:position] if cut else content)
    try:
        found, _ = read_tensors(path)
    except ModelError:
        return
    assert sum(tensor.numel() for tensor in found.values()) <= 15 * 4


def test_every_changed_byte_of_a_sealed_file_is_noticed(tmp_path: Path):
    path = tmp_path / "a"
    write_tensors(path, {"w": torch.ones(4, 3), "b": torch.zeros(3)}, {"k": "resize 256"}, True)
    whole = path.read_bytes()
    expected, told = read_tensors(path)
    assert told["k"] == "resize 256"
    assert check_data(path)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        try:
            found, other = read_tensors(path)
        except ModelError:
            continue
        assert other == told  # white space
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_file_of_others_has_no_checksum(tmp_path: Path):
    write_tensors(tmp_path / "a", {"w": torch.ones(4, 3)}, {"k": "v"})
    assert not check_data(tmp_path / "a")
