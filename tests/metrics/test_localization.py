"""The numbers of a map against a mask: by hand, by loops, and by scikit-learn."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, jaccard_score, roc_auc_score

from xmir_cli.metrics.localization import STEPS, chance, locate

ALL = ("hit", "energy", "rank_accuracy", "auroc", "auprc", "iou")


def numbers(saliency, mask, grown=None, threshold=0.5):
    mask = np.asarray(mask, bool)
    grown = mask if grown is None else np.asarray(grown, bool)
    return locate(np.asarray(saliency, np.float64), mask, grown, threshold).numbers


def by_loops(saliency, mask, grown, threshold):
    """Each number as its sentence says, pixel by pixel."""
    pixels, area = range(len(mask)), sum(mask)
    largest = max(saliency)
    top = [p for p in pixels if saliency[p] == largest]
    positive = [max(0.0, value) for value in saliency]
    wins = sum(
        (saliency[p] > saliency[q]) + (saliency[p] == saliency[q]) / 2
        for p, q in itertools.product(pixels, pixels)
        if mask[p] and not mask[q]
    )
    precision = recall_before = 0.0
    for value in sorted(set(saliency), reverse=True):
        chosen = [p for p in pixels if saliency[p] >= value]
        right = sum(mask[p] for p in chosen)
        precision += (right / area - recall_before) * right / len(chosen)
        recall_before = right / area
    ranked, left = 0.0, area
    for value in sorted(set(saliency), reverse=True):
        equal = [p for p in pixels if saliency[p] == value]
        taken = min(left, len(equal))
        ranked += taken * sum(mask[p] for p in equal) / len(equal)
        left -= taken
    high = {p for p in pixels if saliency[p] >= threshold * largest}
    marked = {p for p in pixels if mask[p]}
    return {
        "hit": sum(grown[p] for p in top) / len(top),
        "energy": sum(positive[p] for p in marked) / sum(positive),
        "rank_accuracy": ranked / area,
        "auroc": wins / (area * (len(mask) - area)),
        "auprc": precision,
        "iou": len(high & marked) / len(high | marked),
    }


def test_four_pixels_by_hand():
    found = numbers([4, 1, 2, 1], [1, 0, 0, 1], threshold=0.25)
    assert found == {
        "hit": 1.0,
        "energy": 5 / 8,
        "rank_accuracy": 0.5,  # of the two highest, 4 and 2, one is marked
        "auroc": (2 + 0.5) / 4,
        "auprc": pytest.approx(0.5 * 1 + 0.5 * 2 / 4),
        "iou": 0.5,
    }


def test_equal_pixels_count_by_their_share():
    found = numbers([1, 1, 1, 1], [1, 0, 0, 0])
    assert found == {
        "hit": 0.25,
        "energy": 0.25,
        "rank_accuracy": 0.25,
        "auroc": 0.5,
        "auprc": 0.25,
        "iou": 0.25,
    }
    assert {name: found[name] for name in found if name != "iou"} == chance(
        np.array([1, 0, 0, 0], bool), np.array([1, 0, 0, 0], bool)
    )


@pytest.mark.parametrize("levels", [3, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_the_numbers_equal_loops_over_pixels(seed, levels):
    rng = np.random.default_rng(seed)
    saliency = (rng.integers(-levels, levels, 60) + 1) / 7
    mask = rng.random(60) < 0.3
    grown = mask | (rng.random(60) < 0.2)
    expected = by_loops(saliency.tolist(), mask.tolist(), grown.tolist(), 0.4)
    assert numbers(saliency, mask, grown, 0.4) == pytest.approx(expected, abs=1e-12)


def test_the_areas_equal_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    for levels in (4, 10_000):
        saliency, mask = rng.integers(-levels, levels, 3000) / 3, rng.random(3000) < 0.1
        found = numbers(saliency, mask)
        assert found["auroc"] == pytest.approx(roc_auc_score(mask, saliency), abs=1e-12)
        expected = average_precision_score(mask, saliency)
        assert found["auprc"] == pytest.approx(expected, abs=1e-12)
        high = saliency >= 0.5 * saliency.max()
        assert found["iou"] == pytest.approx(jaccard_score(mask, high), abs=1e-12)


def test_a_map_that_is_the_mask_is_right_in_every_way():
    mask = np.random.default_rng(0).random(500) < 0.2
    found = locate(mask.astype(float), mask, mask, 0.5)
    assert set(found.numbers.values()) == {1.0}
    worst = numbers(~mask, mask)
    assert [worst[name] for name in ALL if name != "auprc"] == [0.0] * 5
    # the curve reaches all of the mask where as much is taken as the mask has
    at = found.found[np.linspace(0, 1, STEPS + 1) >= mask.mean()]
    assert (at == 1).all()


def test_noise_is_at_chance():
    rng = np.random.default_rng(5)
    mask = np.zeros((24, 24), bool)
    mask[3:9, 5:14] = True
    grown = np.zeros_like(mask)
    grown[1:11, 3:16] = True
    drawn = [locate(rng.random(576), mask.ravel(), grown.ravel(), 0.5).numbers for _ in range(2000)]
    expected = chance(mask, grown)
    # of few pixels a little more than their share: Bestgen, Exact expected average precision, 2015
    harmonic = (1 / np.arange(1, 577)).sum()
    expected["auprc"] = (53 / 575 * (576 - harmonic) + harmonic) / 576
    for name, value in expected.items():
        values = np.array([each[name] for each in drawn])
        error = values.std(ddof=1) / len(values) ** 0.5
        assert values.mean() == pytest.approx(value, abs=3.3 * error), name
    assert expected["auprc"] - mask.mean() < harmonic / 576


def test_the_curves_are_what_their_names_say():
    saliency = np.array([5.0, 4, 4, 1, -2])
    mask = np.array([1, 1, 0, 0, 0], bool)
    found = locate(saliency, mask, mask, 0.5)
    shares = np.linspace(0, 1, STEPS + 1)
    assert found.found[shares == 0.2] == pytest.approx(0.5)
    assert found.found[shares == 0.4] == pytest.approx(
        0.75
    )  # one of two equals, right half the time
    assert found.found[shares == 0.6] == pytest.approx(1)
    assert found.iou[[0, -1]] == pytest.approx([0.5, 0.5])
    expected = [
        (mask & (saliency >= share * 5)).sum() / (mask | (saliency >= share * 5)).sum()
        for share in shares
    ]
    np.testing.assert_allclose(found.iou, expected)


def test_values_near_the_largest_that_there_are_give_the_numbers_of_small_ones():
    small = np.array([3.0, 1.0, 2.0, -1.0])
    mask = np.array([True, False, False, False])
    numbers = [locate(each, mask, mask, 0.5).numbers for each in (small, small * 5e307)]
    assert numbers[0] == pytest.approx(numbers[1])
    assert numbers[0]["energy"] == pytest.approx(0.5)
