import math

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate, gaussian_filter

from xmir_cli.metrics.blur import blur, folded_gaussian, mirror

PAPER, RISE = (51, math.sqrt(50)), (11, 5.0)


def naive_factor(size, sigma):
    """The formula of the folded kernel, term by term."""
    reach = math.floor(4 * sigma + 0.5)
    gaussian = {d: math.exp(-d * d / (2 * sigma * sigma)) for d in range(-reach, reach + 1)}
    total = sum(gaussian.values())
    factor = [0.0] * size
    for d, weight in gaussian.items():
        place = size // 2 + d
        while not 0 <= place < size:
            place = -1 - place if place < 0 else 2 * size - 1 - place
        factor[place] += weight / total
    return factor


@pytest.mark.parametrize(("size", "sigma"), [PAPER, RISE, (3, 2.0), (1, 1.0)])
def test_the_factor_is_the_sum_of_all_weights_that_fold_onto_a_place(size, sigma):
    assert folded_gaussian(size, sigma).tolist() == pytest.approx(
        naive_factor(size, sigma), abs=1e-15
    )


@pytest.mark.parametrize(("size", "sigma"), [PAPER, RISE])
def test_the_kernel_is_scipys_answer_to_an_impulse_as_in_the_code_of_rise(size, sigma):
    impulse = np.zeros((size, size))
    impulse[size // 2, size // 2] = 1
    factor = folded_gaussian(size, sigma).numpy()
    np.testing.assert_allclose(
        np.outer(factor, factor), gaussian_filter(impulse, sigma), atol=1e-15
    )
    assert factor.sum() == pytest.approx(1, abs=1e-14)


def test_the_kernel_of_rise_is_nearly_a_box_and_the_papers_nearly_a_gaussian():
    def truncated(size, sigma):
        d = np.arange(size) - size // 2
        g = np.exp(-(d**2) / (2 * sigma**2))
        return np.outer(g / g.sum(), g / g.sum())

    def kernel(size, sigma):
        factor = folded_gaussian(size, sigma).numpy()
        return np.outer(factor, factor)

    rise, plain = kernel(*RISE), truncated(*RISE)
    assert rise[5, 5] / plain[5, 5] == pytest.approx(0.74, abs=0.005)
    assert rise[0, 0] / plain[0, 0] == pytest.approx(1.76, abs=0.005)
    assert kernel(*PAPER)[25, 25] / truncated(*PAPER)[25, 25] == pytest.approx(1, abs=6e-4)


def test_mirrors_stand_before_the_first_and_behind_the_last_place():
    places = torch.arange(-4, 8)
    assert mirror(places, 3).tolist() == [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]


@pytest.mark.parametrize(("reflect", "mode"), [(False, "constant"), (True, "reflect")])
def test_blur_is_the_two_dimensional_correlation_of_each_channel(reflect, mode):
    image = torch.randn(3, 9, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    factor = folded_gaussian(*RISE)
    expected = [correlate(c, np.outer(factor, factor), mode=mode) for c in image.numpy()]
    np.testing.assert_allclose(blur(image, factor, reflect).numpy(), expected, atol=1e-12)


def test_zero_padding_fades_the_corner_to_model_space_zero_and_reflection_keeps_it():
    image, factor = torch.ones(3, 60, 60), folded_gaussian(*PAPER)
    faded = blur(image, factor)
    assert faded[:, 0, 0].tolist() == pytest.approx([0.28] * 3, abs=0.01)
    assert faded[:, 30, 30].tolist() == pytest.approx([1] * 3, abs=1e-6)
    assert torch.allclose(blur(image, factor, reflect=True), image)


def test_a_mirrored_image_may_be_smaller_than_the_kernel():
    image = torch.arange(12.0).reshape(3, 2, 2)
    assert blur(image, folded_gaussian(*RISE), reflect=True).shape == (3, 2, 2)
