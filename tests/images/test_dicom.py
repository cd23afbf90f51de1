"""DICOM pixels: pydicom's own files as pydicom decodes them, and made ones with known truth."""

import contextlib
import io
import sys
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xmir_cli.errors import ItemError
from xmir_cli.images.decode import decode_bytes
from xmir_cli.images.picture import Picture
from xmir_cli.pictures.files import read_picture

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut  # noqa: E402
from pydicom.uid import (  # noqa: E402
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

ROOT = Path(pydicom.__file__).parent / "data" / "test_files"  # those inside the wheel
FILES = sorted(
    path for path in ROOT.rglob("*") if path.is_file() and b"DICM" in path.read_bytes()[:132]
)
# what each file that is no picture says; all others must decode
SKIPPED = {
    "no-pixels": None,
    "contradictory": {"badVR.dcm"},  # its number of frames is 1A, and there are 15
    "too-large": {"JPEG2000-embedded-sequence-delimiter.dcm"},  # its header is overwritten
    "missing-tag: PhotometricInterpretation": {"nested_priv_SQ.dcm", "meta_missing_tsyntax.dcm"},
    "corrupt: damaged JPEG Extended (Process 2 and 4)": {"JPEG-lossy.dcm"},
    "truncated": {"MR_truncated.dcm"},
}


def grey(picture: Picture) -> np.ndarray:
    return np.asarray(picture.pixels).astype(float)


def made(
    values: np.ndarray | bytes, syntax: str = ExplicitVRLittleEndian, **tags: object
) -> Dataset:
    """A data set with the values [H, W] as 12 bits in 16, unsigned, unless the tags differ."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = (2, 3) if isinstance(values, bytes) else values.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    if isinstance(values, bytes):
        dataset.PixelData = values
    else:
        dataset.PixelData = values.astype(f"<u{dataset.BitsAllocated // 8}").tobytes()
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    return dataset


def saved(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def reason(data: bytes, frame: int | None = None) -> str:
    with pytest.raises(ItemError) as caught:
        decode_bytes(data, "" if frame is None else f"#frame={frame}")
    return caught.value.reason


VALUES = np.array([[0, 100, 200], [300, 400, 4095]])


def as_pydicom_does(path: Path) -> np.ndarray:
    """The first frame in 0..255 by pydicom's own functions."""
    dataset = pydicom.dcmread(path)
    array = pydicom.pixels.pixel_array(dataset, index=0)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return apply_color_lut(array, dataset) / 257
    if array.ndim == 3:
        return array / (2.0**dataset.BitsStored - 1) * 255
    signed, bits = dataset.PixelRepresentation, dataset.BitsStored
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
    shown = apply_modality_lut(array, dataset)
    if "WindowWidth" in dataset:
        shown = apply_voi_lut(shown, dataset)
        shown = (shown - low * slope - intercept) / ((high - low) * slope) * 255
    elif bits <= 8:
        shown = shown / high * 255
    else:
        shown = (shown - shown.min()) / (shown.max() - shown.min()) * 255
    shown = 255 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown
    padding = dataset.get("PixelPaddingValue")
    return np.where(array == padding, 0, shown) if padding is not None else shown


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_of_pydicom_is_shown_as_it_shows_it_or_named(path: Path):
    try:
        picture = read_picture(str(path))
    except ItemError as error:
        if error.reason.startswith("multi-frame"):
            picture = read_picture(f"{path}#frame=1")
        else:
            (names,) = [SKIPPED[code] for code in SKIPPED if error.reason.startswith(code)]
            assert names is None or path.name in names
            assert names is not None or "PixelData" not in pydicom.dcmread(path)
            return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = as_pydicom_does(path)
    tolerance = 0.51 if picture.pixels.mode == "RGB" else 0.01
    assert np.abs(grey(picture) - expected).max() <= tolerance


def test_there_are_files_to_compare():
    assert len(FILES) > 80


def test_monochrome1_is_inverted_after_the_window():
    window = {"WindowCenter": 200.5, "WindowWidth": 201}
    plain = decode_bytes(saved(made(VALUES, **window)))
    other = decode_bytes(saved(made(VALUES, PhotometricInterpretation="MONOCHROME1", **window)))
    assert grey(plain)[0].tolist() == pytest.approx([0, 0, 127.5])
    assert np.allclose(grey(other), 255 - grey(plain))
    assert other.done == ("window 200.5,201", "inverted")


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("minmax", [0, 100, 200, 300, 400, 4095]),
        ("200,101", [0, 0, 127.5 + 0.5 * 2.55, 255, 255, 255]),
        ("p0,80", [0, 100, 200, 300, 400, 401]),
        ("bits:13", [0, 100, 200, 300, 400, 4095]),
        ("bits:9", [0, 100, 200, 300, 400, 4095]),
    ],
)
def test_the_window_asked_for_is_used(window, expected):
    shown = grey(decode_bytes(saved(made(VALUES, WindowCenter=1, WindowWidth=1)), "", window))
    limits = {"minmax": 4095, "p0,80": 400, "bits:13": 8191, "bits:9": 511}
    if window in limits:
        expected = np.clip(np.array(expected) * 255 / limits[window], 0, 255)
    assert np.allclose(shown.ravel(), np.clip(expected, 0, 255), atol=0.01)


def test_a_scale_that_clips_says_so_and_leaves_eight_bits_alone():
    assert decode_bytes(saved(made(VALUES)), "", "bits:12").done == ("window 0..4095",)
    assert decode_bytes(saved(made(VALUES)), "", "bits:9").done == ("window 0..511", "clipped")
    shallow = made((VALUES // 16).astype(np.uint8), BitsAllocated=8, BitsStored=8, HighBit=7)
    assert np.array_equal(grey(decode_bytes(saved(shallow), "", "bits:12")), VALUES // 16)


def test_signed_pixels_are_rescaled_before_the_window():
    stored = np.array([[-1000, 0, 40], [80, 1000, -2000]])
    tags = {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15}
    tags |= {"RescaleSlope": 2, "RescaleIntercept": -40, "WindowCenter": 40, "WindowWidth": 161}
    shown = grey(decode_bytes(saved(made(stored.astype(np.int16).view(np.uint16), **tags))))
    # in HU: -2040 -40 40 120 1960 -4040; black up to -40.5, white above 119.5
    assert shown.ravel().tolist() == pytest.approx([0, 0.797, 128.297, 255, 255, 0], abs=0.01)


def test_bits_that_are_not_stored_do_not_count():
    tags = {"WindowCenter": 2048, "WindowWidth": 4096}
    dirty = made(VALUES | 0xF000, **tags)
    assert np.allclose(grey(decode_bytes(saved(dirty))), VALUES * 255 / 4095, atol=0.1)


def test_eight_bits_without_a_window_are_taken_as_they_are():
    values = np.array([[10, 20, 30], [40, 50, 60]])
    picture = decode_bytes(saved(made(values, BitsAllocated=8, BitsStored=8, HighBit=7)))
    assert np.allclose(grey(picture), values)
    assert picture.done == ()


def test_padding_is_black_and_moves_no_limits():
    values = np.array([[2000, 100, 200], [300, 2000, 150]])
    for kind, light in (("MONOCHROME2", 300), ("MONOCHROME1", 100)):
        dataset = made(values, PhotometricInterpretation=kind)
        dataset.add_new("PixelPaddingValue", "US", 2000)
        picture = decode_bytes(saved(dataset))
        assert grey(picture)[values == 2000].tolist() == [0, 0]
        assert grey(picture)[values == light].tolist() == [255]
        assert picture.done[-1] == "padding black"


def test_a_window_that_the_standard_forbids_is_not_used():
    picture = decode_bytes(saved(made(VALUES, WindowCenter=10, WindowWidth=0)))
    assert picture.done == ("unusable window", "window 0..4095")


def test_the_first_of_several_windows_is_used():
    dataset = made(VALUES, WindowCenter=[200, 40], WindowWidth=[401, 80])
    assert decode_bytes(saved(dataset)).done == ("window 200,401",)


def test_a_voi_table_goes_before_the_window():
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 8]
    table["LUTDescriptor"].VR = "US"
    table.add_new("LUTData", "OW", np.arange(4096).clip(0, 255).astype("<u2").tobytes())
    dataset = made(VALUES, WindowCenter=1, WindowWidth=1, VOILUTSequence=[table])
    picture = decode_bytes(saved(dataset))
    assert picture.done == ("VOI table",)
    assert np.allclose(grey(picture), VALUES.clip(0, 255))


def test_a_modality_table_goes_before_the_window():
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [3, 100, 16])
    table.add_new("LUTData", "US", [7, 8, 1000])
    dataset = made(VALUES, ModalityLUTSequence=[table])
    picture = decode_bytes(saved(dataset))
    assert picture.done == ("modality table", "window 7..1000")
    assert grey(picture).ravel().tolist() == [0, 0, 255, 255, 255, 255]


def test_frames_are_named_and_have_their_own_windows():
    frames = np.stack([VALUES, VALUES + 1, VALUES + 2]) % 4096
    groups = []
    for center in (100, 200, 300):
        window = Dataset()
        window.WindowCenter, window.WindowWidth = center, 100
        group = Dataset()
        group.FrameVOILUTSequence = [window]
        groups.append(group)
    dataset = made(frames, NumberOfFrames=3, PerFrameFunctionalGroupsSequence=groups)
    data = saved(dataset)
    assert reason(data) == "multi-frame: 3 frames; name one: FILE#frame=1"
    assert decode_bytes(data, "#frame=2").done == ("window 200,100",)
    assert reason(data, 4).startswith("bad-frame")
    assert reason(data, 0).startswith("bad-frame")


def test_only_words_of_the_list_become_columns(monkeypatch: pytest.MonkeyPatch):
    tags = {"PatientID": "CANARYPHI", "PatientName": "CANARYPHI", "BurnedInAnnotation": "YES"}
    data = saved(made(VALUES, Modality="CR", ViewPosition="PA", **tags))
    expected = {"modality": "CR", "view_position": "PA", "burned_in_annotation": "yes"}
    assert decode_bytes(data).columns == expected
    assert decode_bytes(saved(made(VALUES, Modality="CANARYPHI"))).columns == {}
    monkeypatch.setenv("XMIR_PATIENT_KEY", "secret")
    patient = decode_bytes(data).columns["patient"]
    assert patient == decode_bytes(data).columns["patient"] != "CANARYPHI"
    assert patient.startswith("hmac-")
    monkeypatch.setenv("XMIR_PATIENT_KEY", "other")
    assert decode_bytes(data).columns["patient"] != patient


def test_patient_tags_are_not_even_parsed():
    from xmir_cli.images.dicom_file import open_dicom

    data = saved(made(VALUES, PatientID="CANARYPHI", PatientName="CANARYPHI"))
    assert "CANARYPHI" not in str(open_dicom(data, with_patient=False))
    assert "PatientName" not in open_dicom(data, with_patient=True)


def test_without_pydicom_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    expected = "no-decoder: DICOM needs pydicom; pip install 'xmir[dicom]'"
    assert reason(saved(made(VALUES))) == expected


def test_without_a_codec_it_is_named(monkeypatch: pytest.MonkeyPatch):
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "is_available", property(lambda _: False))
    frames = encapsulate([b"\xff\x4f\xff\x51"])
    expected = "no-decoder: JPEG 2000 Image Compression (Lossless Only); pip install 'xmir[dicom]'"
    assert reason(saved(made(frames, JPEG2000Lossless))) == expected


def test_video_is_named():
    dataset = made(encapsulate([b"\0\0\1\xb3"]), MPEG2MPML)
    assert reason(saved(dataset)).startswith("no-decoder: MPEG2 Main Profile / Main Level")


def test_a_deflated_file_is_read_and_a_deflated_bomb_is_not(monkeypatch: pytest.MonkeyPatch):
    data = saved(made(VALUES, DeflatedExplicitVRLittleEndian))
    assert decode_bytes(data).width == 3
    start = data.index(b"DICM") + 16 + int.from_bytes(data[140:144], "little")
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = data[:start]
    for _ in range(600):
        bomb += squeezer.compress(bytes(1 << 20))
    bomb += squeezer.flush()
    monkeypatch.setattr("xmir_cli.images.dicom_file._INFLATED_LIMIT", 8 << 20)
    tracemalloc.start()
    assert reason(bomb).startswith("too-large")
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    assert reason(data[: start + 20]).startswith("truncated")


def test_sizes_are_refused_before_decoding():
    assert reason(saved(made(b"\0" * 12, Rows=60000, Columns=60000))).startswith("too-large")
    assert reason(saved(made(b"\0" * 12, Rows=1, Columns=300))).startswith("bad-size")
    assert reason(saved(made(b"\0" * 12, Rows=0, Columns=3))).startswith("bad-size")
    siz = b"\xff\x4f\xff\x51\0\x29\0\0" + (60000).to_bytes(4) * 2 + bytes(8)
    assert reason(saved(made(encapsulate([siz]), JPEG2000Lossless))).startswith("too-large")
    runs = b"\1\0\0\0\x40\0\0\0" + bytes(56) + b"\x81\0" * 5000
    assert reason(saved(made(encapsulate([runs]), RLELossless))).startswith("corrupt: more run")


def test_too_few_pixels_are_truncation_where_the_file_is_cut():
    data = saved(made(VALUES))
    assert reason(data[:-4]) == "truncated: the file ends early"
    said = "contradictory: 8 bytes of pixels, the tags announce 12"
    assert reason(saved(made(b"\0" * 8))) == said


def nested(depth: int) -> bytes:
    inner = made(VALUES)
    item = Dataset()
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedSeriesSequence = [item]
        item = outer
    inner.SharedFunctionalGroupsSequence = [item]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        return saved(inner)
    finally:
        sys.setrecursionlimit(limit)


def test_sequences_in_sequences_end_in_a_picture_or_a_code():
    assert decode_bytes(nested(10)).width == 3
    with contextlib.suppress(ItemError):  # as deep as Python's stack allows
        decode_bytes(nested(400))


SOURCES = [
    saved(made(VALUES, WindowCenter=100, WindowWidth=50, Modality="CT")),
    saved(made(VALUES, DeflatedExplicitVRLittleEndian)),
    (ROOT / "SC_rgb_rle.dcm").read_bytes(),
    (ROOT / "MR_small_jp2klossless.dcm").read_bytes(),
    (ROOT / "SC_rgb_small_odd_jpeg.dcm").read_bytes(),
]


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    st.sampled_from(SOURCES),
    st.lists(st.tuples(st.integers(128, 3000), st.integers(0, 255)), max_size=8),
    st.integers(0, 4000),
)
def test_no_damage_ends_in_anything_but_a_picture_or_a_code(source, flips, cut):
    data = bytearray(source)
    for place, value in flips:
        data[place % len(data)] = value
    try:
        picture = decode_bytes(bytes(data[: cut or len(data)]))
    except ItemError:
        return
    assert picture.pixels.mode in {"RGB", "F"}
