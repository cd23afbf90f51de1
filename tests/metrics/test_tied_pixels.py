"""What the order of ties can change, against all orders there are."""

import itertools

import numpy as np
import pytest
import torch

from xmir_cli.metrics.causal import Ends, causal_curves, fractions
from xmir_cli.metrics.tied_pixels import tie_effect, tie_spans

WEIGHTS = torch.tensor([0.05, 0.2, 0.1, 0.3, 0.15, 0.2]).reshape(1, 2, 3)
ENDS = Ends(torch.ones(1, 2, 3), torch.zeros(1, 2, 3), torch.zeros(1, 2, 3))


def similarity(images):
    return (images * WEIGHTS).sum(dim=(1, 2, 3))


def curves(ranks, step):
    at_ends = similarity(torch.stack([ENDS.intact, ENDS.blurred, ENDS.substrate]))
    return causal_curves(similarity, ENDS, at_ends, ranks, step)


def all_ranks(saliency, least_first):
    """Every order that the map allows."""
    values = saliency.flatten().tolist()
    sign = 1 if least_first else -1
    for order in itertools.permutations(range(6)):
        if sorted(order, key=lambda place: sign * values[place]) == list(order):
            ranks = torch.empty(6, dtype=torch.int64)
            ranks[list(order)] = torch.arange(6)
            yield ranks.reshape(2, 3)


@pytest.mark.parametrize("least_first", [False, True])
@pytest.mark.parametrize("values", [[1, 1, 1, 1, 1, 1], [3, 2, 2, 2, 1, 1], [0, 0, 5, 0, 0, 4]])
def test_no_order_of_the_ties_moves_an_area_farther(values, least_first):
    saliency = torch.tensor(values).reshape(2, 3).double()
    found = curves(list(all_ranks(saliency, least_first)), 1)
    spans = tie_spans(saliency, fractions(6, 1), least_first)
    areas = [(each.insertion.auc, each.deletion.auc) for each in found]
    farthest = np.ptp(areas, axis=0).max()
    for each in found:
        effect = tie_effect(each, spans)
        assert 0 < max(abs(each.insertion.auc - area) for area, _ in areas) <= effect + 1e-9
        assert effect <= 4 * farthest


def test_without_ties_or_with_ties_within_a_step_nothing_hangs_on_their_order():
    distinct = torch.arange(6.0).reshape(2, 3)
    within = torch.tensor([3, 3, 2, 2, 1, 1.0]).reshape(2, 3)
    for saliency, step in ((distinct, 1), (distinct, 4), (within, 2)):
        (found,) = curves([next(all_ranks(saliency, False))], step)
        assert tie_effect(found, tie_spans(saliency, fractions(6, step), False)) == 0


def test_an_area_between_equal_similarities_cannot_be_moved():
    flat = torch.zeros(2, 3)
    at_ends = torch.tensor([0.5, 0.5, 0.5])
    ranks = [torch.arange(6).reshape(2, 3)]
    (found,) = causal_curves(
        lambda images: torch.full((len(images),), 0.5), ENDS, at_ends, ranks, 1
    )
    assert tie_effect(found, tie_spans(flat, fractions(6, 1), False)) == 0


def test_pixels_beyond_the_picture_are_no_ties():
    """They come last whatever the map says, those of no value in it among them."""
    saliency = torch.tensor([[torch.nan, 2.0, torch.nan], [torch.nan, 1.0, torch.nan]])
    for least_first in (False, True):
        spans = tie_spans(saliency, fractions(6, 1), least_first)
        assert spans.start.tolist() == spans.end.tolist() == fractions(6, 1).tolist()
    saliency[1, 1] = 2.0
    spans = tie_spans(saliency, fractions(6, 1), False)
    assert (spans.end - spans.start).tolist() == [0, pytest.approx(1 / 3), 0, 0, 0, 0, 0]
