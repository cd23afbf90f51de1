"""What the network sees of a picture: chosen, recorded, and the same for the models of before."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.errors import DataError
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import resolve_model
from xmir_cli.wire.model import VIEWS, ModelSpec, Preprocessing

BEFORE = {  # as it was recorded before there was a choice
    "architecture": "densenet121",
    "weights": "imagenet",
    "head": None,
    "preprocessing": {
        "input_size": 224,
        "resize": 256,
        "interpolation": "bilinear",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "window": "auto",
        "jpeg": "full",
    },
    "weights_sha256": "",
}


def test_a_model_of_before_crops_and_is_written_as_it_was():
    spec = ModelSpec.from_json(BEFORE, "here")
    assert spec == ModelSpec("densenet121", "imagenet")
    assert spec.preprocessing.view == "crop"
    assert json.dumps(spec.to_json()) == json.dumps(BEFORE)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_read_as_it_was_written(view: str):
    spec = ModelSpec("densenet121", "imagenet", preprocessing=Preprocessing(224, 224, view=view))
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json())), "here") == spec
    assert spec.to_json()["preprocessing"].get("view", "crop") == view
    other = ModelSpec("densenet121", "imagenet", preprocessing=Preprocessing(224, 224))
    assert spec.same_embedding(other) == (view == "crop")


def test_a_view_that_nobody_knows_is_refused():
    strange = {**BEFORE, "preprocessing": {**BEFORE["preprocessing"], "view": "zoom"}}
    with pytest.raises(DataError, match="expected crop or pad or squash, found 'zoom'"):
        ModelSpec.from_json(strange, "here")


@pytest.mark.parametrize(
    ("flags", "sizes"),  # of 32 and 32
    [
        ({}, (32, 32, "crop")),
        ({"input_size": 64}, (64, 64, "crop")),
        ({"resize": 48}, (32, 48, "crop")),
        ({"resize": 48, "input_size": 24}, (24, 48, "crop")),
        ({"view": "pad"}, (32, 32, "pad")),
        ({"view": "squash", "input_size": 24}, (24, 24, "squash")),
        ({"view": "pad", "resize": 40}, (32, 40, "pad")),
    ],
)
def test_flags_choose_the_view(tiny_arch: str, flags: dict[str, object], sizes: tuple):
    spec = resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0", **flags))
    recipe = spec.preprocessing
    assert (recipe.input_size, recipe.resize, recipe.view) == sizes


def test_a_view_of_the_whole_picture_leaves_out_the_margin_of_the_crop():
    flags = {"weights": "random:0", "architecture": "densenet121"}
    assert resolve_model(ModelChoice(**flags)).preprocessing.resize == 256
    assert resolve_model(ModelChoice(**flags, view="crop")).preprocessing.resize == 256
    assert resolve_model(ModelChoice(**flags, view="pad")).preprocessing.resize == 224
    larger = resolve_model(ModelChoice(**flags, view="squash", input_size=448)).preprocessing
    assert (larger.input_size, larger.resize) == (448, 448)


def test_a_trained_model_keeps_its_view(xmir, tiny_arch: str):
    rng, lines = np.random.default_rng(0), ["path,label,split"]
    for number in range(8):
        pixels = rng.integers(0, 256, (50, 30), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},train")
    Path("t.csv").write_text("\n".join(lines))
    done = xmir("train", "t.csv", "--arch", tiny_arch, "--weights", "random:0", "--view", "pad",
                "--resize", 30, "--epochs", 1, "--per-class", 2, "-o", "m.safetensors")  # fmt: skip
    assert done.code == 0, done.stderr
    recipe = resolve_model(ModelChoice("m.safetensors")).preprocessing
    assert (recipe.view, recipe.resize, recipe.input_size) == ("pad", 30, 32)
    larger = resolve_model(ModelChoice("m.safetensors", input_size=64)).preprocessing
    assert (larger.view, larger.resize) == ("pad", 60)
    other = resolve_model(ModelChoice("m.safetensors", view="squash")).preprocessing
    assert (other.view, other.resize) == ("squash", 32)
