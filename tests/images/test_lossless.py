"""JPEG lossless, written here bit by bit as T.81 and as encoders that count modulo 2^P do."""

import numpy as np
import pytest

from xmir_cli.errors import ItemError
from xmir_cli.images.decode import decode_bytes

pytest.importorskip("libjpeg")
SYNTAX = "1.2.840.10008.1.2.4.57"


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2) + body


def predict(image: np.ndarray, row: int, column: int, predictor: int, bits: int) -> int:
    if row == column == 0:
        return 1 << (bits - 1)
    if row == 0:
        return int(image[0, column - 1])
    if column == 0:
        return int(image[row - 1, 0])
    left, above, corner = (
        int(image[row - down, column - right]) for down, right in ((0, 1), (1, 0), (1, 1))
    )
    return {
        1: left,
        2: above,
        3: corner,
        4: left + above - corner,
        5: left + ((above - corner) >> 1),
        6: above + ((left - corner) >> 1),
        7: (left + above) >> 1,
    }[predictor]


def lossless(image: np.ndarray, bits: int, predictor: int = 1, residues: bool = False) -> bytes:
    """One component, SOF3; a Huffman code of 5 bits for each category."""
    out = []
    for row, column in np.ndindex(*image.shape):
        step = int(image[row, column]) - predict(image, row, column, predictor, bits)
        if residues and abs(step) > 1 << (bits - 2):
            step -= (1 << bits) * (1 if step > 0 else -1)
        step = (step + 32767) % 65536 - 32767
        size = abs(step).bit_length()
        out.append(f"{size:05b}")
        if 0 < size < 16:
            out.append(f"{step if step > 0 else step + (1 << size) - 1:0{size}b}")
    text = "".join(out)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8).replace(b"\xff", b"\xff\0")
    height, width = image.shape
    frame = bytes([bits]) + height.to_bytes(2) + width.to_bytes(2) + b"\1\1\x11\0"
    codes = bytes([0, 0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
    scan = bytes([1, 1, 0, predictor, 0, 0])
    return (
        b"\xff\xd8"
        + segment(0xC4, codes)
        + segment(0xC3, frame)
        + segment(0xDA, scan)
        + data
        + b"\xff\xd9"
    )


def stored(data: bytes, values: np.ndarray) -> np.ndarray:
    """The values that a file shows, by its smallest and its largest."""
    grey = np.asarray(decode_bytes(data, "", "minmax").pixels).astype(float)
    low, high = int(values.min()), int(values.max())
    return np.rint(grey / 255 * (high - low)).astype(int) + low


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize("residues", [False, True])
@pytest.mark.parametrize("predictor", [1, 2, 3, 4])
def test_differences_and_residues_give_the_same_values(dicom, bits, residues, predictor):
    kind = np.uint8 if bits == 8 else np.uint16
    values = np.random.default_rng(bits).integers(0, 1 << bits, (9, 14)).astype(kind)
    stream = lossless(values, bits, predictor, residues)
    data = dicom(values, SYNTAX, stream, BitsStored=bits)
    assert np.array_equal(stored(data, values), values)


@pytest.mark.parametrize("predictor", [5, 6, 7])
def test_predictors_that_halve_are_read_or_named(dicom, predictor):
    values = np.random.default_rng(0).integers(0, 4096, (9, 14)).astype(np.uint16)
    data = dicom(values, SYNTAX, lossless(values, 12, predictor))
    assert np.array_equal(stored(data, values), values)
    with pytest.raises(ItemError) as caught:
        decode_bytes(dicom(values, SYNTAX, lossless(values, 12, predictor, residues=True)))
    assert caught.value.reason == "no-decoder: JPEG Lossless whose differences are residues"


def test_signed_values_are_the_bits_that_are_stored(dicom):
    values = np.random.default_rng(0).integers(-2048, 2048, (9, 14)).astype(np.int16)
    for stream in (lossless(values & 0xFFF, 12), lossless(values.view(np.uint16), 16)):
        assert np.array_equal(stored(dicom(values, SYNTAX, stream), values), values)
    wide = dicom(values, SYNTAX, lossless(values & 0xFFF, 12), BitsStored=16)
    with pytest.raises(ItemError, match=r"^contradictory: signed values in the tags, 12 bits"):
        decode_bytes(wide)
