import numpy as np
import pytest

from xmir_cli.classes.moments import Moments, normalize, subtract_means


@pytest.fixture
def maps():
    return np.random.default_rng(0).random((9, 6, 6)).astype(np.float32)


def moments(arrays):
    running = Moments()
    for values in arrays:
        running.add(values)
    return running


def test_l1_gives_every_map_the_mean_one_and_max_the_largest_value_one(maps):
    assert np.abs(normalize(maps[0], "l1")).mean() == pytest.approx(1)
    assert np.abs(normalize(-maps[0], "max")).max() == pytest.approx(1)
    assert np.array_equal(normalize(maps[0], "none"), maps[0].astype(np.float64))


@pytest.mark.parametrize("how", ["l1", "none", "max"])
def test_map_of_zeros_stays_zero(how):
    assert not normalize(np.zeros((3, 3), np.float32), how).any()


def test_streaming_equals_the_moments_of_all_at_once(maps):
    running = moments(maps)
    np.testing.assert_allclose(running.mean, maps.mean(axis=0), atol=1e-6)
    expected = maps.astype(np.float64).std(axis=0, ddof=1) / np.sqrt(len(maps))
    np.testing.assert_allclose(running.standard_error(), expected, atol=1e-6)


def test_order_does_not_matter(maps):
    np.testing.assert_allclose(moments(maps[::-1]).mean, moments(maps).mean, atol=1e-6)


def test_mean_of_duplicates_is_the_same(maps):
    twice = np.concatenate([maps, maps])
    np.testing.assert_allclose(moments(twice).mean, moments(maps).mean, atol=1e-6)


def test_standard_error_of_one_map_is_zero(maps):
    assert not moments(maps[:1]).standard_error().any()


def test_one_image_a_class_gives_the_difference_of_the_two_maps(maps):
    found = subtract_means(moments(maps[:1]), moments(maps[1:2])).mean
    np.testing.assert_allclose(found, maps[0].astype(float) - maps[1], atol=1e-6)


def test_differences_are_antisymmetric_and_add_up(maps):
    a, b, c = moments(maps[:3]), moments(maps[3:5]), moments(maps[5:])
    assert not subtract_means(a, a).mean.any()
    np.testing.assert_allclose(subtract_means(a, b).mean, -subtract_means(b, a).mean)
    chain = subtract_means(a, b).mean + subtract_means(b, c).mean
    np.testing.assert_allclose(chain, subtract_means(a, c).mean, atol=1e-6)


def test_difference_of_l1_maps_has_the_mean_zero(maps):
    scaled = [normalize(values, "l1") for values in maps]
    found = subtract_means(moments(scaled[:4]), moments(scaled[4:])).mean
    assert found.mean() == pytest.approx(0, abs=1e-12)
