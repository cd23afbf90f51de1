"""Where networks can be cut."""

import pytest
import torch
from torch import nn

from xmir_cli.affine.survey import find_last_in_block, find_maps, find_tokens

CPU = torch.device("cpu")


class Skipping(nn.Module):
    """Three sizes; the smallest of an even way around: only what both ways meet in is a cut."""

    def __init__(self, around):
        super().__init__()
        self.stem, self.middle = nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 4, 3, padding=1)
        self.down, self.around = nn.Conv2d(4, 4, 2, 2), nn.Conv2d(4, 4, 2, 2) if around else None
        self.eval().requires_grad_(False)

    def forward(self, images):
        x = self.stem(images)
        inner = self.middle(x).relu()
        down = self.down(inner)
        if self.around is not None:
            down = down + self.around(x)
        return down.relu().mean(dim=(2, 3))


def shape_at(network, number):
    from xmir_cli.affine.survey import _result

    return tuple(_result(network, torch.zeros(1, 3, 16, 16), number).shape)


def test_a_map_is_one_that_all_of_the_embedding_comes_from():
    straight, around = (find_maps(Skipping(way), 16, CPU) for way in (False, True))
    assert list(straight) == list(around) == [(4, 4), (8, 8)]
    assert straight[8, 8].number == 3  # the middle's relu
    assert around[8, 8].number == 1  # the stem, for a way leads around the middle
    assert straight[8, 8].axes == (2, 3)


class Last(nn.Module):
    """Channels lie last; a part of the pass has more rows than what came before."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 4, 4)

    def forward(self, images):
        x = self.stem(images).permute(0, 2, 3, 1).relu()
        large = x.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
        return large.mean(dim=(1, 2))


def test_channels_may_lie_last_and_what_is_larger_than_before_is_no_map():
    found = find_maps(Last().requires_grad_(False), 16, CPU)
    assert {grid: seat.axes for grid, seat in found.items()} == {(4, 4): (1, 2)}


@pytest.mark.parametrize("prefixes", [0, 1, 5])
def test_first_tokens_are_those_before_the_first_norm(prefixes, make_vit):
    network = make_vit(prefixes, "mean")
    seat = find_tokens(network, 16, (4, 4), CPU)
    assert (seat.first, seat.axes, seat.grid) == (prefixes, (1,), (4, 4))
    assert shape_at(network, seat.number) == (1, prefixes + 16, 8)


def test_tokens_of_another_grid_or_order_are_no_places(make_vit):
    network = make_vit(1, "cls")
    assert find_tokens(network, 16, (2, 2), CPU) is None
    network.patches.register_forward_hook(lambda *given: given[2].transpose(2, 3))
    assert find_tokens(network, 16, (4, 4), CPU) is None


def test_a_network_without_a_norm_over_tokens_has_none():
    assert find_tokens(Skipping(True), 16, (4, 4), CPU) is None


def test_tokens_without_a_norm_are_the_first_of_the_map():
    def network(images):
        x = nn.functional.avg_pool2d(images, 4).flatten(2).transpose(1, 2) * 2
        return (x + x.mean(dim=1, keepdim=True)).relu().mean(dim=1)

    seat = find_tokens(network, 16, (4, 4), CPU)
    assert (seat.axes, seat.first, seat.number) == ((1,), 0, 3)


def test_tokens_on_a_grid_count_where_no_norm_comes_before():
    def network(images, before=False):
        x = images.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4).mean(-1).permute(0, 2, 3, 1) * 2
        x = nn.functional.layer_norm(x[:, :2, :2], (3,)).sum() + x if before else x
        return nn.functional.layer_norm(x, (3,)).mean(dim=(1, 2))

    seat = find_tokens(network, 16, (4, 4), CPU)
    assert (seat.axes, seat.first) == ((1, 2), 0)
    assert find_tokens(lambda images: network(images, before=True), 16, (4, 4), CPU) is None


def test_the_last_call_in_a_block_lies_before_the_last_norm(make_vit):
    network = make_vit(1, "cls")
    seat = find_tokens(network, 16, (4, 4), CPU)
    assert find_last_in_block(network, 16, CPU) > seat.number
    assert find_last_in_block(Skipping(True), 16, CPU) == 0
