"""What `xmir info` says of the numbers in an array or an image."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.conftest import make_dicom
from xmir_cli.store.arrays import write_array


def info(xmir, values: np.ndarray) -> dict:
    write_array(Path("a.npy"), values)
    result = xmir("info", "a.npy")
    assert (result.code, result.stderr) == (0, "")
    return result.records()[0]


def test_the_histogram_is_that_of_numpy(xmir):
    values = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    found = info(xmir, values)
    counts, edges = np.histogram(values.astype(np.float64), 10)
    assert found["histogram"] == counts.tolist()
    assert found["histogram_edges"] == pytest.approx(edges.tolist(), rel=1e-6)
    assert (found["distinct"], found["tied"]) == (len(set(values.ravel().tolist())), 0)


@pytest.mark.parametrize(
    ("values", "histogram", "distinct", "tied"),
    [
        ([0.25] * 6, [6, *[0] * 9], 1, 1),
        ([0.0] * 4, [4, *[0] * 9], 1, 1),
        ([-1.7e308, 1.7e308], [1, *[0] * 8, 1], 2, 0),
        ([1e300, 1e300, 1e300], [3, *[0] * 9], 1, 1),
        ([0.0, 5e-324], [1, *[0] * 8, 1], 2, 0),
    ],
)
def test_numbers_at_the_edges_are_counted(xmir, values, histogram, distinct, tied):
    found = info(xmir, np.array(values))
    assert (found["histogram"], found["distinct"], found["tied"]) == (histogram, distinct, tied)
    edges = found["histogram_edges"]
    assert (edges[0], edges[-1], len(edges)) == (min(values), max(values), 11)


def test_whole_numbers_beyond_a_float_stay_distinct(xmir):
    assert info(xmir, np.array([2**53, 2**53 + 1]))["distinct"] == 2


def test_a_mask_tells_how_many_pixels_each_value_has(xmir):
    mask = np.zeros((10, 12), np.uint16)
    mask[2:5, 3:7] = 255
    Image.fromarray(mask.astype(np.uint8)).save("mask.png")
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(10, 12)).save("picture.png")
    for name in ("deep.png", "deep.tif"):
        Image.fromarray(mask * 100).save(name)
    records = xmir("info", "mask.png", "picture.png", "deep.png", "deep.tif").records()
    deep = {"0": 108, "25500": 12}
    assert [each.get("values") for each in records] == [{"0": 108, "255": 12}, None, deep, deep]
    assert [(each["maximum"], each["distinct"]) for each in records] == [
        (255, 2), (119, 120), (25500, 2), (25500, 2)
    ]  # fmt: skip
    assert records[2]["mean"] == pytest.approx(25500 * 12 / 120)


def test_a_mask_of_colours_tells_each_with_the_commonest_first(xmir):
    labels = np.zeros((10, 12), np.uint8)
    labels[:2], labels[2] = 2, 1
    palette = Image.fromarray(labels, "P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    palette.save("labels.png")
    (record,) = xmir("info", "labels.png").records()
    assert list(record["values"].items()) == [("#000000", 84), ("#0000ff", 24), ("#ff0000", 12)]
    assert "minimum" not in record


def test_fractions_are_those_of_the_file(xmir):
    Image.fromarray(np.array([[0.25, 0.5], [0.5, 0.75]], np.float32)).save("a.tif")
    (record,) = xmir("info", "a.tif").records()
    assert record["values"] == {"0.25": 1, "0.5": 2, "0.75": 1}
    assert (record["minimum"], record["maximum"], record["distinct"]) == (0.25, 0.75, 3)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dicom_is_told_in_the_units_of_its_modality(xmir, photometric: str):
    pytest.importorskip("pydicom")
    values = np.zeros((8, 8), np.int16)
    values[0], values[1:3] = 24, 1424
    told = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400}
    data = make_dicom(values, PhotometricInterpretation=photometric, **told)
    Path("a.dcm").write_bytes(data)
    (record,) = xmir("info", "a.dcm").records()
    assert record["values"] == {"-1024": 40, "-1000": 8, "400": 16}
    padded = make_dicom(values, PixelPaddingValue=0)
    Path("a.dcm").write_bytes(padded)
    assert "values" not in xmir("info", "a.dcm").records()[0]  # some of its numbers are no image
