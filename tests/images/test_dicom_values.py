"""Windows, slopes, tables and padding as DICOM writers really write them, by hand-made truth."""

import numpy as np
import pytest

from xmir_cli.errors import ItemError
from xmir_cli.images.decode import decode_bytes

pytest.importorskip("pydicom")
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

RAMP = np.linspace(0, 4095, 24).round().astype(np.uint16)[None].repeat(16, 0)
GREY = RAMP * (255 / 4095)
ALL = np.arange(4096)
HU = RAMP.astype(np.int16) - 1024
WIDE = {"BitsStored": 16}


def shown(data: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    picture = decode_bytes(data)
    return np.asarray(picture.pixels).astype(float), picture.done


def reason(data: bytes) -> str:
    with pytest.raises(ItemError) as caught:
        decode_bytes(data)
    return caught.value.reason


def linear(values: np.ndarray, center: float, width: float) -> np.ndarray:
    return np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


def with_texts(dicom, first: str, second: str, names: tuple[str, str], **tags: object) -> bytes:
    """Numbers as text that pydicom would not write."""
    places = "1" * 16, "2" * 16
    data = dicom(RAMP, **dict(zip(names, places, strict=True)), **tags)
    for place, text in zip(places, (first, second), strict=True):
        data = data.replace(place.encode(), text.encode().ljust(16))
    return data


@pytest.mark.parametrize(
    ("center", "width", "used", "said"),
    [
        ("2000.5", "1000.5", (2000.5, 1000.5), "window 2000.5,1000.5"),
        ("2000,5", "1000,5", (2000.5, 1000.5), "window 2000.5,1000.5"),
        ("2000\\40", "1000\\80", (2000, 1000), "window 2000,1000"),
        ("2000\\40", "1000", (2000, 1000), "window 2000,1000"),
        ("40\\2000", "0\\1000", (2000, 1000), "window 2000,1000 (2 of 2)"),
        ("40\\2000", "-5\\1000", (2000, 1000), "window 2000,1000 (2 of 2)"),
        ("abc\\2000", "1000\\1000", (2000, 1000), "window 2000,1000 (2 of 2)"),
        ("\\2000", "\\1000", (2000, 1000), "window 2000,1000 (2 of 2)"),
        ("40\\40\\2000", "0\\0\\1000", (2000, 1000), "window 2000,1000 (3 of 3)"),
    ],
)
def test_the_first_window_that_can_be_used_is_used(dicom, center, width, used, said):
    values, done = shown(with_texts(dicom, center, width, ("WindowCenter", "WindowWidth")))
    assert np.allclose(values, linear(RAMP.astype(float), *used), atol=0.01)
    assert done == (said,)


@pytest.mark.parametrize(
    ("center", "width"),
    [("2000 HU", "abc"), ("nan", "1000"), ("1e999", "1000"), ("2,000", "1,000"), ("1.0,5", "9")],
)
def test_a_window_that_is_no_number_is_told(dicom, center, width):
    values, done = shown(with_texts(dicom, center, width, ("WindowCenter", "WindowWidth")))
    assert np.allclose(values, GREY, atol=0.01)
    assert done == ("unusable window", "window 0..4095")


def test_an_empty_window_is_none(dicom):
    assert shown(dicom(RAMP, WindowCenter="", WindowWidth=""))[1] == ("window 0..4095",)


def test_a_function_that_is_not_known_makes_a_window_unusable(dicom):
    window = {"WindowCenter": 2000, "WindowWidth": 1000}
    assert shown(dicom(RAMP, VOILUTFunction="CUBIC", **window))[1][0] == "unusable window"
    exact = np.clip((RAMP - 1500.0) * 0.255, 0, 255)
    values, _ = shown(dicom(RAMP, VOILUTFunction="linear exact", **window))
    assert np.allclose(values, exact, atol=0.01)


@pytest.mark.parametrize(
    ("slope", "intercept", "used", "said"),
    [
        ("0,5", "-10,5", (0.5, -10.5), ()),
        ("2\\2", "5", (2, 5), ()),
        ("", "-10", (1, -10), ("RescaleSlope taken as 1",)),
        ("2", "", (2, 0), ("RescaleIntercept taken as 0",)),
    ],
)
def test_a_slope_is_read_as_it_is_written(dicom, slope, intercept, used, said):
    names, window = ("RescaleSlope", "RescaleIntercept"), {"WindowCenter": 999, "WindowWidth": 500}
    values, done = shown(with_texts(dicom, slope, intercept, names, **window))
    assert np.allclose(values, linear(RAMP.astype(float) * used[0] + used[1], 999, 500), atol=0.01)
    assert done == (*said, "rescaled", "window 999,500")


@pytest.mark.parametrize(("slope", "intercept"), [("abc", "1"), ("2\\3", "1"), ("1,024", "1")])
def test_a_slope_that_is_no_number_is_named(dicom, slope, intercept):
    data = with_texts(dicom, slope, intercept, ("RescaleSlope", "RescaleIntercept"))
    assert reason(data) == "missing-tag: RescaleSlope is no number"


def table(entries: np.ndarray, first: int = 0, bits: int = 16, kind: str = "US") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", kind, [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", entries.tobytes())
    return item


def voi(*items: Dataset) -> dict[str, Sequence]:
    return {"VOILUTSequence": Sequence(items)}


@pytest.mark.parametrize("declared", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("used", [8, 10, 12, 14, 15, 16])
def test_white_is_the_highest_of_the_bits_that_a_table_uses(dicom, declared, used):
    entries = np.round(ALL * ((2**used - 1) / 4095)).astype("<u2")
    values, done = shown(dicom(RAMP, **voi(table(entries, bits=declared))))
    assert np.allclose(values, GREY, atol=0.5)
    assert done == ("VOI table" + ("" if used == declared else f" of {used} bits"),)


def test_entries_of_eight_bits_come_in_bytes_or_words(dicom):
    entries = np.round(ALL * (255 / 4095))
    for kind in (np.uint8, np.dtype("<u2")):
        values, done = shown(dicom(RAMP, **voi(table(entries.astype(kind), bits=8))))
        assert np.allclose(values, GREY, atol=0.51)
        assert done == ("VOI table",)


@pytest.mark.parametrize(("first", "kind"), [(-1024, "SS"), (65536 - 1024, "US")])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_the_first_value_of_a_table_may_be_negative(dicom, first, kind, syntax):
    item = voi(table(ALL.astype("<u2"), first, 12, kind))
    assert np.allclose(shown(dicom(HU, syntax, **WIDE, **item))[0], GREY, atol=0.01)
    positive = HU.clip(0)  # none of the values says that the number is signed
    expected = (positive + 1024) * (255 / 4095)
    assert np.allclose(shown(dicom(positive, syntax, **WIDE, **item))[0], expected, atol=0.01)


def test_a_first_value_beyond_32767_stays_where_values_reach_it(dicom):
    item = voi(table(np.arange(512).astype("<u2"), 65000, 9))
    values, _ = shown(dicom((RAMP // 8 + 65000).astype(np.uint16), **WIDE, **item))
    assert np.allclose(values, (RAMP // 8) * (255.0 / 511), atol=0.01)


def test_a_table_that_shows_all_values_alike_is_not_used(dicom):
    flat = table(np.full(4096, 7, "<u2"))
    assert shown(dicom(RAMP, **voi(flat)))[1] == ("unusable VOI table", "window 0..4095")
    assert shown(dicom(RAMP, **voi(flat, table(ALL.astype("<u2"), bits=12))))[1] == (
        "VOI table (2 of 2)",
    )


def test_a_table_cut_short_is_not_used_and_the_next_one_is(dicom):
    short = table(ALL[:100].astype("<u2"))
    short.LUTDescriptor = [4096, 0, 12]
    good = table(ALL[::-1].astype("<u2"), bits=12)
    assert shown(dicom(RAMP, **voi(short)))[1] == ("unusable VOI table", "window 0..4095")
    values, done = shown(dicom(RAMP, **voi(short, good)))
    assert np.allclose(values, 255 - GREY, atol=0.01)
    assert done == ("VOI table (2 of 2)",)
    data = dicom(RAMP, ModalityLUTSequence=Sequence([short]))
    assert reason(data) == "contradictory: a table of 100 entries, its tags say 4096"


def test_rescaled_values_are_rounded_to_an_entry(dicom):
    item = voi(table(np.arange(410).astype("<u2"), bits=9))
    values, _ = shown(dicom(RAMP, RescaleSlope=0.1, RescaleIntercept=0, **item))
    assert np.allclose(values, np.minimum(np.rint(RAMP * 0.1), 409) * (255 / 511), atol=0.01)


def test_tables_are_read_in_the_order_of_their_file(dicom):
    data = dicom(
        RAMP,
        "1.2.840.10008.1.2.2",
        PixelData=RAMP.astype(">u2").tobytes(),
        **voi(table(ALL.astype(">u2"), bits=12)),
    )
    assert np.allclose(shown(data)[0], GREY, atol=0.01)


TOP = np.arange(16)[:, None] < 4  # rows that are padding


@pytest.mark.parametrize(
    ("kind", "value", "limit"),
    [
        ("SS", -2000, None),
        ("US", 63536, None),
        ("SS", [-2000, -2000], None),
        ("SS", [-2000, -1999], None),
        ("SS", -2000, -1500),
        ("SS", -1500, -2000),
        ("US", 63536, 64036),
    ],
)
def test_padding_of_either_signedness_is_black(dicom, kind, value, limit):
    limits = {} if limit is None else {"PixelPaddingRangeLimit": (kind, limit)}
    padded = np.where(TOP, -2000, HU).astype(np.int16)
    data = dicom(padded, **WIDE, PixelPaddingValue=(kind, value), **limits)
    values, done = shown(data)
    assert np.allclose(values, np.where(TOP, 0, GREY), atol=0.01)
    assert done == ("window -1024..3071", "padding black")


@pytest.mark.parametrize(("kind", "value"), [("SS", -1), ("US", 65535)])
def test_padding_may_need_bits_that_are_not_stored(dicom, kind, value):
    padded = np.where(TOP, 65535, RAMP).astype(np.uint16)
    values, _ = shown(dicom(padded, PixelPaddingValue=(kind, value)))
    assert np.allclose(values, np.where(TOP, 0, GREY), atol=0.01)


@pytest.mark.parametrize("value", [63536, 2096])  # -2000 in 16 and in 12 bits
def test_padding_of_twelve_bits_is_understood(dicom, value):
    inner = RAMP.astype(np.int16) // 2 - 500
    padded = np.where(TOP, -2000, inner).astype(np.int16)
    values, _ = shown(dicom(padded, PixelPaddingValue=("US", value)))
    assert np.allclose(values, np.where(TOP, 0, (RAMP // 2) * (255.0 / 2047)), atol=0.01)


def test_white_is_not_taken_for_padding_that_no_pixel_can_have(dicom):
    values, done = shown(dicom(RAMP, PixelPaddingValue=("US", 65535)))
    assert np.allclose(values, GREY, atol=0.01)
    assert done == ("window 0..4095",)


def test_an_element_that_comes_twice_counts_once(dicom):
    padded = np.where(TOP, -2000, HU).astype(np.int16)
    data = dicom(padded, **WIDE, PixelPaddingValue=("SS", -2000))
    place = data.index(b"\x28\0\x20\x01SS")
    element = data[place : place + 10]
    for second in (element, element.replace(b"SS", b"US")):
        values, _ = shown(data[:place] + element + second + data[place + 10 :])
        assert np.allclose(values, np.where(TOP, 0, GREY), atol=0.01)


def test_padding_of_floats_is_black(dicom):
    values = np.where(TOP, -9999, RAMP / 100).astype(np.float32)
    data = dicom(
        values,
        drop=["PixelData", "BitsStored", "HighBit", "PixelRepresentation"],
        FloatPixelData=values.tobytes(),
        FloatPixelPaddingValue=-9999.0,
    )
    assert np.allclose(shown(data)[0], np.where(TOP, 0, GREY), atol=0.01)


def palette(entries: list[np.ndarray], bits: int) -> dict[str, object]:
    tags: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, values in zip(("Red", "Green", "Blue"), entries, strict=True):
        start = f"{name}PaletteColorLookupTable"
        tags[f"{start}Descriptor"] = ("US", [256, 0, bits])
        tags[f"{start}Data"] = ("OW", values.tobytes())
    return tags


@pytest.mark.parametrize(
    ("scale", "kind", "bits"),
    [
        (257, "<u2", 16),
        (257, "<u2", 8),
        (1, "<u2", 16),
        (1, "<u2", 8),
        (1, "u1", 8),
        (16, "<u2", 16),
    ],
)
def test_palettes_are_read_whatever_bits_they_declare(dicom, scale, kind, bits):
    numbers = np.arange(256)
    tables = [numbers, 255 - numbers, numbers * 7 % 256]
    indices = GREY.round().astype(np.uint8)
    tags = palette([(each * scale).astype(kind) for each in tables], bits)
    values, _ = shown(dicom(indices, **tags))
    assert np.abs(values - np.dstack([each[indices] for each in tables])).max() <= 1
    del tags["RedPaletteColorLookupTableData"]
    expected = "missing-tag: RedPaletteColorLookupTableData"
    assert reason(dicom(indices, **tags)) == expected


def groups(**tags: object) -> Sequence:
    window, group = Dataset(), Dataset()
    for keyword, value in tags.items():
        setattr(window, keyword, value)
    group.FrameVOILUTSequence = [window]
    return Sequence([group])


def test_a_frame_whose_window_cannot_be_used_takes_that_of_all_frames_or_of_the_file(dicom):
    own = groups(WindowCenter=40, WindowWidth=0)
    shared = groups(WindowCenter=[40, 2000], WindowWidth=[0, 1000])
    expected = linear(RAMP.astype(float), 2000, 1000)
    values, done = shown(
        dicom(RAMP, PerFrameFunctionalGroupsSequence=own, SharedFunctionalGroupsSequence=shared)
    )
    assert np.allclose(values, expected, atol=0.01)
    assert done == ("window 2000,1000 (3 of 3)",)
    window = {"WindowCenter": 2000, "WindowWidth": 1000}
    values, done = shown(dicom(RAMP, PerFrameFunctionalGroupsSequence=own, **window))
    assert np.allclose(values, expected, atol=0.01)
    assert done == ("window 2000,1000 (2 of 2)",)


@pytest.mark.parametrize("slope", ["1e300", "1e-300"])
def test_numbers_beyond_all_bounds_are_told_and_nothing_is_printed(dicom, slope, capfd):
    names = ("RescaleSlope", "RescaleIntercept")
    data = with_texts(dicom, slope, "0", names)
    if slope == "1e300":
        assert reason(data).startswith("bad-values")
    else:
        assert not shown(data)[0].any()
    exact = {"VOILUTFunction": "LINEAR_EXACT"}
    window = with_texts(dicom, "2000", "1e-44", ("WindowCenter", "WindowWidth"), **exact)
    assert shown(window)[1][0] == "unusable window"
    assert capfd.readouterr().err == ""
