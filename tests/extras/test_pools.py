"""`pool` on networks of transformers: against the tokens that the library itself gives."""

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="needs the extra hf")

from tests.extras import tiny
from xmir_cli.errors import SettingError

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries

FIRST = {"vit": 1, "dinov2-registers": 5, "dinov3": 5, "clip": 1, "beit": 1, "deit": 2}


@pytest.mark.parametrize("name", FIRST)
def test_class_token_and_mean_of_the_patches_follow_the_last_norm(name, tmp_path):
    library = tiny.make(name)
    library.save_pretrained(tmp_path)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        trunk = library.vision_model if name == "clip" else library
        tokens = trunk(images).last_hidden_state
        tokens = trunk.post_layernorm(tokens) if name == "clip" else tokens
        expected = {"cls": tokens[:, 0], "mean": tokens[:, FIRST[name] :].mean(dim=1)}
        if name == "beit":  # its last norm comes after its mean
            expected = {pool: trunk.pooler.layernorm(part) for pool, part in expected.items()}
        expected["cls+mean"] = torch.cat([expected["cls"], expected["mean"]], dim=1)
        size = {"input_size": 32}
        for pool, embedding in expected.items():
            ours = tiny.load(tmp_path, pool=pool, **size)
            assert ours.spec.pool == pool
            assert ours.network.dim == embedding.shape[1]
            assert torch.allclose(ours.network(images), embedding, atol=1e-5, rtol=1e-5)
        headed = tiny.load(tmp_path, pool="cls+mean", head=7, **size).network
        assert headed(images).shape == (2, 7)


def test_a_norm_behind_the_librarys_mean_is_kept(tmp_path):
    tiny.make("beit-mean").save_pretrained(tmp_path)
    native, mean = (tiny.load(tmp_path, pool=pool).network for pool in (None, "mean"))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(native(images), mean(images), atol=1e-6)


@pytest.mark.parametrize("name", ["swin", "siglip-vision", "convnext", "dinov3-convnext"])
def test_a_network_without_a_class_token_refuses_it(name, tmp_path):
    tiny.write(name, tmp_path)
    with pytest.raises(SettingError, match="has no class token"):
        tiny.load(tmp_path, pool="cls")
    assert tiny.load(tmp_path, pool="mean").network.dim == (16 if name == "swin" else 32)


@pytest.mark.parametrize("name", ["vit", "dinov2", "clip", "siglip", "swin", "beit", "siglip2"])
def test_another_input_size_resamples_the_positions_as_the_library_does(name, tmp_path):
    library = tiny.make(name)
    library.save_pretrained(tmp_path)
    size = 64
    images = torch.randn(2, 3, size, size)
    ours = tiny.load(tmp_path, input_size=size)
    known = {"interpolate_pos_encoding": True} if name not in {"dinov2", "siglip2"} else {}
    with torch.no_grad():
        if name in {"clip", "siglip", "siglip2"}:
            given = tiny.as_patches(images, 8) if name == "siglip2" else {"pixel_values": images}
            expected = library.get_image_features(**given, **known)
            expected = getattr(expected, "pooler_output", expected)
        else:
            expected = library(images, **known).pooler_output
        found = ours.network(images)
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(SettingError, match="expected a multiple of its patches, 8, found 60"):
        tiny.load(tmp_path, input_size=60)
