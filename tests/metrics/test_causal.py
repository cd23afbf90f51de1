from itertools import permutations

import numpy as np
import pytest
import torch

from xmir_cli.metrics.causal import Curve, Ends, causal_curves, fractions
from xmir_cli.metrics.order import pixel_ranks


def pixel_sum(images):
    """A model that sees the sum of the first channel."""
    return images[:, 0].sum(dim=(1, 2))


def an_image(height, width, seed=0):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def ends_of(image):
    return Ends(image, torch.zeros_like(image) + 0.01, torch.zeros_like(image))


def score(similarity, ends, ranks, step, batch=64):
    at_ends = similarity(torch.stack([ends.intact, ends.blurred, ends.substrate]))
    return causal_curves(similarity, ends, at_ends, ranks, step, batch)


def curves(saliency, image=None, step=1, similarity=pixel_sum):
    image = an_image(*saliency.shape) if image is None else image
    return score(similarity, ends_of(image), [pixel_ranks(saliency)], step)[0]


def test_the_curves_of_a_pixel_sum_are_those_worked_out_by_hand():
    """Pixels .7 and .3, the first more salient: deletion 1, .3, 0; insertion 0, .7, 1."""
    image = torch.tensor([[0.7, 0.3]]).expand(3, 1, 2)
    ends = Ends(image, torch.zeros(3, 1, 2), torch.zeros(3, 1, 2))
    (found,) = score(pixel_sum, ends, [torch.tensor([[0, 1]])], step=1)
    assert found.deletion.similarities.tolist() == pytest.approx([1, 0.3, 0])
    assert found.insertion.similarities.tolist() == pytest.approx([0, 0.7, 1])
    assert found.deletion.fractions.tolist() == [0, 0.5, 1]
    assert found.deletion.auc == pytest.approx(0.4)
    assert found.insertion.auc == pytest.approx(0.6)


def naive(saliency, image, step):
    """Both curves by cumulative copies, one image at a time, as RISE's loop does."""
    order = sorted(range(saliency.numel()), key=lambda i: (-saliency.flatten()[i].item(), i))
    ends = ends_of(image)
    found = []
    for start, final in [(ends.blurred, ends.intact), (ends.intact, ends.substrate)]:
        now = start.clone()
        curve = [max(0.0, pixel_sum(now[None]).item())]
        for first in range(0, len(order), step):
            for place in order[first : first + step]:
                row, column = divmod(place, saliency.shape[1])
                now[:, row, column] = final[:, row, column]
            curve.append(max(0.0, pixel_sum(now[None]).item()))
        found.append(curve)
    return found


@pytest.mark.parametrize("step", [1, 3, 4, 5, 7, 20, 50])
def test_curves_equal_rises_loop_also_when_the_steps_do_not_divide_the_pixels(step):
    saliency = torch.randn(4, 5, generator=torch.Generator().manual_seed(3)).round(decimals=0)
    image = an_image(4, 5)
    insertion, deletion = naive(saliency, image, step)
    found = curves(saliency, image, step)
    assert found.insertion.similarities.tolist() == pytest.approx(insertion, abs=1e-5)
    assert found.deletion.similarities.tolist() == pytest.approx(deletion, abs=1e-5)
    assert len(found.deletion.similarities) == -(-20 // step) + 1


def test_fractions_are_the_pixels_really_replaced():
    assert fractions(10, 4).tolist() == [0, 0.4, 0.8, 1]
    assert fractions(224 * 224, 224).shape == (225,)
    assert fractions(9, 9).tolist() == [0, 1]


def test_the_area_equals_rises_when_the_steps_divide_the_pixels():
    points = np.random.default_rng(0).random(13)
    rise = (points.sum() - (points[0] + points[-1]) / 2) / 12
    assert Curve(fractions(24, 2), points).auc == pytest.approx(rise, abs=1e-12)
    trapezoids = (points[1:] + points[:-1]).sum() / 24
    assert Curve(fractions(24, 2), points).auc == pytest.approx(trapezoids)


def test_one_step_has_the_area_of_one_trapezoid():
    image = an_image(3, 4) / 12
    found = curves(torch.rand(3, 4), image, step=12)
    assert found.deletion.auc == pytest.approx((pixel_sum(image[None]).item() + 0) / 2)
    assert len(found.insertion.similarities) == 2


def test_the_ends_do_not_depend_on_the_map():
    image = an_image(4, 4)
    for seed in range(3):
        saliency = torch.randn(4, 4, generator=torch.Generator().manual_seed(seed))
        found = curves(saliency, image, step=3)
        whole = pytest.approx(image[0].sum().item())
        assert found.deletion.similarities[0] == whole
        assert found.insertion.similarities[-1] == whole
        assert found.deletion.similarities[-1] == 0
        assert found.insertion.similarities[0] == pytest.approx(0.16)


def test_after_the_last_step_every_pixel_is_replaced():
    """The step before the last of 16 pixels by 15 leaves exactly one."""
    seen = []

    def watch(images):
        seen.append(images)
        return pixel_sum(images)

    image = an_image(4, 4) + 1
    curves(torch.rand(4, 4), image, step=15, similarity=watch)
    insertion, deletion = seen[1]  # after the ends
    assert (deletion[0] != 0).sum() == 1
    assert (insertion[0] == image[0]).sum() == 15
    assert (torch.where(deletion == 0, insertion, deletion) == image).all()


def test_a_constant_model_has_its_constant_as_area():
    found = curves(
        torch.rand(4, 4), step=3, similarity=lambda images: torch.full((len(images),), 0.3)
    )
    assert (found.insertion.auc, found.deletion.auc) == pytest.approx((0.3, 0.3))


def test_the_curve_of_a_model_that_is_not_constant_is_not_constant():
    found = curves(torch.rand(4, 4))
    assert np.ptp(found.insertion.similarities) > 1
    assert np.ptp(found.deletion.similarities) > 1


def test_negative_similarities_count_as_zero():
    found = curves(torch.rand(4, 4), similarity=lambda images: -pixel_sum(images))
    assert not found.insertion.similarities.any()
    assert not found.deletion.similarities.any()


def test_the_area_lies_between_the_extremes_of_the_curve():
    found = curves(torch.rand(5, 5), step=4)
    for curve in (found.insertion, found.deletion):
        assert curve.similarities.min() <= curve.auc <= curve.similarities.max()


def test_the_ideal_map_of_a_pixel_sum_has_the_smallest_deletion_area_of_all():
    """All 9! orders on 3 x 3: the area is a weighted sum of the pixels, checked for every order."""
    image = an_image(3, 3)
    values = image[0].flatten().double().numpy()
    orders = np.array(list(permutations(range(9))))
    remaining = values.sum() - np.cumsum(values[orders], axis=1)  # [9!, 9]
    areas = (values.sum() + 2 * remaining[:, :-1].sum(axis=1)) / 18
    ideal = curves(image[0], image).deletion.auc
    assert ideal == pytest.approx(areas.min(), abs=1e-6)
    worst = curves(-image[0], image).deletion.auc
    assert worst == pytest.approx(areas.max(), abs=1e-6)


def test_permuting_the_pixels_of_image_and_map_together_changes_nothing():
    image, saliency = an_image(4, 5), torch.rand(4, 5)
    shuffle = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    moved = image.flatten(1)[:, shuffle].reshape(3, 4, 5)
    moved_saliency = saliency.flatten()[shuffle].reshape(4, 5)
    first, second = curves(saliency, image), curves(moved_saliency, moved)
    np.testing.assert_allclose(first.deletion.similarities, second.deletion.similarities, atol=1e-5)
    np.testing.assert_allclose(
        first.insertion.similarities, second.insertion.similarities, atol=1e-5
    )


@pytest.mark.parametrize("batch", [1, 2, 7, 1000])
def test_batch_size_and_company_do_not_change_the_curves(batch):
    image = an_image(5, 6)
    ranks = [pixel_ranks(torch.rand(5, 6)) for _ in range(3)]
    together = score(pixel_sum, ends_of(image), ranks, 4, batch)
    for rank, found in zip(ranks, together, strict=True):
        (alone,) = score(pixel_sum, ends_of(image), [rank], 4)
        np.testing.assert_allclose(
            found.insertion.similarities, alone.insertion.similarities, atol=1e-5
        )
        np.testing.assert_allclose(
            found.deletion.similarities, alone.deletion.similarities, atol=1e-5
        )


def test_the_shared_ends_are_not_scored_again():
    images_scored = 0

    def count(images):
        nonlocal images_scored
        images_scored += len(images)
        return pixel_sum(images)

    ranks = [pixel_ranks(torch.rand(4, 4)) for _ in range(3)]
    causal_curves(count, ends_of(an_image(4, 4)), torch.ones(3), ranks, step=4)
    assert images_scored == 3 * 2 * 3


def test_inputs_are_not_changed():
    image, saliency = an_image(4, 4), torch.rand(4, 4)
    ranks = [pixel_ranks(saliency)]
    ends = ends_of(image)
    before = [t.clone() for t in (image, saliency, ranks[0], ends.blurred, ends.substrate)]
    score(pixel_sum, ends, ranks, 3)
    after = (image, saliency, ranks[0], ends.blurred, ends.substrate)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_on_a_flat_map_the_order_of_ties_alone_decides_the_area():
    """On a map of nothing but ties the order of the rows alone decides the area."""
    image = torch.zeros(3, 4, 4)
    image[:, :2] = 1.0
    flat, seeded = torch.zeros(4, 4), pixel_ranks(torch.zeros(4, 4), seed=0)
    row = curves(flat, image).deletion.auc
    (mixed,) = score(pixel_sum, ends_of(image), [seeded], 1)
    assert row == pytest.approx(2)  # the bright rows go first
    assert mixed.deletion.auc > row
