"""Shares of the networks that transformers and open_clip write sum to the similarity."""

import pytest
import torch

from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.saliency.methods.activation import Method
from xmir_cli.saliency.methods.bilrp import Method as Bilrp
from xmir_cli.saliency.sample import make_samples, similarity

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries
TOKENS = "attention, deviations, gates"
CELLS = {"dinov3-convnext", "swin", "swin-classifier", "swinv2", "timm mean"}
CELLS |= {"convnext", "convnext-classifier", "convnextv2"}
MAPS = {"ResNet": "attention", "timm MLP": "deviations, gates"}


def check(folder, kind, pool=None):
    choice = ModelChoice(architecture=str(folder), pool=pool)
    embedder = load_embedder(resolve_model(choice), "cpu")
    size, generator = embedder.size, torch.Generator().manual_seed(0)
    noise = torch.randn(3, 3, size, size, generator=generator)
    target, explained = make_samples(embedder, [noise[0] + noise[1], noise[0] + noise[2]])
    details = Method()(embedder, target, explained).details
    assert abs(details["residual"]) < 1e-5
    if kind in CELLS:
        assert set(details) == {"residual"}
    else:
        assert details["held"] == MAPS.get(kind, TOKENS)
        assert details["layer"].startswith("map" if kind in MAPS else "tokens")
        total = details["places"] + details["prefix"] + details["rest"]
        assert total == pytest.approx(similarity(target, explained), abs=1e-5)
    return embedder, target, explained


def layouts():
    from tests.extras.tiny import LAYOUTS

    return list(LAYOUTS)


def towers():
    from tests.extras.towers import TOWERS

    return list(TOWERS)


@pytest.mark.parametrize("name", layouts())
def test_shares_of_networks_of_transformers(name, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra hf")
    from tests.extras import tiny

    tiny.write(name, tmp_path / "m")
    check(tmp_path / "m", name)


@pytest.mark.parametrize("kind", towers())
def test_shares_of_image_towers_of_open_clip(kind, tmp_path):
    pytest.importorskip("open_clip", reason="needs the extra clip")
    from tests.extras.towers import write_folder

    write_folder(kind, tmp_path / "m")
    check(tmp_path / "m", kind)


@pytest.mark.parametrize("pool", ["cls", "mean", "cls+mean"])
def test_shares_of_every_pooling(pool, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra hf")
    from tests.extras import tiny

    tiny.write("dinov2-registers", tmp_path / "m")
    embedder, target, explained = check(tmp_path / "m", "dinov2-registers", pool)
    assert abs(Bilrp()(embedder, target, explained).details["residual"]) < 1e-5
    direct = Method(path="direct")(embedder, target, explained).details
    assert abs(direct["residual"]) < 1e-5
