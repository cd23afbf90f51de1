import contextlib
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmir_cli.errors import DataError
from xmir_cli.store.arrays import read_array, write_array, write_small_array

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_array(path)
    return str(caught.value).removeprefix(f"{path}: ")


def header(path: Path, text: str, data: bytes = b"") -> Path:
    text = text + " " * (-(len(text) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data)
    return path


@pytest.mark.parametrize("array", [NUMBERS, NUMBERS.T, NUMBERS[:, ::2], np.float32(3), NUMBERS > 2])
def test_what_is_written_is_read_and_numpy_reads_it_too(tmp_path: Path, array: np.ndarray):
    write_array(tmp_path / "a.npy", array)
    for found in (read_array(tmp_path / "a.npy"), np.load(tmp_path / "a.npy")):
        assert found.dtype == array.dtype
        assert np.array_equal(found.reshape(array.shape), array)


@pytest.mark.parametrize("array", [NUMBERS.astype(">f4"), np.asfortranarray(NUMBERS), NUMBERS[:0]])
def test_foreign_layouts_come_in_ours(tmp_path: Path, array: np.ndarray):
    np.save(tmp_path / "a.npy", array)
    found = read_array(tmp_path / "a.npy")
    assert np.array_equal(found, array)
    assert found.flags.c_contiguous
    assert found.dtype.isnative


def test_equal_arrays_give_equal_bytes(tmp_path: Path):
    write_array(tmp_path / "a.npy", NUMBERS)
    write_array(tmp_path / "b.npy", np.asfortranarray(NUMBERS))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_small_array_is_the_same_file_and_tells_its_checksum(tmp_path):
    write_array(tmp_path / "a.npy", NUMBERS)
    found = write_small_array(tmp_path / "b.npy", NUMBERS)
    data = (tmp_path / "b.npy").read_bytes()
    assert data == (tmp_path / "a.npy").read_bytes()
    assert found == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_unusable_numbers_are_refused(tmp_path: Path, value: float):
    np.save(tmp_path / "a.npy", np.array([1, value]))
    assert refused(tmp_path / "a.npy") == "holds NaN or infinity"


def test_pickles_are_never_loaded(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([print]), allow_pickle=True)
    assert refused(tmp_path / "a.npy") == "expected an array of real numbers, found object (1,)"


@pytest.mark.parametrize("kind", [np.complex64, "U3", "M8[s]"])
def test_other_kinds_are_refused(tmp_path: Path, kind: str):
    np.save(tmp_path / "a.npy", np.zeros(2, kind))
    assert refused(tmp_path / "a.npy").startswith("expected an array of real numbers, found")


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
    ],
)
def test_forged_shapes_take_no_memory(tmp_path: Path, text: str):
    path = header(tmp_path / "a.npy", text, b"12345678")
    assert refused(path).endswith("bytes of numbers, found 8; cut short?")


@pytest.mark.parametrize("text", ["(" * 5000, "{'descr': '<f4'}", "", "'" + "x" * 20_000 + "'"])
def test_broken_headers_are_refused(tmp_path: Path, text: str):
    assert refused(header(tmp_path / "a.npy", text)) == "not a NumPy file (.npy)"


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04" + bytes(50), b"\x93NUMPY\x09\x00"]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes):
    (tmp_path / "a.npy").write_bytes(content)
    assert refused(tmp_path / "a.npy") == "not a NumPy file (.npy)"


def test_negative_shapes_are_refused(tmp_path: Path):
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -2)}"
    assert refused(header(tmp_path / "a.npy", text, b"12345678")).startswith("expected an array")


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 200), value=st.integers(0, 255), cut=st.integers(0, 200))
def test_damage_is_refused_or_leaves_an_array(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, cut: int
):
    buffer = io.BytesIO()
    np.save(buffer, NUMBERS)
    data = bytearray(buffer.getvalue())
    data[place % len(data)] = value
    path = tmp_path_factory.mktemp("damage") / "a.npy"
    path.write_bytes(data[: cut or len(data)])
    with contextlib.suppress(DataError):
        assert read_array(path).nbytes <= 24
