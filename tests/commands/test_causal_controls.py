"""causal-metric: controls at the map's own scale, maps that are the same, and ROAD."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.metrics.impute import impute
from xmir_cli.metrics.order import pixel_ranks
from xmir_cli.metrics.protocol import Protocol
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.pictures.reading import read_image

BRIGHT = f"{Path(__file__).parents[1] / 'networks' / 'bright.py'}:network"
PLACES = ((16, 24), (64, 16), (40, 72))  # of a bright spot in each picture: row, column
SIDE, SPOT = 96, 16  # pixels


@pytest.fixture(scope="module")
def embedder():
    choice = ModelChoice(architecture=BRIGHT, weights="random:0")
    return load_embedder(resolve_model(choice), "cpu")


@pytest.fixture
def pictures(tmp_path):
    """Dark pictures, each with a bright spot somewhere else."""
    paths = []
    for number, (row, column) in enumerate(PLACES):
        pixels = np.random.default_rng(number).integers(20, 60, (SIDE, SIDE, 3), dtype=np.uint8)
        pixels[row : row + SPOT, column : column + SPOT] = 255
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        paths.append(str(tmp_path / f"{number}.png"))
    return paths


def truth(number):
    """A map that is right: high on the spot, with slopes that have no ties."""
    row, column = PLACES[number]
    y, x = np.mgrid[:SIDE, :SIDE]
    middle = SPOT / 2 - 0.5
    return -np.hypot(y - row - middle, x - column - middle) - 1e-3 * x


@pytest.fixture
def make(pictures, embedder, tmp_path):
    def make(number, saliency, method="hand", **changes):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, np.asarray(saliency, dtype=np.float32))
        record = {
            "schema": "xmir.saliency/1",
            "query": pictures[number - 1],
            "retrieved": pictures[number],
            "rank": 1,
            "method": method,
            "settings": {},
            "explains": "retrieved",
            "saliency": str(path),
            "model": embedder.spec.to_json(),
        }
        return {**record, **changes}

    return make


@pytest.fixture
def score(xmir):
    def run(*flags, of):
        flags = ("causal-metric", "--curve-steps", "24", *flags)
        return xmir(*flags, stdin="".join(json.dumps(each) + "\n" for each in of))

    return run


def test_a_right_map_beats_its_own_cells_elsewhere_and_scattered_noise_does_not(make, score):
    noise = np.random.default_rng(5).random((3, SIDE, SIDE))
    records = [make(number, truth(number)) for number in range(3)]
    records += [make(number, noise[number], "noise") for number in range(3)]
    result = score("--control", "shuffled,other-pair", "--summary", of=records)
    right, scattered = result.records()
    for control in ("shuffled", "other-pair"):
        assert right["deletion_gain"][control] > 0.1
        assert abs(scattered["deletion_gain"][control]) < 0.05


def test_the_other_pair_is_scored_with_the_map_of_another_image(make, score):
    first, second = make(0, truth(0)), make(1, truth(1))
    found = score("--control", "other-pair", of=[first, second]).records()
    swapped = [make(0, truth(1)), make(1, truth(0))]
    expected = score(of=swapped).records()
    for each, plain in zip(found, expected, strict=True):
        assert each["insertion_control"]["other-pair"] == plain["insertion"]
        assert each["deletion_control_curve"]["other-pair"] == plain["deletion_curve"]


def test_another_method_or_setting_is_no_other_pair(make, score):
    alone = make(2, truth(2), "another")
    result = score(
        "--control",
        "other-pair",
        of=[make(0, truth(0)), make(1, truth(1)), alone, make(0, truth(0), settings={"a": 1})],
    )
    assert (result.code, len(result.records())) == (3, 2)
    reason = "no-control: no other image has a map of this method and its settings"
    assert result.stderr.splitlines()[:2] == [
        f"xmir: warning: skipped line 3: {reason}",
        f"xmir: warning: skipped line 4: {reason}",
    ]


def test_the_map_of_the_same_image_under_another_name_is_no_other_pair(make, score):
    same = [make(0, truth(0)), make(0, truth(0), query="2.png")]
    assert score("--control", "other-pair", of=same).code == 5


def test_a_map_and_its_blurred_self_differ_by_its_detail(make, score):
    noisy = truth(0) + 20 * np.random.default_rng(0).normal(size=(SIDE, SIDE))
    smooth, rough = score(
        "--control", "blurred", of=[make(0, truth(0)), make(1, noisy, "noisy")]
    ).records()
    assert abs(smooth["insertion_gain"]["blurred"]) < 0.02
    assert abs(rough["insertion_gain"]["blurred"]) > 0.02


def test_two_methods_of_one_map_are_told_once_they_are_met(make, score):
    grey = truth(0) + 300
    records = [
        make(0, grey, "activation"),
        make(0, 3 * grey, "gradcam"),
        make(0, truth(1), "else"),
        make(1, truth(1), "activation"),
        make(1, truth(0), "gradcam"),
    ]
    result = score(of=records)
    assert [row.get("same_as") for row in result.records()] == [
        None,
        ["activation"],
        None,
        None,
        None,
    ]
    assert result.stderr == (
        "xmir: note: activation and gradcam are the same map in 1 of 2 pairs: what they score is "
        "one finding\n"
    )
    # also when methods come one after the other, and when records are scored already
    turned = [records[0], records[3], records[1], records[4]]
    again = score(of=turned)
    assert again.stderr == result.stderr
    assert score("--summary", of=again.records()).stderr == result.stderr


def test_what_one_of_two_maps_cuts_off_at_zero_is_not_compared(make, score):
    signed = truth(0) + 30
    records = [make(0, signed, "activation"), make(0, 3 * signed.clip(min=0), "gradcam")]
    records += [make(0, -signed, "else")]
    alike = [row.get("same_as") for row in score(of=records).records()]
    assert alike == [None, ["activation"], None]


def test_one_record_twice_and_flat_maps_are_no_two_methods(make, score):
    twice = make(0, truth(0))
    flat = [make(1, np.zeros((SIDE, SIDE)), name) for name in ("a", "b")]
    assert all("same_as" not in row for row in score(of=[twice, twice, *flat]).records())


def test_road_is_never_without_the_blurred_map(make, score):
    (row,) = score("--substrate", "road", of=[make(0, truth(0))]).records()
    assert list(row["deletion_gain"]) == ["blurred"]
    assert row["causal"]["substrate"] == "road"
    assert (row["causal"]["road_noise"], row["causal"]["fill"]) == (0.01, None)
    flags = ("--substrate", "road", "--control", "center", "--min", "deletion_gain.blurred=-1")
    (row,) = score(*flags, of=[make(0, truth(0))]).records()
    assert list(row["deletion_gain"]) == ["center", "blurred"]


def test_road_equals_its_steps_one_by_one(make, score, embedder, pictures):
    saliency = truth(1)
    (row,) = score("--substrate", "road", "--seed", "3", of=[make(1, saliency)]).records()
    query, image = (read_image(path, embedder.recipe).input for path in pictures[:2])
    target = embedder.embed(query[None])[0]
    ranks = pixel_ranks(torch.from_numpy(saliency.astype(np.float32)))
    noise = 0.01 * torch.randn(image.shape, generator=torch.Generator().manual_seed(3))
    curve = []
    for count in range(0, SIDE * SIDE + 1, SIDE * SIDE // 24):
        hidden = ranks < count
        filled = torch.where(hidden, impute(image, hidden[None])[0] + noise, image)
        curve.append(max(0.0, float(embedder.embed(filled[None])[0] @ target)))
    assert row["deletion_curve"] == pytest.approx(curve, abs=1e-4)
    assert score(
        "--substrate", "road", "--seed", "3", "--batch", "1", of=[make(1, saliency)]
    ).records()[0]["deletion_curve"] == pytest.approx(row["deletion_curve"], abs=1e-5)


def test_the_noise_of_road_repeats_with_its_seed():
    image = torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(0))
    ends = [Protocol(substrate="road", seed=seed).ends(image).substrate for seed in (1, 1, 2)]
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    left = ends[0] - image.mean(dim=(1, 2), keepdim=True)
    assert float(left.std()) == pytest.approx(0.01, rel=0.1)
