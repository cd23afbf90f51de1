"""Folders of open_clip: the image tower alone, as the library itself computes it."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("open_clip", reason="needs the extra clip")
from open_clip.model import CLIP
from open_clip.transform import PreprocessCfg, image_transform_v2

from tests.extras.towers import SAID, TOWERS, VISION, write_folder
from xmir_cli.errors import ModelError, SettingError
from xmir_cli.model.architectures import build_architecture
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import unit
from xmir_cli.model.folders import open_folder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.open_clip_folder import read_description
from xmir_cli.pictures.reading import read_image


def load(folder, **choice):
    return load_embedder(resolve_model(ModelChoice(architecture=str(folder), **choice)), "cpu")


@pytest.mark.parametrize("kind", TOWERS)
def test_embeddings_equal_the_librarys_own(kind, tmp_path):
    model, embedder = write_folder(kind, tmp_path / "m"), load(tmp_path / "m")
    images = torch.randn(3, 3, embedder.size, embedder.size)
    with torch.no_grad():
        expected = unit(model.encode_image(images))
    torch.testing.assert_close(embedder.embed(images), expected, rtol=0, atol=1e-5)
    assert embedder.dim == expected.shape[1]
    assert embedder.spec.weights == "folder"


def test_a_plain_projection_behind_averaging_leaves_exact_shares(tmp_path):
    write_folder("timm mean", tmp_path / "m")
    embedder = load(tmp_path / "m")
    maps = embedder.forward_features(torch.randn(2, 3, 160, 160))
    total = embedder.cells(maps).sum(dim=1)
    torch.testing.assert_close(total, embedder.project(maps), rtol=0, atol=1e-5)


def test_many_images_embed_as_few_do(tmp_path):
    write_folder("ResNet", tmp_path / "m")
    embedder, images = load(tmp_path / "m"), torch.randn(5, 3, 64, 64)
    torch.testing.assert_close(
        embedder.embed(images, 1000), embedder.embed(images), rtol=0, atol=1e-5
    )


def test_the_image_tower_is_built_alone(tmp_path, monkeypatch):
    from open_clip import model

    write_folder("class token", tmp_path / "m")

    def refuse(*_, **__):
        raise AssertionError("the text tower was built")

    monkeypatch.setattr(model, "_build_text_tower", refuse)
    load(tmp_path / "m")


@pytest.mark.parametrize(
    ("mode", "view"), [("shortest", "crop"), ("squash", "squash"), ("longest", "pad")]
)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_pictures_are_prepared_as_the_library_does(mode, view, interpolation, tmp_path):
    said = {"resize_mode": mode, "interpolation": interpolation}
    write_folder("class token", tmp_path / "m", **said)
    recipe = read_description(open_folder(str(tmp_path / "m"))).recipe
    assert (recipe.view, recipe.input_size, recipe.resize) == (view, 32, 32)
    own = image_transform_v2(PreprocessCfg(size=32, **SAID, **said), is_train=False)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((96, 64))
    picture.save(tmp_path / "p.png")
    found = read_image(str(tmp_path / "p.png"), recipe).input
    # 32 * 64 / 96 is no whole number: a row more or less
    rows = slice(6, 26) if mode == "longest" else slice(None)
    if mode != "longest":
        torch.testing.assert_close(found[:, rows], own(picture)[:, rows], rtol=0, atol=1e-5)
    assert found.shape == own(picture).shape


def test_another_input_size_resamples_positions_as_the_library_does(tmp_path):
    from open_clip.model import resize_pos_embed

    write_folder("class token", tmp_path / "m")
    embedder = load(tmp_path / "m", input_size=48)
    vision, text, _ = TOWERS["class token"]
    larger = CLIP(embed_dim=8, vision_cfg={**vision, "image_size": 48}, text_cfg=text).eval()
    from safetensors.torch import load_file

    state = load_file(tmp_path / "m" / "open_clip_model.safetensors")
    resize_pos_embed(state, larger)
    larger.load_state_dict(state)
    images = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        expected = unit(larger.encode_image(images))
    torch.testing.assert_close(embedder.embed(images), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["BiomedCLIP", "SigLIP", "timm mean"])
def test_another_input_size_of_timm_is_the_librarys_own(kind, tmp_path):
    model = write_folder(kind, tmp_path / "m")
    model.visual.set_input_size(192)
    images = torch.randn(2, 3, 192, 192)
    with torch.no_grad():
        expected = unit(model.encode_image(images))
    found = load(tmp_path / "m", input_size=192).embed(images)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_size_that_a_tower_does_not_take_is_told(tmp_path):
    write_folder("ResNet", tmp_path / "m")
    with pytest.raises(SettingError, match="its attention pooling is for 64 pixels"):
        load(tmp_path / "m", input_size=48)


@pytest.mark.parametrize("pool", ["cls", "mean", "cls+mean"])
@pytest.mark.parametrize("kind", ["class token", "BiomedCLIP"])
def test_pool_takes_the_tokens_before_the_projection(kind, pool, tmp_path):
    model = write_folder(kind, tmp_path / "m")
    embedder = load(tmp_path / "m", pool=pool)
    images = torch.randn(2, 3, embedder.size, embedder.size)
    with torch.no_grad():
        if kind == "BiomedCLIP":
            tokens = model.visual.trunk.forward_features(images)
        else:
            visual = model.visual
            tokens = visual.ln_post(visual.transformer(visual._embeds(images)))
    parts = {"cls": tokens[:, 0], "mean": tokens[:, 1:].mean(dim=1)}
    expected = unit(torch.cat([parts[part] for part in pool.split("+")], dim=1))
    torch.testing.assert_close(embedder.embed(images), expected, rtol=0, atol=1e-5)


def test_pickle_is_refused_with_how_to_convert(tmp_path):
    write_folder("class token", tmp_path / "m")
    weights = tmp_path / "m" / "open_clip_model.safetensors"
    weights.rename(tmp_path / "m" / "open_clip_pytorch_model.bin")
    with pytest.raises(
        ModelError, match=r"open_clip_pytorch_model\.bin, which is a pickle"
    ) as caught:
        load(tmp_path / "m")
    assert "safetensors.torch.save_file(torch.load(" in caught.value.hint
    assert "`weights`" not in caught.value.hint  # which would not take both towers


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vision_cfg": None}, "does not describe a model of open_clip"),
        ({"embed_dim": "8"}, "embed_dim: expected a whole number"),
        ({"vision_cfg": {**VISION, "image_size": [32, 48]}}, "expected a square"),
        ({"vision_cfg": {**VISION, "nonsense": 1}}, "open_clip cannot build"),
        ({"vision_cfg": {**VISION, "timm_model_name": "hf-hub:a/b"}}, "the name of a network of"),
        ({"vision_cfg": {**VISION, "timm_model_name": "no_such"}}, "open_clip cannot build"),
    ],
)
def test_description_that_is_none_is_one_line(change, reason, tmp_path):
    write_folder("class token", tmp_path / "m")
    file = tmp_path / "m" / "open_clip_config.json"
    described = json.loads(file.read_text())
    described["model_cfg"] |= change
    file.write_text(json.dumps(described))
    with pytest.raises((ModelError, SettingError), match=reason):
        build_architecture(str(tmp_path / "m"))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"resize_mode": "other"}, "resize_mode: expected shortest, longest, squash"),
        ({"fill_color": 5}, "fill_color: pictures are padded with black alone"),
        ({"std": [0, 1, 1]}, "std"),
        ({"mean": ["a"] * 3}, "could not convert"),
    ],
)
def test_preprocessing_that_xmir_has_not_is_refused(said, reason, tmp_path):
    write_folder("class token", tmp_path / "m", **said)
    with pytest.raises(ModelError, match=reason):
        build_architecture(str(tmp_path / "m"))


@pytest.mark.parametrize(
    ("said", "parts"), [(None, "mean, std"), ({"mean": [0.5] * 3}, "std"), ({"std": 0.5}, "mean")]
)
def test_what_the_description_leaves_unsaid_is_said_to_be_assumed(said, parts, tmp_path):
    write_folder("class token", tmp_path / "m")
    file = tmp_path / "m" / "open_clip_config.json"
    described = json.loads(file.read_text())
    described["preprocess_cfg"] = said
    file.write_text(json.dumps(described))
    (line,) = build_architecture(str(tmp_path / "m")).notes
    assert f"does not say all of how images are prepared ({parts}); assumed is shorter" in line


def test_without_open_clip_the_package_is_named(tmp_path, monkeypatch):
    write_folder("class token", tmp_path / "m")
    for name in [each for each in sys.modules if each.partition(".")[0] == "open_clip"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ModelError, match="needs the package open_clip_torch") as caught:
        build_architecture(str(tmp_path / "m"))
    assert caught.value.hint == "pip install 'xmir[clip]'"


def test_from_a_folder_to_an_index_on_the_command_line(xmir, tmp_path):
    write_folder("class token", tmp_path / "m")
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{seed}.png")
    done = xmir("embed", "0.png", "1.png", "2.png", "--arch", "m", "-o", "e.parquet")
    assert done.code == 0
    assert "images are prepared as its open_clip_config.json says: shorter side 32" in done.stderr
    assert xmir("index", "e.parquet", "-o", "i.xmir").code == 0
    hits = xmir("query", "0.png", "-i", "i.xmir").records()
    assert Path(hits[0]["retrieved"]).name == "0.png"
    assert hits[0]["model"]["architecture"] == str(tmp_path / "m")


def test_what_the_description_makes_of_the_weights_is_part_of_their_hash(tmp_path):
    write_folder("class token", tmp_path / "m")
    before = load(tmp_path / "m").spec.weights_sha256
    file = tmp_path / "m" / "open_clip_config.json"
    described = json.loads(file.read_text())
    described["model_cfg"]["vision_cfg"]["head_width"] = 4
    file.write_text(json.dumps(described))
    assert load(tmp_path / "m").spec.weights_sha256 != before
