"""Another input size works, or is one line and exit 2."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.errors import SettingError
from xmir_cli.model.architectures import build_architecture
from xmir_cli.model.loader import load_network
from xmir_cli.model.network import Network
from xmir_cli.wire.model import ModelSpec, Preprocessing

WORKS = [("resnet18", 40), ("vit_b_16", 64), ("timm:vit_tiny_patch16_224", 96)]
WORKS += [("timm:swin_tiny_patch4_window7_224", 96), ("timm:resnet10t", 50)]
FAILS = [
    ("vit_b_16", 100, "expected a multiple of vit_b_16's patches, 16, found 100"),
    ("densenet121", 8, "an image of 8 pixels does not pass densenet121"),
    ("convnext_tiny", 16, "an image of 16 pixels does not pass convnext_tiny"),
    ("timm:vit_tiny_patch16_224", 200, "expected a multiple of its patches, 16"),
    ("timm:halonet26t", 100, "timm:halonet26t does not take it"),
]
ODD = ["coat_lite_tiny", "coat_tiny", "crossvit_tiny_240", "volo_d1_224", "efficientvim_m1"]


def embed(xmir, *flags: object):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40), dtype=np.uint8)
    Image.fromarray(pixels).save("a.png")
    return xmir("embed", "a.png", *flags, "--weights", "random:0", "--device", "cpu",
                "-o", "o.parquet")  # fmt: skip


def need(name: str) -> None:
    if name.startswith("timm:"):
        timm = pytest.importorskip("timm", reason="the extra timm is not installed")
        if not timm.is_model(name.removeprefix("timm:")):
            pytest.skip(f"this timm has no {name}")


@pytest.mark.parametrize(("name", "size"), WORKS)
def test_a_size_that_the_network_can_take_works(xmir, name: str, size: int):
    need(name)
    done = embed(xmir, "--arch", name, "--input-size", size)
    assert (done.code, done.stderr) == (0, "")


@pytest.mark.parametrize(("name", "size", "words"), FAILS)
def test_a_size_that_it_cannot_take_is_one_line(xmir, name: str, size: int, words: str):
    need(name)
    done = embed(xmir, "--arch", name, "--input-size", size)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith("xmir: error: --input-size")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ODD)
def test_features_that_are_no_map_are_one_line(xmir, name: str):
    need(f"timm:{name}")
    done = embed(xmir, "--arch", f"timm:{name}")
    assert (done.code, done.stdout) == (2, "")
    expected = f"xmir: error: --arch timm:{name}: not a network that xmir can split into a feature"
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1


def test_torchvisions_positions_are_resampled_as_torchvision_does(tmp_path: Path, capsys):
    from torchvision.models import vit_b_16
    from torchvision.models.vision_transformer import interpolate_embeddings

    torch.manual_seed(0)
    library = vit_b_16(weights=None)
    torch.save(library.state_dict(), tmp_path / "w.pt")
    recipe = Preprocessing(64, 64)
    network = load_network(ModelSpec("vit_b_16", str(tmp_path / "w.pt"), None, recipe)).eval()
    assert "resampled to the sizes of the network: encoder.pos_embedding" in capsys.readouterr().err
    small = vit_b_16(weights=None, image_size=64).eval()
    small.load_state_dict(interpolate_embeddings(64, 16, library.state_dict()))
    small.heads = torch.nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(images), small(images), atol=1e-5, rtol=1e-4)


def test_a_recorded_size_is_tried_before_any_image_is():
    spec = ModelSpec("densenet121", "random:0", None, Preprocessing(8, 8))
    with pytest.raises(SettingError, match="input_size 8: an image of 8 pixels does not pass"):
        load_network(spec)


def test_trying_a_size_changes_no_weight_and_no_statistic():
    torch.manual_seed(0)
    plain = Network(build_architecture("resnet18", 40), None)
    spec = ModelSpec("resnet18", "random:0", None, Preprocessing(40, 40))
    tried = load_network(spec)
    assert tried.training
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tried.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())", "expected features [B, C, h, w]"),
        ("nn.Conv2d(3, 5, 3)", "expected an embedding [1, 4], found [1, 5]"),
        ("nn.Conv2d(3, 4, 99)", "Kernel size can't be greater"),
    ],
)
def test_ones_own_network_without_a_map_is_one_line(xmir, code: str, words: str):
    Path("own.py").write_text(
        "from torch import nn\n"
        "from xmir_cli.model.architectures import Architecture\n"
        "from xmir_cli.records import Preprocessing\n"
        f"def network(): return Architecture({code}, 4, Preprocessing(32, 32))\n"
    )
    done = embed(xmir, "--arch", "own.py:network")
    assert (done.code, done.stdout) == (2, "")
    assert "own.py:network: an image of 32 pixels does not pass" in done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
