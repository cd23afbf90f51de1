"""Hashes of views: against a cosine transform in loops, and of copies that are turned."""

import math

import numpy as np
import pytest
from PIL import Image

from xmir_cli.audit import hashes
from xmir_cli.audit.hashes import TURNS, compare_frequencies, frequencies_of, list_alike


def blobs(seed, side=64):
    """A smooth grey view [side, side, 3] of 0..255."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.uniform(0, 255, (6, 6)).astype(np.float32))
    greys = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))
    return np.repeat(greys.clip(0, 255)[:, :, None], 3, axis=2)


def test_frequencies_are_those_of_a_cosine_transform_in_loops():
    view = blobs(0, 32)
    greys = view @ [0.299, 0.587, 0.114]
    for u, v in ((1, 1), (1, 8), (5, 3), (8, 2)):
        total = sum(
            greys[y, x]
            * math.cos(math.pi * u * (2 * y + 1) / 64)
            * math.cos(math.pi * v * (2 * x + 1) / 64)
            for y in range(32)
            for x in range(32)
        )
        assert frequencies_of(view)[u - 1, v - 1] == pytest.approx(total, abs=0.05)


@pytest.mark.parametrize(
    ("turn", "turned"),
    [
        ("", lambda view: view),
        ("mirrored", lambda view: view[:, ::-1]),
        ("upside down", lambda view: view[::-1]),
        ("turned by 180 degrees", lambda view: view[::-1, ::-1]),
    ],
)
def test_a_turned_copy_is_known_and_how_it_is_turned(turn, turned):
    view = blobs(1)
    one, other = frequencies_of(view)[None], frequencies_of(turned(view))[None]
    bits, place = compare_frequencies(one, other)
    assert (bits.tolist(), list(TURNS)[place[0]]) == ([0], turn)


def test_other_images_differ_in_many_bits_and_lighter_or_coarser_ones_in_few():
    own = frequencies_of(blobs(2))[None]
    others = np.stack([frequencies_of(blobs(seed)) for seed in range(3, 60)])
    bits, _ = compare_frequencies(np.repeat(own, len(others), axis=0), others)
    assert bits.min() > 6
    lighter = frequencies_of(blobs(2) * 0.8 + 20)[None]
    coarser = frequencies_of(np.rint(blobs(2) / 16) * 16)[None]
    assert compare_frequencies(own, lighter)[0] <= 1
    assert compare_frequencies(own, coarser)[0] <= 4


def test_all_pairs_that_look_alike_are_those_of_loops(monkeypatch):
    monkeypatch.setattr(hashes, "_AT_ONCE", 7)
    views = [blobs(seed) for seed in range(20)]
    views += [views[3][:, ::-1], views[8] * 0.9, views[3][::-1, ::-1], views[12]]
    frequencies = np.stack([frequencies_of(view) for view in views]).astype(np.float32)
    frequencies[12] = np.nan  # was not looked at
    found = set()
    for first, second in list_alike(frequencies, 2):
        found |= set(zip(first.tolist(), second.tolist(), strict=True))
    expected = set()
    for first in range(len(views)):
        for second in range(first + 1, len(views)):
            bits, _ = compare_frequencies(frequencies[[first]], frequencies[[second]])
            if bits[0] <= 2 and 12 not in (first, second):
                expected.add((first, second))
    assert found == expected == {(3, 20), (8, 21), (3, 22), (20, 22)}
