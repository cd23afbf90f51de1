"""No tensor of a network that a folder describes is filled before its size is known."""

import pytest
import torch
from torch import nn

from xmir_cli.errors import ModelError
from xmir_cli.model.tensor_limits import small_tensors

HUGE = 10**13  # values that no machine of ours holds: whoever asks for them gets another error
TOO_LARGE = ModelError("too large")


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.randn(1, HUGE, 4),
        lambda: torch.zeros((HUGE,)),
        lambda: torch.ones(HUGE, device="cpu"),
        lambda: torch.empty(HUGE),
        lambda: torch.full((HUGE, 2), 1.0),
        lambda: torch.arange(HUGE),
        lambda: torch.linspace(0, 1, steps=HUGE),
        lambda: torch.eye(10**7),
        lambda: torch.zeros(1).new_ones(HUGE),
        lambda: torch.zeros(2).expand(HUGE, 2).contiguous(),
        lambda: torch.zeros(2).repeat(HUGE),
        lambda: torch.arange(900)[:, None] - torch.arange(900)[None],
        lambda: torch.stack(torch.meshgrid(torch.arange(900), torch.arange(900), indexing="ij")),
        lambda: torch.cat([torch.zeros(600), torch.zeros(600)]),
        lambda: nn.Linear(10**7, 10**7),
        lambda: nn.Embedding(HUGE, 8),
        lambda: nn.Parameter(torch.zeros(1, HUGE)),
    ],
)
def test_a_tensor_is_refused_before_it_is_made(make):
    with pytest.raises(ModelError, match="too large"), small_tensors(1000, TOO_LARGE):
        make()


def test_others_are_made_as_ever():
    torch.manual_seed(3)
    expected = [torch.randn(4, 4), nn.Linear(8, 8).weight.detach()]
    torch.manual_seed(3)
    with small_tensors(1000, TOO_LARGE):
        found = [torch.randn(4, 4), nn.Linear(8, 8).weight.detach()]
        assert [each.item() for each in torch.linspace(0, 1, 3)] == [0, 0.5, 1]
        assert torch.zeros(10).expand(10_000, 10).shape == (10_000, 10)  # a view takes nothing
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    torch.zeros(2000)


def test_what_passes_through_layers_is_not_counted():
    class Attention(nn.Module):
        def forward(self, tokens):
            return (tokens @ tokens.mT).softmax(dim=1)

    with small_tensors(1000, TOO_LARGE):
        assert Attention()(torch.zeros(100, 2)).shape == (100, 100)
        with pytest.raises(RuntimeError, match="multiplied"):
            nn.Linear(3, 2)(torch.zeros(1, 2))
        with pytest.raises(ModelError):  # also behind a layer that failed
            torch.zeros(1001)
