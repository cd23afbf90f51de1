"""Tags that a DICOM file lacks are taken from its pixels and said, or named; no damage is told."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.images.decode import decode_bytes

RAMP = np.linspace(0, 4095, 24).round().astype(np.uint16)[None].repeat(16, 0)
GREY = RAMP * (255 / 4095)
DEEP8 = GREY.round().astype(np.uint8)
COLOR = np.dstack([DEEP8, DEEP8[:, ::-1], DEEP8 // 2])
JPEG_SYNTAX, J2K_SYNTAX = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"


def coded(values: np.ndarray, form: str = "JPEG2000", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, form, **options)
    return buffer.getvalue()


def shown(data: bytes, name: str = "") -> tuple[np.ndarray, tuple[str, ...]]:
    picture = decode_bytes(data, name)
    return np.asarray(picture.pixels).astype(float), picture.done


def reason(data: bytes) -> str:
    with pytest.raises(ItemError) as caught:
        decode_bytes(data)
    return caught.value.reason


def test_bits_are_those_of_the_highest_or_all(dicom):
    values, done = shown(dicom(RAMP, drop=["BitsStored"]))
    assert np.allclose(values, GREY, atol=0.01)
    assert done == ("BitsStored taken as 12", "window 0..4095")
    assert shown(dicom(RAMP, drop=["BitsStored", "HighBit"]))[1][0] == "BitsStored taken as 16"
    assert np.allclose(shown(dicom(RAMP, drop=["HighBit"]))[0], GREY, atol=0.01)


@pytest.mark.parametrize("name", ["BitsStored", "HighBit", "PixelRepresentation"])
@pytest.mark.parametrize("values", [DEEP8, RAMP.astype(np.int16) - 2048, COLOR])
def test_what_the_pixels_tell_is_read(dicom, name, values):
    expected, _ = shown(dicom(values))
    assert np.array_equal(shown(dicom(values, drop=[name]))[0], expected)


def test_the_sign_is_read_where_the_words_tell_it(dicom):
    assert shown(dicom(RAMP, drop=["PixelRepresentation"]))[1][0] == (
        "PixelRepresentation taken as 0"
    )
    signed = RAMP.astype(np.int16) - 2048
    assert shown(dicom(signed, drop=["PixelRepresentation"]))[1][0] == (
        "PixelRepresentation taken as 1"
    )
    full = (RAMP.astype(int) * 16 - 32768).astype(np.int16)  # nothing tells 40000 from -25536
    data = dicom(full, drop=["PixelRepresentation"], BitsStored=16)
    assert reason(data) == "missing-tag: PixelRepresentation"


def test_samples_are_those_of_the_photometric_interpretation(dicom):
    for values, samples in ((RAMP, 1), (COLOR, 3)):
        expected, _ = shown(dicom(values))
        found, done = shown(dicom(values, drop=["SamplesPerPixel"]))
        assert np.array_equal(found, expected)
        assert done[0] == f"SamplesPerPixel taken as {samples}"


@pytest.mark.parametrize("values", [RAMP, DEEP8])
def test_allocated_bits_are_told_by_the_length(dicom, values):
    data = dicom(values)
    place = data.index(b"\x28\0\0\x01US\2\0")
    expected, _ = shown(data)
    found, done = shown(data[:place] + data[place + 10 :])
    assert np.array_equal(found, expected)
    assert done[0] == f"BitsAllocated taken as {8 * values.itemsize}"


@pytest.mark.parametrize("name", ["Rows", "Columns", "PhotometricInterpretation"])
def test_what_nothing_tells_is_named(dicom, name):
    assert reason(dicom(RAMP, drop=[name])) == f"missing-tag: {name}"


def test_planes_or_pixels_are_not_guessed_but_do_not_matter_to_a_codec(dicom):
    assert reason(dicom(COLOR, drop=["PlanarConfiguration"])) == "missing-tag: PlanarConfiguration"
    stream = coded(COLOR, mct=1)
    data = dicom(COLOR, J2K_SYNTAX, stream, ["PlanarConfiguration"])
    assert np.array_equal(shown(data)[0], COLOR)
    planes = dicom(COLOR, J2K_SYNTAX, stream, PlanarConfiguration=1)
    assert np.array_equal(shown(planes)[0], COLOR)


def test_a_codestream_tells_its_sides(dicom):
    data = dicom(RAMP, J2K_SYNTAX, coded(RAMP), ["Rows", "Columns", "BitsStored", "HighBit"])
    values, done = shown(data)
    assert np.allclose(values, GREY, atol=0.01)
    assert done[:2] == ("Rows taken as 16", "Columns taken as 24")


def test_a_codestream_that_says_its_colours_needs_no_photometric_interpretation(dicom):
    data = dicom(COLOR, J2K_SYNTAX, coded(COLOR, mct=1), ["PhotometricInterpretation"])
    values, done = shown(data)
    assert np.array_equal(values, COLOR)
    assert done[0] == "RGB by its JPEG 2000"
    silent = dicom(COLOR, J2K_SYNTAX, coded(COLOR, no_jp2=True), ["PhotometricInterpretation"])
    assert reason(silent) == "missing-tag: PhotometricInterpretation"


def without_syntax(data: bytes) -> bytes:
    place = data.index(b"\x02\0\x10\0UI")
    length = 8 + int.from_bytes(data[place + 6 : place + 8], "little")
    group = int.from_bytes(data[140:144], "little") - length
    return data[:140] + struct.pack("<I", group) + data[144:place] + data[place + length :]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_a_missing_transfer_syntax_is_found_by_trying(dicom, syntax):
    values, done = shown(without_syntax(dicom(RAMP, syntax)))
    assert np.allclose(values, GREY, atol=0.01)
    assert done[0] == "TransferSyntaxUID found by trying"


def test_big_endian_is_found_too(dicom):
    data = dicom(RAMP, "1.2.840.10008.1.2.2", PixelData=RAMP.astype(">u2").tobytes())
    assert np.allclose(shown(data)[0], GREY, atol=0.01)
    assert np.allclose(shown(without_syntax(data))[0], GREY, atol=0.01)


def test_a_codestream_tells_its_kind_whatever_the_transfer_syntax(dicom):
    stream = coded(DEEP8)
    for data in (
        without_syntax(dicom(DEEP8, J2K_SYNTAX, stream)),
        dicom(DEEP8, JPEG_SYNTAX, stream),
        dicom(DEEP8, stream=stream),
    ):
        values, done = shown(data)
        assert np.array_equal(values, DEEP8)
        assert done[-1] == "JPEG 2000 by its pixels"


def test_a_missing_sequence_delimiter_is_no_end_of_the_pixels(dicom):
    data = dicom(DEEP8, J2K_SYNTAX, coded(DEEP8))
    assert data.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    for cut in (8, 4):
        assert np.array_equal(shown(data[:-cut])[0], DEEP8)
    assert reason(data[:-20]) == "truncated: the file ends early"
    for tag in (b"\xfc\xff\xfc\xff", b"\xfa\xff\xfa\xff"):  # padding or a signature follows
        behind = tag + b"OB\0\0" + struct.pack("<I", 8) + bytes(8)
        assert np.array_equal(shown(data[:-8] + behind)[0], DEEP8)


def test_a_deflated_file_that_does_not_say_so_lacks_its_transfer_syntax(dicom):
    plain = without_syntax(dicom(RAMP))
    place = 144 + int.from_bytes(plain[140:144], "little")
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = plain[:place] + packer.compress(plain[place:]) + packer.flush()
    assert reason(data) == "missing-tag: TransferSyntaxUID"


@pytest.mark.parametrize("form", ["JPEG", "JPEG2000"])
def test_a_codestream_without_its_end_is_not_filled_up(dicom, form):
    syntax = {"JPEG": JPEG_SYNTAX, "JPEG2000": J2K_SYNTAX}[form]
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    stream = coded(noise, form)
    assert reason(dicom(noise, syntax, stream[: len(stream) // 2])).startswith("truncated: its J")


def several(streams: list[bytes], table: list[int] | None, pieces: int) -> bytes:
    """Frames in fragments behind an offset table of one's own; None is the right one."""
    starts, body = [], b""
    for stream in streams:
        starts.append(len(body))
        size = -(-len(stream) // pieces) + 1 & ~1
        for place in range(0, len(stream), size):
            piece = stream[place : place + size]
            piece += b"\0" * (len(piece) % 2)
            body += b"\xfe\xff\0\xe0" + struct.pack("<I", len(piece)) + piece
    table = starts if table is None else table
    offsets = struct.pack(f"<{len(table)}I", *table)
    return b"\xfe\xff\0\xe0" + struct.pack("<I", len(offsets)) + offsets + body


@pytest.mark.parametrize("table", [None, [], [4, 8, 12], [0, 10**6, 10**7], [0], [0, 2, 4, 6, 8]])
@pytest.mark.parametrize("pieces", [1, 3])
def test_frames_are_found_whatever_their_offset_table_says(dicom, table, pieces):
    streams = [coded(np.full_like(DEEP8, grey), "JPEG") for grey in (10, 100, 200)]
    data = dicom(DEEP8, JPEG_SYNTAX, b"..", NumberOfFrames=3)
    place = data.index(b"\xfe\xff\0\xe0")
    data = data[:place] + several(streams, table, pieces) + data[-8:]
    for number, grey in enumerate((10, 100, 200), 1):
        values, done = shown(data, f"#frame={number}")
        assert np.abs(values - grey).max() < 3
        assert done == (("offset table ignored",) if table else ())


def test_frames_that_cannot_be_told_apart_are_named(dicom):
    streams = [coded(DEEP8, "JPEG")] * 3
    data = dicom(DEEP8, JPEG_SYNTAX, b"..")
    place = data.index(b"\xfe\xff\0\xe0")
    data = data[:place] + several(streams, [], 1) + data[-8:]
    assert reason(data) == "contradictory: 3 frames in the pixels, 1 in the tags"


def test_empty_and_doubled_values_of_numbers_are_none_or_one(dicom):
    assert np.allclose(shown(dicom(RAMP, NumberOfFrames=""))[0], GREY, atol=0.01)
    twice = dicom(RAMP, Rows=("US", [16, 16]), BitsStored=("US", []))
    assert np.allclose(shown(twice)[0], GREY, atol=0.01)
    assert reason(dicom(RAMP, Rows=("US", [16, 17]))) == "missing-tag: Rows"


def test_nothing_of_the_file_is_quoted(dicom):
    assert "SMITH" not in reason(dicom(RAMP, PhotometricInterpretation="SMITH"))


SEQUENCE, ITEM = b"\x08\0\x10\x11SQ\0\0" + b"\xff" * 4, b"\xfe\xff\0\xe0" + b"\xff" * 4
ITEM_END, SEQUENCE_END = b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)
INNER = b"\x08\0\x50\x11UI\4\x001.2\0"


@pytest.mark.parametrize(
    "ends", [(ITEM_END, SEQUENCE_END), (ITEM_END,), (SEQUENCE_END,), (ITEM_END, ITEM, INNER), ()]
)
@pytest.mark.parametrize("before", [b"\x28\0\x02\0US", b"\xe0\x7f\x10\0"])
def test_sequences_that_are_never_closed_end_where_they_must(dicom, ends, before):
    data = dicom(RAMP)
    place = data.index(before)
    data = data[:place] + SEQUENCE + ITEM + INNER + b"".join(ends) + data[place:]
    if not ends or ends[-1] == INNER:  # the tags of the pixels may be the item's
        assert reason(data) == "missing-tag: SequenceDelimitationItem"
    else:
        assert np.allclose(shown(data)[0], GREY, atol=0.01)


def test_a_table_in_a_sequence_without_its_end_is_used(dicom):
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4096, 0, 12])
    item.add_new("LUTData", "OW", np.arange(4096)[::-1].astype("<u2").tobytes())
    data = dicom(RAMP, VOILUTSequence=Sequence([item]))
    place = data.index(b"\x28\0\x10\x30SQ") + 8
    data = data[:place] + b"\xff" * 4 + data[place + 4 :]
    values, done = shown(data)
    assert np.allclose(values, 255 - GREY, atol=0.01)
    assert done == ("VOI table",)


def test_a_directory_names_what_to_give(dicom):
    data = dicom(RAMP, drop=["PixelData"])
    assert reason(data) == "no-pixels: a DICOM file without an image"
    old = b"UI\x1a\x001.2.840.10008.5.1.4.1.1.7\0"
    assert old in data
    # the length of the group is not believed either
    data = data.replace(old, b"UI\x14\x001.2.840.10008.1.3.10")
    assert reason(data) == "no-pixels: a DICOMDIR only lists images; name its folder"
