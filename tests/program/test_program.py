"""Programs against the networks they are made of, whole and in part."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from xmir_cli.model.architectures import build_architecture
from xmir_cli.program.compile import compile_program

SIZE = 64
CORNERS = [(0, 0, 9, 9), (0, 48, 16, 64), (50, 0, 64, 64), (63, 63, 64, 64), (20, 24, 44, 48)]
POINT = torch.randn(4, 8, 1, 1, generator=torch.Generator().manual_seed(1))
SQUARE = torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(2))
FAMILIES = ["resnet18", "densenet121", "mobilenet_v3_small", "efficientnet_b0", "regnet", "same"]
TIMM = {"regnet": "timm:regnetx_002", "same": "timm:tf_efficientnet_lite0"}


@pytest.fixture(autouse=True)
def _one_seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def plain(*between):
    """A VGG-like network; its norms have scales of both signs and of zero."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        *between,
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1, bias=False),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


def lively(network):
    """Norms that a network could have learnt, some channels dead."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 0.8, 0.6)
            nn.init.normal_(module.bias, 0, 0.3)
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            module.weight.data[::5] = 0
    return network.eval().to(memory_format=torch.channels_last)


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


@torch.no_grad()
@pytest.mark.parametrize("name", FAMILIES)
def test_changed_part_of_a_known_network_gives_what_the_whole_image_gives(name):
    features = lively(build_architecture(TIMM.get(name, name)).features)
    program = compile_program(features, SIZE)
    assert program is not None
    image = torch.randn(3, SIZE, SIZE)
    bases = program.run_base(image)
    assert relative(program.run(image[None]), features(image[None])) < 1e-5
    for top, left, bottom, right in CORNERS:
        hidden = image.repeat(2, 1, 1, 1)
        hidden[0, :, top:bottom, left:right] = 0
        hidden[1, :, top:bottom, left:right] = torch.randn(3, bottom - top, right - left)
        part = hidden[:, :, top:bottom, left:right]
        found = program.run_changed(part, (top, left, bottom, right), bases).materialize_whole()
        assert relative(found, features(hidden)) < 1e-5


def test_tiny_network_of_the_users_own_is_followed(tiny_arch):
    features = lively(build_architecture(tiny_arch).features)
    program = compile_program(features, 32)
    assert program is not None
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert relative(program.run(image), features(image)) < 1e-5


class Arithmetic(nn.Module):
    """Numbers and maps, every operation."""

    def forward(self, maps):
        return (maps * 2 - 1) / 3 + maps / (torch.sigmoid(maps) + 1) - torch.relu(maps)


@pytest.mark.parametrize(
    "layer",
    [
        Arithmetic(),
        nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=3),
        nn.Conv2d(6, 6, (1, 5), padding=(0, 2), dilation=(1, 1)),
        nn.Conv2d(6, 6, 3, padding=4, dilation=4),
        nn.Conv2d(6, 6, 3),
        nn.Conv2d(6, 6, 1, stride=2),
        nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)),
        nn.Sequential(nn.Hardswish(), nn.Conv2d(6, 6, 1), nn.ReLU6(), nn.Sigmoid()),
        nn.AvgPool2d(3, stride=2, padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.AvgPool2d(2),
        nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
        nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
        nn.ZeroPad2d((1, 0, 2, 0)),
        nn.Hardswish(),
        nn.ReLU6(),
        nn.GELU(),
        nn.GELU(approximate="tanh"),
        nn.Dropout(),
        nn.Identity(),
    ],
    ids=str,
)
def test_layer_of_every_kind_is_followed(layer):
    features = lively(plain(layer))
    program = compile_program(features, 32)
    assert program is not None
    image = torch.randn(3, 32, 32)
    bases = program.run_base(image)
    for box in ((0, 0, 5, 5), (13, 20, 17, 23), (27, 30, 32, 32)):
        hidden = image.clone()
        hidden[:, box[0] : box[2], box[1] : box[3]] = 3
        part = hidden[None, :, box[0] : box[2], box[1] : box[3]]
        with torch.no_grad():
            assert (
                relative(
                    program.run_changed(part, box, bases).materialize_whole(),
                    features(hidden[None]),
                )
                < 1e-5
            )


class Steps(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.first, self.step = nn.Conv2d(3, 4, 3, padding=1), step

    def forward(self, images):
        return self.step(self.first(images))


@pytest.mark.parametrize(
    "step",
    [
        lambda maps: maps if maps.mean() > 0 else -maps,  # looks at a value
        lambda maps: maps.transpose(2, 3),
        lambda maps: maps.flip(3),
        lambda maps: maps[:, :, 4:, 4:],
        lambda maps: functional.interpolate(maps, scale_factor=2.0),
        lambda maps: maps * torch.linspace(0, 1, 32),  # knows where it is
        lambda maps: maps * functional.avg_pool2d(maps, (32, 1)),
        lambda maps: torch.clamp(maps, -maps.new_ones(1, 4, 32, 32), maps.new_ones(1, 4, 32, 32)),
        lambda maps: torch.cat([maps, torch.ones(len(maps), 1, 32, 32)], dim=1),
        lambda maps: torch.cat([maps, maps], dim=2),
        lambda maps: functional.avg_pool2d(maps, 3, padding=1, count_include_pad=False),
        lambda maps: functional.max_pool2d(maps, 3, ceil_mode=True),
        lambda maps: functional.layer_norm(maps, (32, 32)),
        lambda maps: functional.instance_norm(maps),
        lambda maps: functional.conv_transpose2d(maps, torch.ones(4, 2, 2, 2), stride=2),
        lambda maps: torch.add(maps, maps, alpha=2),
        lambda maps: functional.conv2d(maps, maps.mean(dim=(2, 3), keepdim=True)),
        lambda maps: torch.ones(len(maps), 4, 8, 8),  # does not look at the image
    ],
)
def test_network_that_cannot_be_followed_has_no_program(step):
    assert compile_program(Steps(step), 32) is None


def _with_a_dead_branch(maps):
    """The longest row of channels belongs to what nobody reads."""
    more = torch.relu(maps)
    row = torch.cat([maps, more], dim=1)
    torch.cat([maps, more, torch.sigmoid(maps)], dim=1)
    return functional.conv2d(row, POINT)


def _padded_and_overwritten(maps):
    padded = functional.pad(maps, (1, 1, 1, 1))
    return functional.conv2d(torch.relu(maps), POINT[:, :4]) + functional.conv2d(padded, SQUARE)


def _padded_with_nothing(maps):
    padded = functional.pad(maps, (0, 0, 0, 0))
    return functional.conv2d(torch.relu(maps), POINT[:, :4]) + padded


def _copied_and_overwritten(maps):
    mean = maps.mean(dim=(2, 3), keepdim=True)
    copy = torch.as_strided(mean, mean.shape, mean.stride())
    return maps * torch.relu(copy) + mean


@pytest.mark.parametrize(
    "step",
    [
        _with_a_dead_branch,
        _padded_and_overwritten,
        _padded_with_nothing,
        _copied_and_overwritten,
    ],
)
def test_memory_is_not_taken_while_another_needs_it(step):
    features = Steps(step)
    program = compile_program(features, 32)
    assert program is not None
    image = torch.randn(3, 32, 32)
    bases = program.run_base(image)
    with torch.no_grad():
        assert relative(program.run(image[None]), features(image[None])) < 1e-5
        for top, left, bottom, right in ((0, 0, 5, 5), (13, 20, 17, 23), (27, 30, 32, 32)):
            hidden = image.clone()
            hidden[:, top:bottom, left:right] = 3
            part = hidden[None, :, top:bottom, left:right]
            found = program.run_changed(part, (top, left, bottom, right), bases).materialize_whole()
            assert relative(found, features(hidden[None])) < 1e-5


def test_network_that_answers_differently_every_time_has_no_program():
    class Moody(nn.Module):
        def forward(self, images):
            self.calls = vars(self).get("calls", 0) + 1
            return torch.relu(images) if self.calls == 1 else images * 2

    assert compile_program(Moody(), 32) is None
