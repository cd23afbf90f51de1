"""Tags and pixels of a DICOM file that contradict each other: read right and said, or named."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.images.decode import decode_bytes

pytest.importorskip("pydicom")
from pydicom.pixels.encoders import RLELosslessEncoder

RAMP = np.linspace(0, 4095, 24).round().astype(np.uint16)[None].repeat(16, 0)
GREY = RAMP * (255 / 4095)
DEEP8 = GREY.round().astype(np.uint8)
COLOR = np.dstack([DEEP8, DEEP8[:, ::-1], DEEP8 // 2 + 60])
RLE, JPEG_SYNTAX, J2K_SYNTAX = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.90",
)


def coded(values: np.ndarray, form: str = "JPEG2000", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, form, **options)
    return buffer.getvalue()


def jpeg(values: np.ndarray, jfif: bool = True, **options: object) -> bytes:
    data = coded(values, "JPEG", quality=95, **options)
    return data if jfif else data[:2] + data[4 + int.from_bytes(data[4:6]) :]


def runs(values: np.ndarray) -> bytes:
    bits = 8 * values.dtype.itemsize
    return RLELosslessEncoder.encode(
        values.tobytes(),
        rows=values.shape[0],
        columns=values.shape[1],
        samples_per_pixel=3 if values.ndim > 2 else 1,
        bits_allocated=bits,
        bits_stored=bits,
        pixel_representation=0,
        photometric_interpretation="RGB" if values.ndim > 2 else "MONOCHROME2",
        planar_configuration=0,
        number_of_frames=1,
        transfer_syntax_uid=RLE,
        encoding_plugin="pydicom",
    )


def shown(data: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    picture = decode_bytes(data)
    return np.asarray(picture.pixels).astype(float), picture.done


def reason(data: bytes) -> str:
    with pytest.raises(ItemError) as caught:
        decode_bytes(data)
    return caught.value.reason


def test_sides_that_are_not_those_of_the_codestream_are_refused(dicom):
    for syntax, stream, kind in (
        (JPEG_SYNTAX, jpeg(DEEP8), "JPEG"),
        (J2K_SYNTAX, coded(DEEP8), "JPEG 2000"),
    ):
        expected = f"contradictory: 16 x 24 pixels in the tags, 24 x 16 in its {kind}"
        assert reason(dicom(DEEP8.T.copy(), syntax, stream)) == expected


@pytest.mark.parametrize("sides", [(24, 24), (8, 24), (24, 16), (16, 23), (16, 25)])
def test_sides_that_are_not_those_of_the_runs_are_refused(dicom, sides):
    for values in (DEEP8, RAMP):
        assert np.allclose(shown(dicom(values, RLE, runs(values)))[0], GREY, atol=0.51)
        wrong = dicom(np.zeros(sides, values.dtype), RLE, runs(values))
        assert reason(wrong).startswith("contradictory: ")


def test_planes_of_runs_are_those_of_the_samples(dicom):
    assert np.array_equal(shown(dicom(COLOR, RLE, runs(COLOR), PlanarConfiguration=1))[0], COLOR)
    for values, other in ((RAMP, DEEP8), (DEEP8, RAMP), (DEEP8, COLOR)):
        assert "planes of bytes" in reason(dicom(values, RLE, runs(other)))


@pytest.mark.parametrize(
    "tags", [{"Rows": 17}, {"Rows": 15}, {"Columns": 23}, {"Rows": 8}, {"BitsAllocated": 32}]
)
def test_a_length_that_is_not_announced_is_refused(dicom, tags):
    assert "bytes of pixels, the tags announce" in reason(dicom(RAMP, **tags))


def test_a_block_filled_with_zeros_and_an_odd_length_are_no_contradiction(dicom):
    filled = dicom(RAMP, PixelData=RAMP.tobytes().ljust(2048, b"\0"))
    assert np.allclose(shown(filled)[0], GREY, atol=0.01)
    odd = dicom(DEEP8[:15, :23].copy())
    assert np.array_equal(shown(odd)[0], DEEP8[:15, :23])
    assert np.array_equal(shown(odd[:-1])[0], DEEP8[:15, :23])


def test_bits_lie_where_the_tags_say(dicom):
    ten = (RAMP // 4 << 2).astype(np.uint16)
    expected = (RAMP // 4) * (255 / 1023)
    assert np.allclose(shown(dicom(ten, BitsStored=10, HighBit=11))[0], expected, atol=0.01)
    overlay = (RAMP << 4 | 5).astype(np.uint16)
    assert np.allclose(shown(dicom(overlay, HighBit=15))[0], GREY, atol=0.01)
    signed = ((RAMP.astype(np.int16) - 2048) << 4).astype(np.int16)
    assert np.allclose(shown(dicom(signed, HighBit=15))[0], GREY, atol=0.01)
    colors = (COLOR.astype(np.uint16) * 257 >> 4 << 4).astype(np.uint16)
    assert np.abs(shown(dicom(colors, HighBit=15))[0] - COLOR).max() <= 1


def test_bits_that_cannot_lie_where_the_tags_say_are_refused(dicom):
    expected = "contradictory: HighBit is 15, and the values lie at the bottom"
    assert reason(dicom(RAMP, HighBit=15)) == expected
    expected = "contradictory: 12 bits stored up to bit 11 of 8"
    assert reason(dicom(DEEP8, BitsStored=12)) == expected
    assert reason(dicom(RAMP, BitsAllocated=12)) == "no-decoder: samples of 12 bits"


def test_eight_bits_in_sixteen_are_for_the_eye(dicom):
    values, done = shown(dicom(DEEP8.astype(np.uint16) // 2, BitsStored=8))
    assert np.array_equal(values, DEEP8 // 2)
    assert done == ()


def test_samples_are_those_of_the_codestream(dicom):
    for values, other in ((DEEP8, COLOR), (COLOR, DEEP8)):
        assert "samples in its JPEG 2000" in reason(dicom(values, J2K_SYNTAX, coded(other)))
    assert "samples a pixel" in reason(dicom(DEEP8, SamplesPerPixel=3))


@pytest.mark.parametrize("kind", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("jfif", [True, False])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_of_ybr_is_ybr_whatever_the_tags_say(dicom, kind, jfif, subsampling):
    stream = jpeg(COLOR, jfif, subsampling=subsampling)
    expected = np.asarray(Image.open(io.BytesIO(jpeg(COLOR, subsampling=subsampling))), float)
    values, done = shown(dicom(COLOR, JPEG_SYNTAX, stream, PhotometricInterpretation=kind))
    assert np.abs(values - expected).max() <= 8  # chroma is made wide in another way
    assert done == (("YBR by its JPEG",) if kind == "RGB" else ())


@pytest.mark.parametrize("kind", ["RGB", "YBR_FULL_422"])
def test_a_jpeg_of_rgb_is_rgb_whatever_the_tags_say(dicom, kind):
    stream = jpeg(COLOR, keep_rgb=True)
    values, done = shown(dicom(COLOR, JPEG_SYNTAX, stream, PhotometricInterpretation=kind))
    assert np.abs(values - COLOR).max() <= 8
    assert done == (() if kind == "RGB" else ("RGB by its JPEG",))


def test_a_jpeg_that_says_nothing_of_its_colours_is_told_so(dicom):
    stream = bytearray(jpeg(COLOR, keep_rgb=True))
    place = stream.index(b"Adobe") - 4  # without the segment, and with the names 1, 2, 3
    del stream[place : place + 2 + int.from_bytes(stream[place + 2 : place + 4])]
    for old, new in zip(b"RGB", b"\1\2\3", strict=True):
        for follower in (b"\x11\0", b"\0"):
            stream = stream.replace(bytes([old]) + follower, bytes([new]) + follower, 1)
    values, done = shown(dicom(COLOR, JPEG_SYNTAX, bytes(stream)))
    assert np.abs(values - COLOR).max() <= 8
    assert done == ("RGB by its tags alone",)


@pytest.mark.parametrize(
    ("kind", "transform", "said"),
    [
        ("YBR_RCT", 1, ()),
        ("RGB", 1, ("RGB by its JPEG 2000",)),
        ("RGB", 0, ()),
        ("YBR_RCT", 0, None),
        ("YBR_ICT", 0, None),
        ("YBR_FULL", 1, None),
        ("YBR_FULL_422", 1, None),
    ],
)
@pytest.mark.parametrize("boxes", [True, False])
def test_the_transform_of_jpeg_2000_is_believed_or_the_file_refused(
    dicom, kind, transform, said, boxes
):
    stream = coded(COLOR, mct=transform, no_jp2=not boxes)
    data = dicom(COLOR, J2K_SYNTAX, stream, PhotometricInterpretation=kind)
    if said is None:
        assert reason(data).startswith(f"contradictory: {kind}, and a JPEG 2000 ")
    else:
        values, done = shown(data)
        assert np.array_equal(values, COLOR)
        assert done == said


def test_transforms_of_jpeg_2000_are_made_by_nothing_else(dicom):
    assert reason(dicom(COLOR, PhotometricInterpretation="YBR_RCT")).startswith("contradictory")
    data = dicom(COLOR, JPEG_SYNTAX, jpeg(COLOR), PhotometricInterpretation="YBR_ICT")
    assert reason(data) == "contradictory: YBR_ICT, and a JPEG"


def test_ybr_that_is_not_compressed_is_as_long_as_it_is(dicom):
    grey = np.dstack([DEEP8, np.full_like(DEEP8, 128), np.full_like(DEEP8, 128)])
    half = np.stack([DEEP8[:, ::2], DEEP8[:, 1::2], grey[:, ::2, 1], grey[:, ::2, 2]], axis=-1)
    expected = np.dstack([DEEP8] * 3)
    for tags, said in (
        ({"PhotometricInterpretation": "YBR_FULL"}, ()),
        ({"PhotometricInterpretation": "YBR_FULL_422", "PixelData": half.tobytes()}, ()),
        ({"PhotometricInterpretation": "YBR_FULL_422"}, ("YBR_FULL by its length",)),
    ):
        values, done = shown(dicom(grey, **tags))
        assert np.abs(values - expected).max() <= 1
        assert done == said
    data = dicom(grey, PhotometricInterpretation="YBR_FULL", PixelData=half.tobytes())
    assert reason(data).startswith("contradictory")


def test_signs_of_jpeg_2000_are_those_of_the_tags_or_refused(dicom):
    stream = bytearray(coded(RAMP))
    place = stream.index(b"\xff\x4f\xff\x51") + 42
    assert stream[place] == 15
    stream[place] |= 0x80  # signed samples
    assert reason(dicom(RAMP, J2K_SYNTAX, bytes(stream), BitsStored=16)).startswith("contradictory")


@pytest.mark.parametrize(
    ("syntax", "stream", "expected"),
    [
        ("1.2.840.10008.1.2.4.102", b"\0\0\0\x1cftypmp42", "MPEG-4 AVC/H.264 High Profile"),
        ("1.2.840.10008.1.2.4.92", b"\xff\x4f\xff\x51", "JPEG 2000 Part 2"),
    ],
)
def test_what_nothing_decodes_is_named(dicom, syntax, stream, expected):
    if stream.startswith(b"\xff"):
        code = bytearray(coded(DEEP8, no_jp2=True))
        code[6] |= 0x80  # an extension of part 2
        stream = bytes(code)
    assert reason(dicom(DEEP8, syntax, stream)).startswith(f"no-decoder: {expected}")


def test_bits_of_the_codestream_are_those_of_the_tags(dicom):
    data = dicom(RAMP, J2K_SYNTAX, coded(DEEP8))
    values, done = shown(data)
    assert np.array_equal(values, DEEP8)
    assert done == ("8 bits by its JPEG 2000",)
    window = dicom(RAMP, J2K_SYNTAX, coded(DEEP8), WindowCenter=2000, WindowWidth=4000)
    assert reason(window) == "contradictory: a window for more than the 8 bits in its pixels"
    narrow = dicom(RAMP, J2K_SYNTAX, coded(RAMP), BitsStored=8)
    expected = "contradictory: 8 bits in the tags, and values beyond in its pixels"
    assert reason(narrow) == expected


@pytest.mark.parametrize("frames", [0, -1])
def test_no_frames_are_one(dicom, frames):
    values, done = shown(dicom(RAMP, NumberOfFrames=frames))
    assert np.allclose(values, GREY, atol=0.01)
    assert done[0] == "NumberOfFrames taken as 1"


def test_one_photometric_interpretation_may_be_said_twice(dicom):
    twice = dicom(RAMP, PhotometricInterpretation=["MONOCHROME2", "MONOCHROME2 "])
    assert np.allclose(shown(twice)[0], GREY, atol=0.01)
    both = dicom(RAMP, PhotometricInterpretation=["MONOCHROME1", "MONOCHROME2"])
    assert reason(both).startswith("no-decoder")


def test_a_dark_frame_whose_samples_need_fewer_bits_than_8_stays_dark(dicom):
    dark = np.tile(DEEP8 // 2, (4, 3)).astype(np.uint8)
    openjpeg = pytest.importorskip("openjpeg.utils")
    stream = bytes(openjpeg.encode_array(dark))  # of the bits that its values need: 7
    assert np.array_equal(shown(dicom(dark, J2K_SYNTAX, stream))[0], dark)
    windowed = dicom(dark, J2K_SYNTAX, stream, WindowCenter=64, WindowWidth=128)
    assert np.abs(shown(windowed)[0] - dark * 2.0).max() < 2


def test_bits_beyond_those_that_are_stored_are_left_out_with_a_word(dicom):
    expected = RAMP & 255
    for data in (dicom(RAMP, BitsStored=8), dicom(RAMP, RLE, runs(RAMP), BitsStored=8)):
        values, done = shown(data)
        assert np.array_equal(values, expected)
        assert done == ("bits beyond the 8 stored left out",)
    signed = RAMP.astype(np.int16) - 2048  # its signs are extended
    assert shown(dicom(signed))[1] == ("window -2048..2047",)
    assert shown(dicom(signed, PixelRepresentation=0))[1][0] == "bits beyond the 12 stored left out"


@pytest.mark.parametrize(
    "syntax", [JPEG_SYNTAX, J2K_SYNTAX, "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.1"]
)
def test_runs_are_read_whatever_the_transfer_syntax(dicom, syntax):
    values, done = shown(dicom(RAMP, syntax, runs(RAMP)))
    assert np.allclose(values, GREY, atol=0.01)
    assert done[0] == "RLE Lossless by its pixels"


def test_a_codestream_is_read_where_the_tags_say_runs(dicom):
    values, done = shown(dicom(DEEP8, RLE, coded(DEEP8)))
    assert np.array_equal(values, DEEP8)
    assert done == ("JPEG 2000 by its pixels",)


def test_runs_of_more_frames_than_the_tags_say_are_no_damage(dicom):
    three = dicom(RAMP, RLE, b"..")
    place = three.index(b"\xfe\xff\0\xe0")
    item = b"\xfe\xff\0\xe0" + struct.pack("<I", len(runs(RAMP))) + runs(RAMP)
    data = three[:place] + b"\xfe\xff\0\xe0\0\0\0\0" + 3 * item + three[-8:]
    assert reason(data).startswith("contradictory: ")


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_the_other_byte_order_than_the_tags_say_is_found(dicom, syntax):
    other = {"1.2.840.10008.1.2.1": "1.2.840.10008.1.2.2"}.get(syntax, "1.2.840.10008.1.2.1")
    pixels = RAMP.astype(">u2" if syntax.endswith(".2.2") else "<u2").tobytes()
    data = dicom(RAMP, syntax, PixelData=pixels)
    assert syntax.encode() in data
    values, done = shown(data.replace(syntax.encode(), other.encode(), 1))
    assert np.allclose(values, GREY, atol=0.01)
    assert done[0] == "TransferSyntaxUID found by trying"
