"""What `xmir info` says of the numbers in an array, and of objects in a list."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.cells import list_lines
from xmir_cli.store.arrays import write_array


def info(xmir, values: np.ndarray) -> dict:
    write_array(Path("a.npy"), values)
    result = xmir("info", "a.npy")
    assert (result.code, result.stderr) == (0, "")
    return result.records()[0]


def test_the_histogram_is_that_of_numpy(xmir):
    values = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    found = info(xmir, values)
    assert found["histogram"] == np.histogram(values.astype(np.float64), 10)[0].tolist()
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


def test_whole_numbers_beyond_a_float_stay_distinct(xmir):
    assert info(xmir, np.array([2**53, 2**53 + 1]))["distinct"] == 2


def test_objects_in_a_list_are_listed_key_by_key():
    lines = list_lines(
        {"epochs": [{"loss": 0.5, "at": {"lr": 1}}, {"loss": 0.25}], "n": [1, 2]}, 80
    )
    assert [line.split() for line in lines] == [
        ["epochs.1.loss", "0.5"],
        ["epochs.1.at.lr", "1"],
        ["epochs.2.loss", "0.25"],
        ["n", "1,", "2"],
    ]


def test_a_mask_tells_how_many_pixels_each_value_has(xmir):
    mask = np.zeros((10, 12), np.uint8)
    mask[2:5, 3:7] = 255
    Image.fromarray(mask).save("mask.png")
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(10, 12)).save("picture.png")
    Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save("colour.png")
    records = xmir("info", "mask.png", "picture.png", "colour.png").records()
    assert [each.get("values") for each in records] == [{"0": 108, "255": 12}, None, None]
