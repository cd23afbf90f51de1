"""Every pooling and every affine step is the sum of its cells."""

import numpy as np
import pytest
import torch
from torch import nn

from xmir_cli.model.head import AveragePool, GeMPool, Head, MaxPool
from xmir_cli.model.whitening import Whiten
from xmir_cli.store.whitening import Whitener


def neck(size: int) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(size).double()
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    return norm.eval()


def white(before: int, after: int) -> Whiten:
    rng = np.random.default_rng(before)
    return Whiten(Whitener(rng.normal(size=before) / 9, rng.normal(size=(after, before)))).double()


@pytest.mark.parametrize("pool", [AveragePool(), MaxPool(), GeMPool(2.5)])
@pytest.mark.parametrize(
    "after",
    [
        (),
        (nn.Linear(6, 4).double(),),
        (nn.Linear(6, 4).double(), neck(4)),
        (nn.LayerNorm(6).double(), nn.Linear(6, 4).double()),
        (white(6, 3),),
        (nn.Linear(6, 4).double(), white(4, 2)),
    ],
)
def test_cells_sum_to_the_embedding_to_the_last_digits(pool, after):
    torch.manual_seed(1)
    features = torch.rand(3, 6, 4, 5, dtype=torch.float64)
    head = Head(pool.double(), after).eval()
    assert torch.allclose(head.cells(features).sum(dim=1), head(features), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pool", [AveragePool(), MaxPool(), GeMPool(3.0)])
def test_cells_are_the_euler_decomposition_of_the_pooling(pool):
    """Any pooling homogeneous of degree 1: u = a * dp/da (ALGORITHMS of the decomposition)."""
    features = torch.rand(1, 3, 2, 4, dtype=torch.float64, requires_grad=True)
    pooled = pool.double()(features)
    (gradient,) = torch.autograd.grad(pooled.sum(), features)
    euler = (features * gradient).flatten(2).transpose(1, 2)
    assert torch.allclose(pool.cells(features), euler, atol=1e-12)


def test_tied_maxima_share_their_value():
    features = torch.tensor([[[[2.0, 2.0], [1.0, 0.0]]]])
    assert MaxPool().cells(features).flatten().tolist() == [1.0, 1.0, 0.0, 0.0]


def test_without_bias_the_constants_are_missing():
    linear = nn.Linear(3, 2).double()
    head = Head(AveragePool(), (linear,))
    features = torch.rand(1, 3, 2, 2, dtype=torch.float64)
    missing = head(features) - head.cells(features, bias=False).sum(dim=1)
    assert torch.allclose(missing, linear.bias)


@pytest.mark.parametrize("step", [nn.LayerNorm(2).double(), white(2, 3)])
def test_without_bias_what_a_norm_divides_by_stays_that_of_the_whole(step):
    linear = nn.Linear(3, 2).double()
    nn.init.constant_(linear.bias, 0.7)
    head, features = Head(AveragePool(), (linear, step)), torch.rand(1, 3, 2, 2).double()
    raw = linear(features.mean(dim=(2, 3)))
    scale = raw.norm() if isinstance(step, Whiten) else (raw.var(unbiased=False) + 1e-5).sqrt()
    part = raw - linear.bias
    expected = (
        part / scale @ step.matrix.T
        if isinstance(step, Whiten)
        else (part - part.mean()) / scale * step.weight
    )
    assert torch.allclose(head.cells(features, bias=False).sum(dim=1), expected)


def test_a_sum_over_the_cells_has_affine_steps_alone():
    steps = (nn.Linear(2, 2), nn.BatchNorm1d(2), nn.LayerNorm(2))
    assert all(Head(pool, steps).is_sum for pool in (AveragePool(), MaxPool(), GeMPool()))
    assert not Head(AveragePool(), (nn.ReLU(),)).is_sum
    assert not Head(nn.AdaptiveAvgPool2d(1)).is_sum


@pytest.mark.parametrize(
    "after", [(), (nn.Linear(6, 4).double(),), (neck(6), nn.Linear(6, 4).double(), neck(4))]
)
def test_a_direction_pulled_back_is_autograds_gradient(after):
    head = Head(AveragePool(), after).eval()
    features = torch.rand(1, 6, 4, 5, dtype=torch.float64, requires_grad=True)
    direction = torch.rand(4 if after else 6, dtype=torch.float64)
    (expected,) = torch.autograd.grad(head(features)[0] @ direction, features)
    found = head.pull_back(direction)[:, None, None] / 20
    assert torch.allclose(found.expand(6, 4, 5), expected[0], rtol=1e-12, atol=1e-14)


def test_nothing_is_pulled_back_where_the_gradient_depends_on_the_features():
    direction = torch.ones(6, dtype=torch.float64)
    assert Head(GeMPool()).pull_back(direction) is None
    assert Head(AveragePool(), (nn.LayerNorm(6).double(),)).pull_back(direction) is None
