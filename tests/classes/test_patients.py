"""Patients, not their images, are the unit of errors and permutations."""

import numpy as np
import pytest

from xmir_cli.classes.averages import ClassAverage
from xmir_cli.classes.differences import Averages
from xmir_cli.classes.moments import Moments
from xmir_cli.classes.permutation import corrected_p

SIDE = 8
PIXELS = np.zeros((SIDE, SIDE, 3), np.uint8)


def draw(random, patients, images, names=None):
    """A class of that many images a patient, whose maps share their patient's pattern."""
    drawn = ClassAverage(maps={"none": Moments()})
    for patient in range(patients):
        pattern = random.normal(size=(SIDE, SIDE))
        for _ in range(images):
            saliency = pattern + random.normal(size=(SIDE, SIDE)) / 2
            drawn.add(PIXELS, saliency, None if names is None else f"{names}{patient}")
            drawn.keep(saliency, "none")
    return drawn


def smallest_p(first, second):
    chance = Averages({"a": first, "b": second}, "none", 0.6, 99).chance("a", "b")
    return float(chance.min())


def false_alarms(named):
    """Of 100 halves of one class, how many differ by p < 0.05."""
    found = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        names = ("p", "q") if named else (None, None)
        found += smallest_p(*(draw(random, 6, 5, name) for name in names)) < 0.05
    return found


def test_halves_of_one_class_differ_as_rarely_as_promised():
    assert false_alarms(named=True) <= 11  # binomial(100, 0.05): 5 +- 2.2
    assert false_alarms(named=False) >= 40  # what taking images for independent comes to


def test_patients_with_images_in_both_classes_raise_no_alarm_either():
    found = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        patterns = random.normal(size=(6, SIDE, SIDE))
        classes = []
        for _ in range(2):
            drawn = ClassAverage(maps={"none": Moments()})
            for patient, pattern in enumerate(patterns):
                saliency = pattern + random.normal(size=(SIDE, SIDE))
                drawn.add(PIXELS, saliency, f"p{patient}")
                drawn.keep(saliency, "none")
            classes.append(drawn)
        found += smallest_p(*classes) < 0.05
    assert found <= 11


def test_many_images_of_a_patient_weigh_as_its_mean_map():
    random = np.random.default_rng(0)
    first, second = draw(random, 4, 3, "p"), draw(random, 5, 2, "q")

    def of_means(drawn):
        _, means = drawn.unit_means()
        made = ClassAverage(maps={"none": Moments()})
        for mean in means:
            made.add(PIXELS, mean.reshape(SIDE, SIDE))
            made.keep(mean.reshape(SIDE, SIDE), "none")
        return made

    expected = smallest_p(of_means(first), of_means(second))
    assert smallest_p(first, second) == expected


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 1, 4, 2)])
def test_standard_error_is_that_of_clusters(sizes):
    random = np.random.default_rng(1)
    moments, arrays = Moments(), []
    for patient, size in enumerate(sizes):
        arrays.append(random.normal(size=(size, 3, 3)) + 1000)
        for values in arrays[-1]:
            moments.add(values, f"p{patient}")
    whole = np.concatenate(arrays)
    sums = [(each - whole.mean(axis=0)).sum(axis=0) ** 2 for each in arrays]
    count = len(sizes)
    expected = np.sqrt(count / (count - 1) * np.sum(sums, axis=0)) / len(whole)
    np.testing.assert_allclose(moments.standard_error(), expected, rtol=1e-9)
    if max(sizes) == 1:
        classic = whole.std(axis=0, ddof=1) / np.sqrt(count)
        np.testing.assert_allclose(expected, classic, rtol=1e-9)


def test_images_of_nobody_are_units_of_their_own():
    drawn = ClassAverage(maps={"none": Moments()})
    for patient in ("a", "a", None, None):
        drawn.add(PIXELS, np.ones((SIDE, SIDE)), patient)
    assert len(set(drawn.units)) == drawn.maps["none"].units == 3


@pytest.mark.parametrize("how", ["l1", "none", "max"])
def test_p_does_not_depend_on_the_unit_of_the_maps(how):
    def p_values(unit):
        classes = {}
        for name, shift in (("a", 0), ("b", 0.5)):
            random = np.random.default_rng(ord(name))
            classes[name] = ClassAverage(maps={how: Moments()})
            for _ in range(9):
                saliency = random.random((64, 64)) + shift * (np.arange(64) < 20)
                saliency[:2, :2] = shift  # one cell of the coarse grid separates without spread
                saliency = (unit * saliency).astype(np.float32)
                classes[name].add(np.zeros((64, 64, 3), np.uint8), saliency)
                classes[name].keep(saliency, how)
        return Averages(classes, how, 0.6, 199).chance("a", "b")

    found = p_values(1)
    assert found[0, 0] == found.min() == 1 / 200
    for unit in (1e-20, 1e-6, 1e6):
        assert np.array_equal(p_values(unit), found)


def test_an_image_with_both_labels_is_one_unit_and_moves_nothing():
    """It says the same of both classes, whichever of the two a permutation puts it in."""
    random = np.random.default_rng(0)
    classes = [draw(random, 4, 1) for _ in range(2)]
    for drawn in classes:
        saliency = 100 * np.ones((SIDE, SIDE))
        drawn.add(PIXELS, saliency, None, "both.png")
        drawn.keep(saliency, "none")
    units, means = zip(*(drawn.unit_means() for drawn in classes), strict=True)
    assert units[0][-1] == units[1][-1] == ("image", "both.png")
    found = Averages(dict(zip("ab", classes, strict=True)), "none", 0.6, 99).chance("a", "b")
    assert np.array_equal(found.ravel(), corrected_p(*means, 99, [(4, 4)]))
    assert not np.array_equal(found.ravel(), corrected_p(*means, 99))


def test_a_patient_who_comes_back_is_told():
    drawn = ClassAverage(maps={"none": Moments()})
    for patient, in_turn in (("p", True), ("q", True), ("q", True), (None, True), ("p", False)):
        drawn.add(PIXELS, np.ones((SIDE, SIDE)), patient)
        assert drawn.in_turn == in_turn
