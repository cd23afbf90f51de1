"""`xmir saliency --cache`: what does not depend on the query is computed once."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.saliency import hidden

WINDOWS = ("--window-size", "8", "--stride", "8")


@pytest.fixture
def images():
    names = ["a.png", "b.png", "c.png"]
    for seed, name in enumerate(names):
        coarse = np.random.default_rng(seed).integers(0, 255, (5, 6), dtype=np.uint8)
        Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC).save(name)
    return names


@pytest.fixture
def explain(xmir, images, tiny_arch):
    """Explain c.png for a query; a folder of its own, so that no finished map is found."""

    def run(query, folder, *flags):
        network = ("--arch", tiny_arch, "--weights", "random:1")
        pair = ("--query", query, "--image", images[2], "-o", folder)
        settings = ("--masks", "40") if "rise" in flags else WINDOWS
        result = xmir("saliency", *pair, *network, *settings, *flags)
        assert result.code == 0, result.stderr
        [record] = result.records()
        return np.load(record["saliency"])

    return run


def refuse(*_):
    pytest.fail("computed again")


def test_further_queries_and_commands_compute_nothing_again(explain, images, monkeypatch):
    plain = explain(images[1], "plain")
    explain(images[0], "first", "--cache", "kept")
    monkeypatch.setattr(hidden, "embed_hidden", refuse)
    monkeypatch.setattr(
        hidden, "program_if_cheaper", refuse
    )  # nor is the network followed for nothing
    found = explain(images[1], "second", "--cache", "kept")
    np.testing.assert_array_equal(found, plain)
    itself = explain(images[2], "itself", "--cache", "kept")
    assert float(itself.max()) > 0


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_half_precision_is_the_same_now_and_later_and_close(explain, images, method):
    flags = ("--method", method, "--cache", "kept", "--cache-half")
    exact = explain(images[0], "exact", *flags[:2])
    first = explain(images[0], "first", *flags)
    again = explain(images[0], "second", *flags)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, exact)
    np.testing.assert_allclose(first, exact, atol=2e-3)
    [array] = Path("kept").glob("*.npy")
    assert np.load(array).dtype == np.float16


def test_a_map_of_what_was_rounded_is_not_taken_for_the_exact_one(explain, images):
    rounded = explain(images[0], "maps", "--cache", "kept", "--cache-half")
    exact = explain(images[0], "maps", "--cache", "kept")
    assert not np.array_equal(rounded, exact)
    np.testing.assert_array_equal(exact, explain(images[0], "others"))


def test_other_windows_networks_and_precisions_do_not_mix(explain, images):
    explain(images[0], "a", "--cache", "kept")
    explain(images[0], "b", "--cache", "kept", "--fill", "black")
    explain(images[0], "c", "--cache", "kept", "--cache-half")
    explain(images[0], "d", "--cache", "kept", "--weights", "random:2")
    explain(images[0], "e", "--cache", "kept", "--similarity-tolerance", "0.1")
    assert len(list(Path("kept").glob("*.npy"))) == 5


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "other"])
def test_damaged_files_count_as_not_there(explain, images, damage):
    expected = explain(images[0], "a", "--cache", "kept")
    [array] = Path("kept").glob("*.npy")
    data = bytearray(array.read_bytes())
    data[-3] ^= 64
    if damage == "gone":
        array.unlink()
    elif damage == "other":
        about = array.with_suffix(".json")
        content = json.loads(about.read_text())
        content["made_of"]["image_sha256"] = "0" * 64
        about.write_text(json.dumps(content))
    else:
        array.write_bytes(data if damage == "flip" else data[:-8])
    np.testing.assert_array_equal(explain(images[0], "b", "--cache", "kept"), expected)
    np.testing.assert_array_equal(np.load(array), np.load(array))
    np.testing.assert_array_equal(explain(images[0], "c", "--cache", "kept"), expected)


def test_partial_answers_of_a_budget_are_not_kept(explain, images, monkeypatch):
    clock = iter(range(0, 10**6, 1000))
    monkeypatch.setattr(hidden.time, "monotonic", lambda: next(clock))
    explain(images[0], "a", "--cache", "kept", "--budget", "1", "--stride", "2")
    assert not list(Path("kept").glob("*.npy"))
