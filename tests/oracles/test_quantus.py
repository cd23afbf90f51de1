"""The numbers of a map against a mask equal those of Quantus, where both define them.

They differ on purpose: of several equal maxima Quantus counts any as a hit where xmir counts their
share; among equal pixels its rank accuracy takes some, in the order of a sort; its relevance mass
divides by the sum with its negative part; an empty mask is NaN. So maps here have no equal pixels,
or no negative ones, as told.
"""

import warnings

import numpy as np
import pytest
import torch

from xmir_cli.metrics.localization import locate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    quantus = pytest.importorskip("quantus", reason="needs Quantus: tests/run-extras.sh oracles")

pytestmark = pytest.mark.filterwarnings("ignore")
MAPS, SIDE = 12, 24


@pytest.fixture(params=["distinct", "signed", "equal"])
def batch(request):
    """Maps [N, 1, S, S] and masks, and what is told of their values."""
    rng = np.random.default_rng(4)
    maps = rng.random((MAPS, 1, SIDE, SIDE)) + 1e-3
    if request.param == "signed":
        maps -= 0.5
    if request.param == "equal":
        maps = np.ceil(maps * 4)
    masks = np.zeros((MAPS, 1, SIDE, SIDE), bool)
    for mask in masks:
        top, left, height, width = rng.integers(1, SIDE // 2, 4)
        mask[0, top : top + height, left : left + width] = True
    return request.param, maps, masks


def theirs(name, maps, masks):
    metric = getattr(quantus, name)(abs=False, normalise=False, disable_warnings=True)
    return metric(
        model=torch.nn.Identity(),  # it is asked for nothing
        x_batch=np.zeros_like(maps),
        y_batch=np.zeros(len(maps), int),
        a_batch=maps,
        s_batch=masks,
    )


def ours(name, maps, masks):
    pairs = zip(maps, masks, strict=True)
    return [locate(a.ravel(), s.ravel(), s.ravel(), 0.5).numbers[name] for a, s in pairs]


@pytest.mark.parametrize(
    ("name", "metric", "told"),
    [
        ("hit", "PointingGame", {"distinct", "signed"}),
        ("energy", "RelevanceMassAccuracy", {"distinct", "equal"}),
        ("rank_accuracy", "RelevanceRankAccuracy", {"distinct", "signed"}),
        ("auroc", "AUC", {"distinct", "signed", "equal"}),
    ],
)
def test_a_number_equals_that_of_quantus(batch, name, metric, told):
    values, maps, masks = batch
    found = np.asarray(theirs(metric, maps, masks), float)
    if values in told:
        np.testing.assert_allclose(ours(name, maps, masks), found, atol=1e-12)
    else:  # the definitions differ, and so do the numbers
        assert np.abs(np.array(ours(name, maps, masks)) - found).max() > 1e-3
