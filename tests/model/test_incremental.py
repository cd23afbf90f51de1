import pytest
import torch
from torch import nn

from xmir_cli.model.architectures import build_architecture
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.head import AveragePool, GeMPool, MaxPool
from xmir_cli.model.incremental import embed_hidden, hide, make_base, program_if_cheaper
from xmir_cli.model.network import Architecture, Network
from xmir_cli.program.workers import share_out
from xmir_cli.saliency.windows import GRIDS, boxes
from xmir_cli.wire.model import ModelSpec, Preprocessing

SIZE = 64


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


class Rows(nn.Module):
    """A dense block in small: norm, ReLU, 1x1, 3x3 on ever longer concatenations."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 5, stride=2, padding=2)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(4 + 3 * index),
                nn.ReLU(inplace=True),
                nn.Conv2d(4 + 3 * index, 8, 1, bias=False),
                nn.BatchNorm2d(8),
                nn.ReLU(inplace=True),
                nn.Conv2d(8, 3, 3, padding=1, bias=False),
            )
            for index in range(3)
        )
        self.transition = nn.Sequential(
            nn.BatchNorm2d(13), nn.ReLU(), nn.Conv2d(13, 7, 1), nn.AvgPool2d(2)
        )

    def forward(self, images):
        found = [self.stem(images)]
        for layer in self.layers:
            found.append(layer(torch.cat(found, 1)))
        return self.transition(torch.cat(found, 1))


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


def embedder_of(features, channels, size=32, pool=None):
    architecture = Architecture(
        lively(features), channels, Preprocessing(input_size=size), pool or AveragePool()
    )
    spec = ModelSpec("toy", "random:0", None, architecture.preprocessing)
    return Embedder(Network(architecture, None), spec, torch.device("cpu"))


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def test_no_thread_waits_for_others_between_whole_hidden_images(monkeypatch):
    embedder, shared, made = embedder_of(plain(), 8), [], []
    windows, image = boxes(32, 5, 3, "valid"), torch.randn(3, 32, 32)
    hidden = hide(image, torch.zeros_like(image), windows)
    expected = embedder.embed(hidden)

    def count_shares(work, parts):
        shared.append(len(parts))
        return share_out(work, parts)

    def count_made(image, fill, windows):
        made.append(len(windows))
        return hide(image, fill, windows)

    monkeypatch.setattr("xmir_cli.model.embedder.share_out", count_shares)
    monkeypatch.setattr("xmir_cli.model.incremental.hide", count_made)
    found = embed_hidden(embedder, (image, torch.zeros_like(image)), windows, None)
    assert torch.equal(found, expected)
    assert (len(windows), len(shared), sum(made), max(made)) == (100, 1, 100, 4)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(("window", "stride"), [(6, 3), (9, 7), (5, 5), (1, 4)])
@pytest.mark.parametrize("pool", [AveragePool(), MaxPool(), GeMPool()])
def test_hidden_windows_embed_as_hidden_images_do(grid, window, stride, pool):
    embedder = embedder_of(plain(), 8, pool=pool)
    windows = boxes(32, window, stride, grid)
    image, fill = torch.randn(2, 3, 32, 32)
    program = embedder.program
    assert program is not None
    for shown in (fill, torch.zeros_like(fill), image.flip(2)):
        found = embed_hidden(embedder, (image, shown), windows, make_base(program, image))
        expected = embed_hidden(embedder, (image, shown), windows, None)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_dense_blocks_in_small_embed_the_same():
    embedder = embedder_of(Rows(), 7)
    windows = boxes(32, 5, 3, "paper")
    image, fill = torch.randn(2, 3, 32, 32)
    program = embedder.program
    assert program is not None
    assert sum(type(step.layer).__name__ == "Affine" for step in program.steps) == 0
    found = embed_hidden(embedder, (image, fill), windows, make_base(program, image))
    expected = embed_hidden(embedder, (image, fill), windows, None)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_transformer_passes_whole_images():
    tokens = nn.Sequential(
        nn.Conv2d(3, 8, 8, stride=8), nn.Flatten(2), nn.LayerNorm(16), nn.Unflatten(2, (4, 4))
    )
    embedder = embedder_of(tokens, 8)
    windows = boxes(32, 8, 8, "valid")
    assert program_if_cheaper(embedder, windows) is None
    image, fill = torch.randn(2, 3, 32, 32)
    found = embed_hidden(embedder, (image, fill), windows, None)
    image[:, 24:, 24:] = fill[:, 24:, 24:]
    torch.testing.assert_close(found[-1:], embedder.embed(image[None]))


def test_windows_as_large_as_the_image_pass_whole():
    embedder = embedder_of(plain(), 8)
    assert program_if_cheaper(embedder, boxes(32, 32, 32, "valid")) is None
    assert program_if_cheaper(embedder, boxes(32, 8, 4, "valid")) is embedder.program
    assert program_if_cheaper(embedder, boxes(32, 2, 2, "valid")[:3]) is None  # the base costs more


def test_squeeze_and_excitation_from_the_start_passes_whole():
    features = build_architecture("efficientnet_b0").features
    embedder = embedder_of(features, 1280, SIZE)
    assert program_if_cheaper(embedder, boxes(SIZE, 16, 16, "valid")) is None


def test_no_windows_need_no_program():
    embedder = embedder_of(plain(), 8)
    none = torch.empty(0, 4, dtype=torch.int64)
    assert program_if_cheaper(embedder, none) is None
    assert embed_hidden(embedder, (torch.zeros(3, 32, 32),) * 2, none, None).shape == (0, 8)


def test_threads_do_not_change_a_bit_and_are_left_as_they_were():
    embedder = embedder_of(Rows(), 7)
    windows = boxes(32, 5, 3, "paper")
    image, fill = torch.randn(2, 3, 32, 32)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(
                embed_hidden(embedder, (image, fill), windows, make_base(embedder.program, image))
            )
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_batch_does_not_change_the_embeddings(batch):
    embedder = embedder_of(Rows(), 7)
    windows = boxes(32, 5, 3, "paper")
    image, fill = torch.randn(2, 3, 32, 32)
    expected = embed_hidden(embedder, (image, fill), windows, None)
    embedder.batch = batch
    found = embed_hidden(embedder, (image, fill), windows, make_base(embedder.program, image))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_program_follows_weights_that_change_and_leaves_them_as_they_are():
    embedder = embedder_of(plain(), 8)
    first = embedder.program
    assert embedder.program is first
    before = {name: each.clone() for name, each in embedder.network.state_dict().items()}
    image, fill = torch.randn(2, 3, 32, 32)
    windows = boxes(32, 6, 6, "paper")
    embed_hidden(embedder, (image, fill), windows, make_base(first, image))
    after = embedder.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with torch.no_grad():
        embedder.network.features[0].weight.mul_(2)
    image = torch.randn(1, 3, 32, 32)
    assert embedder.program is not first
    with torch.no_grad():
        found = embedder.program.run(image)
        assert relative(found, embedder.network.features(image)) < 1e-5


def test_narrow_precision_has_no_program():
    embedder = embedder_of(plain(), 8)
    narrow = Embedder(embedder.network, embedder.spec, torch.device("cpu"), "bf16")
    assert narrow.program is None
