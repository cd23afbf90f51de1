"""Whatever a function does with what depends on the image, the parts sum to the whole."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from xmir_cli.affine.blame import blame
from xmir_cli.affine.form import AffineForm
from xmir_cli.affine.holding import NoPartsError
from xmir_cli.affine.survey import Seat

MAP = Seat(0, (2, 3), (4, 4))


class Network(nn.Module):
    """A function of the map [1, 6, 4, 4], behind a convolution and before a mean."""

    def __init__(self, function):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.first, self.beside = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 1)
            self.last = nn.Linear(6, 5)
        self.function = function
        self.eval().requires_grad_(False)

    def forward(self, maps):
        made = self.function(self.first(maps), self.beside(maps))
        return self.last(made.mean(dim=(2, 3)))


def turned(function):
    """A function of channels that lie last."""
    return lambda x, _: function(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


SLOPES, SCALE, SHIFT = torch.linspace(0, 0.5, 6), torch.linspace(1, 2, 6), torch.linspace(-1, 1, 6)
POINTWISE = [
    functional.relu, torch.relu, torch.relu_, torch.Tensor.relu_, functional.relu6,
    functional.leaky_relu, functional.elu, functional.selu, functional.celu, functional.gelu,
    functional.silu, functional.mish, functional.hardswish, functional.tanh, torch.tanh,
    functional.hardtanh, functional.softplus, functional.softsign, torch.abs, torch.square,
    lambda x: functional.prelu(x, SLOPES), lambda x: functional.gelu(x, approximate="tanh"),
    lambda x: x.clamp(min=-0.5, max=0.7), lambda x: x.clamp_min(0.1), lambda x: x.pow(2),
    lambda x: x.clamp(min=1e-6).pow(torch.tensor(3.0)), lambda x: x**3, lambda x: x.abs() ** 0.5,
    lambda x: x * torch.sigmoid(1.702 * x), lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)),
    lambda x: torch.where(x > 0, x, 0.1 * x), lambda x: x * x.mean(),
]  # fmt: skip
OTHERS = [
    lambda x, y: x * y,
    lambda x, y: x.clone().mul_(y),
    lambda x, y: x / (1 + y.abs()),
    lambda x, _: x / x.norm(dim=1, keepdim=True),
    lambda x, _: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6),
    lambda x, _: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True),
    lambda x, y: (x - torch.var_mean(x, 1, keepdim=True)[1]) / torch.var_mean(y, 1, True)[0],
    lambda x, y: x @ y.transpose(-1, -2),
    lambda x, y: torch.bmm(x[0], y[0])[None],
    lambda x, y: torch.einsum("bcij,bcjk->bcik", x, y),
    lambda x, y: (x @ y).softmax(-1) @ x,
    lambda x, y: functional.glu(torch.cat([x, y], 1), 1),
    lambda x, _: functional.normalize(x) * 3,
    lambda x, _: functional.max_pool2d(x, 2),
    lambda x, _: nn.MaxPool2d(3, stride=2, padding=1)(x),
    lambda x, _: functional.adaptive_max_pool2d(x, 1),
    lambda x, y: x.amax(dim=(2, 3), keepdim=True) + torch.amax(y, (2, 3))[..., None, None],
    lambda x, _: functional.group_norm(x, 2, SCALE, SHIFT),
    turned(lambda x: functional.layer_norm(x, (6,), SCALE, SHIFT)),
    turned(lambda x: functional.layer_norm(x, (6,))),
    turned(lambda x: functional.rms_norm(x, (6,), SCALE)),
    lambda x, y: functional.scaled_dot_product_attention(x, y, x, is_causal=True),
    lambda x, y: functional.scaled_dot_product_attention(x, y, x, torch.eye(4).bool()),
    lambda x, y: functional.scaled_dot_product_attention(x, y, y, torch.eye(4), scale=0.3),
    lambda x, y: functional.scaled_dot_product_attention(x, y[:, :3], y[:, :3], enable_gqa=True),
]


def check(function):
    network = Network(function)
    given = torch.randn(1, 6, 4, 4, generator=torch.Generator().manual_seed(1))
    form = AffineForm(network, given, MAP)
    torch.testing.assert_close(form.raw, network(given)[0], atol=1e-5, rtol=1e-4)
    direction, weights = torch.linspace(-1, 1, 5), torch.linspace(0, 2, 16)
    pulled = form.pull(direction)
    assert abs(pulled.missed) < 1e-5 * max(1, float(form.raw.norm()))
    assert form.push(weights) @ direction == pytest.approx(
        float(pulled.places @ weights), abs=1e-5 * max(1, float(form.raw.norm()))
    )


@pytest.mark.parametrize("function", POINTWISE)
def test_pointwise_functions_are_gates(function):
    check(lambda x, _: function(x))


HELD = [torch.sigmoid, functional.hardsigmoid, functional.logsigmoid, torch.exp, torch.erf]


@pytest.mark.parametrize("function", HELD)
def test_openings_are_held_and_nothing_is_left_where_they_come_last(function):
    check(lambda x, y: y * function(x))
    with pytest.raises(NoPartsError, match="what comes last is held"):
        check(lambda x, _: function(x))


@pytest.mark.parametrize("function", OTHERS)
def test_products_norms_attention_and_maxima_are_held(function):
    check(function)


SELECTIONS = [
    torch.maximum, torch.minimum, torch.Tensor.max, torch.min,
    lambda x, y: torch.max(x, other=y), lambda x, y: y * 0 + torch.max(x) + x.min(),
    lambda x, y: y + x.max(dim=1)[0][:, None], lambda x, y: y + torch.min(x, 1, True).values,
    lambda x, _: x.flatten(2).topk(5, dim=2)[0][..., None], lambda x, _: torch.topk(x, 2).values,
    lambda x, _: x.topk(2, 1, largest=False)[0].repeat(1, 3, 1, 1),
    lambda x, _: torch.sort(x)[0][..., :2],
    lambda x, _: x.sort(dim=2, descending=True).values[:, :, :2],
]  # fmt: skip


@pytest.mark.parametrize("function", SELECTIONS)
def test_what_is_selected_is_held(function):
    network = Network(function)
    check(function)
    given = torch.randn(1, 6, 4, 4, generator=torch.Generator().manual_seed(1))
    form = AffineForm(network, given, MAP)
    assert form.held == ("maxima",)
    once, twice = (form.push(torch.linspace(0, 2, 16) ** power) for power in (1, 3))
    together = form.push(torch.linspace(0, 2, 16) + torch.linspace(0, 2, 16) ** 3)
    torch.testing.assert_close(once + twice, together, atol=1e-5, rtol=1e-4)


def test_attention_with_heads_is_opened():
    attention = nn.MultiheadAttention(6, 2, batch_first=True, kdim=4, vdim=4)
    check(
        lambda x, y: attention(
            x.flatten(2).transpose(1, 2), y[:, :4].flatten(2).transpose(1, 2),
            y[:, :4].flatten(2).transpose(1, 2), need_weights=False,
            attn_mask=torch.zeros(2, 16, 16),
        )[0].transpose(1, 2).unflatten(2, (4, 4))
    )  # fmt: skip


def test_a_gate_near_zero_is_finite():
    network = Network(lambda x, _: functional.gelu(x * 0) + x.clamp(min=0).pow(0.5) * 0)
    form = AffineForm(network, torch.zeros(1, 6, 4, 4), MAP)
    assert bool(form.pull(torch.ones(5)).places.isfinite().all())


def test_both_factors_of_a_product_share_it_evenly():
    first = torch.zeros(1, 6, 4, 4)
    first[..., 0, 0], first[..., 3, 3] = 2.0, 3.0

    def function(x):
        return (x[:, :, :1, :1] * x[:, :, 3:, 3:]).mean(dim=(2, 3))

    pulled = AffineForm(function, first, MAP).pull(torch.ones(6))
    assert pulled.places.nonzero()[:, 0].tolist() == [0, 15]
    assert pulled.places[[0, 15]].tolist() == [18.0, 18.0]  # six channels of 6, half each


def test_an_unusual_attention_is_refused():
    attention = nn.MultiheadAttention(6, 2, batch_first=True, add_bias_kv=True)
    with pytest.raises(ValueError, match="added or padded keys"):
        check(lambda x, _: attention(*[x.flatten(2).transpose(1, 2)] * 3)[0][..., None])


class Layered(nn.Module):
    def __init__(self, inner):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.before, self.inner = nn.Sequential(nn.Conv2d(6, 5, 1), nn.ReLU()), inner
        self.requires_grad_(False)

    def forward(self, maps):
        return self.inner(self.before(maps)).mean(dim=(2, 3))


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, maps):
        return self.function(maps)


@pytest.mark.parametrize(
    ("function", "culprit"),
    [
        (torch.sin, "sin in inner.1"),
        (lambda x: x.cumprod(dim=1), "cumprod in inner.1"),
        (lambda x: torch.stack([x, x.cos()]).sum(0), "cos in inner.1"),
        (lambda x: x[:, x.mean(dim=(0, 2, 3)).argsort()], "argsort in inner.1"),
        (lambda x: x.relu().square().sigmoid() * x, ""),
    ],
)
def test_the_function_that_is_to_blame_is_named_with_its_layer(function, culprit):
    network = Layered(nn.Sequential(nn.Identity(), Apply(function)))
    given = torch.randn(1, 6, 4, 4, generator=torch.Generator().manual_seed(1))
    assert blame(network, given, MAP) == culprit
    assert not network.inner[1]._forward_hooks
    assert not network.inner[1]._forward_pre_hooks
