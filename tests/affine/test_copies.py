"""Many rows of one image: copies of it pass together where they pass as one image does."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from xmir_cli.affine.copies import pass_rows
from xmir_cli.affine.form import AffineForm
from xmir_cli.affine.survey import Seat, find_tokens

CPU = torch.device("cpu")
SEAT = Seat(0, (2, 3), (4, 4))


class Windows(nn.Module):
    """Attention within windows of two rows, which lie along the axis of images."""

    def forward(self, maps):
        rows = maps.flatten(2).transpose(1, 2).unflatten(1, (2, 8)).flatten(0, 1)
        mixed = functional.scaled_dot_product_attention(rows[:, None], rows[:, None], rows[:, None])
        return mixed[:, 0].unflatten(0, (-1, 2)).flatten(1, 2).mean(1)


class AllImages(nn.Module):
    """Divides by what all images have together."""

    def forward(self, maps):
        return (maps / maps.std()).mean((2, 3)) + 0 * maps.amax()


class Largest(nn.Module):
    """The largest of every two by two cells."""

    def forward(self, maps):
        return functional.max_pool2d(maps, 2).flatten(1)[:, :20]


class Sorted(nn.Module):
    """The two largest cells of each channel."""

    def forward(self, maps):
        return maps.flatten(2).topk(2)[0].flatten(1)


@pytest.mark.parametrize("kind", [Windows, AllImages, Largest, Sorted])
@pytest.mark.parametrize("channels", [6, 20])  # fewer dimensions than the 16 places, and more
def test_what_copies_write_is_what_each_writes_alone(kind, channels):
    given = torch.randn(1, channels, 4, 4, generator=torch.Generator().manual_seed(5))
    form = AffineForm(kind(), given, SEAT)
    alone = torch.stack([form.push(row) for row in torch.eye(16)])
    torch.testing.assert_close(form.written(), alone, atol=1e-6, rtol=0)
    assert float(alone.std()) > 1e-3


@pytest.mark.parametrize(("pool", "passes"), [("both", 3), ("mean", 2)])
def test_places_and_dimensions_of_a_transformer_pass_together(pool, passes, make_vit, image):
    network, seen = make_vit(1, pool), []
    form = AffineForm(network, image, find_tokens(network, 16, (4, 4), CPU))
    network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    form.written()
    assert len(seen) < passes  # one of 16 places, or of 8 dimensions; a pass of its own beside
    assert max(seen) >= 8


def test_rows_that_fail_together_pass_alone():
    def together(rows):
        if len(done) == 2:
            raise RuntimeError("not enough memory: you tried to allocate")
        done.append(len(rows))
        return rows * 2

    done = []
    rows = torch.arange(24.0).reshape(12, 2)
    found = pass_rows(rows, together, lambda row: row * 2, (3, 1e-6))
    torch.testing.assert_close(found, rows * 2)
    assert done == [3, 3]


def test_copies_pass_forward_once_whatever_is_pulled(make_vit, image, monkeypatch):
    monkeypatch.setattr("xmir_cli.affine.form._MOST", 3)
    network, seen = make_vit(1, "mean"), []
    form = AffineForm(network, image, find_tokens(network, 16, (4, 4), CPU))
    network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    found = form.written()  # 8 dimensions: three, three and two
    assert seen == [3]
    alone = torch.stack([form.push(row) for row in torch.eye(16)])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)
