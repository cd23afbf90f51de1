"""What broken inputs cost: a real process holds one of them a thread, however many there are."""

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COUNT = 6
NOISE = np.random.default_rng(0).bytes(8 << 20)


def png_of_noise() -> bytes:
    """A PNG of 3000 x 3000 pixels whose 8 MB are no deflate stream."""
    return _png(3000, 8, 0, NOISE)


def png_bomb() -> bytes:
    """A few kB that promise 16-bit colors of 72 MB, and end early."""
    return _png(3000, 16, 6, zlib.compress(bytes(60 << 20), 9))


def tiff_of_noise() -> bytes:
    """A TIFF of 8 MB with one strip of damaged LZW."""
    file = io.BytesIO()
    noise = np.frombuffer(NOISE, np.uint8).reshape(2048, 4096)
    Image.fromarray(noise).save(file, "TIFF", compression="tiff_lzw", tiffinfo={278: 2048})
    data = bytearray(file.getvalue())
    data[len(data) // 2 : len(data) // 2 + 4096] = bytes(4096)
    return bytes(data)


def dicom_bomb() -> bytes:
    """A deflated DICOM file of 200 kB that inflates to 200 MB."""
    uid = b"1.2.840.10008.1.2.1.99"
    meta = b"\2\0\x10\0UI" + struct.pack("<H", len(uid)) + uid
    head = bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0" + struct.pack("<I", len(meta)) + meta
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = b"\xe0\x7f\x10\0OW\0\0" + struct.pack("<I", 200 << 20)
    parts = [start, *(bytes(1 << 20) for _ in range(200))]
    return head + b"".join(map(squeezer.compress, parts)) + squeezer.flush()


def _png(side: int, depth: int, color: int, stream: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", side, side, depth, color, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def peak(folder: Path, architecture: str) -> float:
    """The most memory, MB, of `xmir embed` in a process of its own, with one thread."""
    Image.new("L", (8, 8), 9).save(folder / "good.png")
    model = ("--arch", architecture, "--weights", "random:0", "--device", "cpu", "--jobs", "1")
    command = [
        sys.executable,
        "-m",
        "xmir_cli",
        "embed",
        folder,
        *model,
        "-o",
        folder / "a.parquet",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in {0, 3}
    return used.ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory, tiny_arch: str) -> float:
    """The same of one tiny picture."""
    return peak(tmp_path_factory.mktemp("idle"), tiny_arch)


@pytest.mark.parametrize(
    ("make", "bound"),
    # MB: what one of them was seen to need, twice; all of them need more than twice as much
    [(png_of_noise, 50), (png_bomb, 70), (tiff_of_noise, 95), (dicom_bomb, 270)],
)
def test_broken_files_are_let_go_at_once(
    make: Callable[[], bytes], bound: float, tmp_path: Path, tiny_arch: str, idle: float
):
    if make is dicom_bomb:
        pytest.importorskip("pydicom")
    data = make()
    for number in range(COUNT):
        (tmp_path / f"{number}.png").write_bytes(data + struct.pack("<I", number))
    assert peak(tmp_path, tiny_arch) - idle < bound
