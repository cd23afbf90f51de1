"""A folder's own preprocessing: pixels are those of the library's own image processor."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

transformers = pytest.importorskip("transformers", reason="needs the extra hf")

from tests.extras import tiny
from xmir_cli.errors import ModelError
from xmir_cli.model.architectures import build_architecture
from xmir_cli.model.folders import open_folder
from xmir_cli.model.transformers_configs import describe
from xmir_cli.model.transformers_networks import build
from xmir_cli.model.transformers_recipes import read_recipe
from xmir_cli.pictures.files import read_picture
from xmir_cli.pictures.view import to_input, view_picture
from xmir_cli.wire.model import ModelSpec

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries

PRESSED = "a picture that is no square is pressed into one; its processor keeps its shape"
SQUARE = {"height": 32, "width": 32}
PROCESSORS = [  # layout, class, settings
    ("vit", "ViT", {"size": SQUARE}),
    ("vit", "ViT", {"size": 40}),
    ("vit", "ViT", {"size": SQUARE, "resample": 1}),
    ("vit", "ViT", {"size": SQUARE, "resample": 5}),
    ("vit", "ViT", {"size": SQUARE, "rescale_factor": 1 / 127.5, "do_normalize": False}),
    (
        "vit",
        "ViT",
        {"size": SQUARE, "do_rescale": False, "image_mean": [99] * 3, "image_std": [9] * 3},
    ),
    ("dinov2", "Bit", {"size": {"shortest_edge": 37}, "crop_size": 32}),
    ("dinov2", "Bit", {"size": {"shortest_edge": 33}, "crop_size": 32}),
    ("dinov2", "Bit", {"size": {"shortest_edge": 24}, "crop_size": 32}),
    ("clip", "CLIP", {"size": {"shortest_edge": 32}, "crop_size": SQUARE}),
    ("clip", "CLIP", {"size": 224}),
    ("siglip", "Siglip", {"size": SQUARE}),
    ("convnext", "ConvNext", {"size": {"shortest_edge": 32}}),
    ("convnext", "ConvNext", {"size": {"shortest_edge": 384}}),
    ("deit", "DeiT", {"size": {"height": 43, "width": 43}, "crop_size": SQUARE}),
    ("beit", "Beit", {"size": 40, "do_center_crop": True, "crop_size": 32}),
    ("swin", "ViT", {"size": SQUARE}),
]


@pytest.fixture
def pictures(tmp_path):
    """A grey picture and one in colour, no squares."""
    rng = np.random.default_rng(3)
    for name, shape in (("grey", (83, 120)), ("colour", (131, 90, 3))):
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return [tmp_path / "grey.png", tmp_path / "colour.png"]


def recipe_of(folder):
    opened = open_folder(str(folder))
    return read_recipe(opened, describe(opened))


def described(name, folder, **told):
    """A folder with a network's description, and with its own way to prepare images."""
    config = getattr(transformers, tiny.LAYOUTS[name][1])(**tiny.LAYOUTS[name][2])
    config.architectures = [tiny.LAYOUTS[name][0]]
    config.save_pretrained(folder)
    if told:
        (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


@pytest.mark.parametrize(("name", "kind", "settings"), PROCESSORS)
def test_pixels_are_those_of_the_librarys_processor(name, kind, settings, tmp_path, pictures):
    folder = described(name, tmp_path / "network")
    processor = getattr(transformers, f"{kind}ImageProcessorPil")(**settings)
    processor.save_pretrained(folder)
    recipe, file, odd = recipe_of(folder)
    assert (file, odd) == ("preprocessor_config.json", ())
    for path in pictures:
        expected = processor(images=Image.open(path).convert("RGB"), return_tensors="pt")
        found = to_input(view_picture(read_picture(str(path)), recipe), recipe)
        assert torch.allclose(found, expected["pixel_values"][0], atol=1e-5, rtol=1e-5)
    spec = ModelSpec(str(folder), "folder", preprocessing=recipe)
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json())), "here") == spec


def test_torchvisions_way_to_resize_differs_by_two_greys_at_most(tmp_path, pictures):
    processor = transformers.CLIPImageProcessor(size=32, crop_size=SQUARE)
    folder = described("clip", tmp_path / "network")
    processor.save_pretrained(folder)
    recipe, *_ = recipe_of(folder)
    for path in pictures:
        expected = processor(images=Image.open(path).convert("RGB"), return_tensors="pt")
        found = to_input(view_picture(read_picture(str(path)), recipe), recipe)
        apart = (found - expected["pixel_values"][0]).abs().amax(dim=(1, 2))
        assert (apart * torch.tensor(recipe.std) * 255 <= 2.001).all()


@pytest.mark.parametrize(
    ("name", "told", "line"),
    [
        ("vit", {"size": 32, "do_pad": True}, "its do_pad is not followed"),
        ("vit", {"size": 32, "resample": 0}, "its interpolation, nearest, is bilinear here"),
        (
            "dinov2",
            {"size": 32, "do_center_crop": False},
            "the square in the centre is seen; its processor keeps what is beside it",
        ),
        (
            "vit",
            {"size": 32, "image_processor_type": "MyImageProcessor", "auto_map": {"x": "y"}},
            (
                "its image processor, MyImageProcessor, is not known; "
                "its values are read as ViTImageProcessor's"
            ),
        ),
        (
            "vit",
            {"size": 32, "do_resize": False},
            "pictures are resized to 32; its processor leaves them as they are",
        ),
        (
            "convnext",
            {"size": {"shortest_edge": 32}, "do_resize": False},
            "pictures are resized to 32; its processor leaves them as they are",
        ),
        (
            "vit",
            {"size": 32, "image_processor_type": "AutoImageProcessor"},
            (
                "its image processor, AutoImageProcessor, is not known; "
                "its values are read as ViTImageProcessor's"
            ),
        ),
        (
            "vit",
            {"size": 32, "image_processor_type": "BaseImageProcessor"},
            (
                "its image processor, BaseImageProcessor, is not known; "
                "its values are read as ViTImageProcessor's"
            ),
        ),
        (
            "dinov3",
            {"size": 32},
            "resized greys are rounded to whole ones; its processor keeps their fractions",
        ),
    ],
)
def test_what_cannot_be_done_so_is_said(name, told, line, tmp_path):
    assert recipe_of(described(name, tmp_path, **told))[2] == (line,)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"size": {"height": 32, "width": 24}}, "size: height 32, width 24"),
        ({"size": {"longest_edge": 32}}, "size: longest_edge 32"),
        ({"size": 32, "do_center_crop": True, "crop_size": {"height": 8, "width": 9}}, "crop: "),
        ({"size": 10**9}, "size: expected 1 to 4096"),
        ({"size": 32, "image_std": [0, 0, 0]}, "std: expected numbers above 0"),
        ({"size": 32, "rescale_factor": 0}, "rescale_factor 0"),
        ({"size": {"shortest_edge": []}}, "xmir cannot prepare images so"),
        ({"size": 32, "resample": "cubic"}, "xmir cannot prepare images so"),
        ({"size": 32, "do_normalize": True, "image_mean": {}}, "mean or std {}"),
        ({"size": 32, "save_pretrained": 1, "to_dict": 1}, "xmir cannot prepare images so"),
    ],
)
def test_a_recipe_that_makes_no_square_is_refused(told, reason, tmp_path):
    with pytest.raises(ModelError, match="xmir cannot prepare images so") as error:
        recipe_of(described("vit", tmp_path, **told))
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("told", "hint"),
    [
        ({"size": {"height": 32, "width": 24}}, "Sizes that make squares"),
        ({"size": 10**9}, "Sizes that make squares of at most 4096 pixels"),
        ({"size": 32, "image_mean": [1e9] * 3}, "One number or three as image_mean"),
        ({"size": 32, "image_mean": [0.5, 0.5]}, "One number or three as image_mean"),
        ({"size": 32, "image_std": [0, 0, 0]}, "above 0 as image_std"),
        ({"size": 32, "image_std": [-1] * 3}, "above 0 as image_std"),
        ({"size": 32, "rescale_factor": 0}, "rescale_factor"),
        ({"size": 32, "resample": "cubic"}, "resample"),
    ],
)
def test_the_hint_is_of_what_is_at_fault(told, hint, tmp_path):
    with pytest.raises(ModelError, match="xmir cannot prepare images so") as error:
        recipe_of(described("vit", tmp_path, **told))
    assert hint in error.value.hint
    assert ("squares" in error.value.hint) == ("squares" in hint)


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        ({"image_processor_type": "ViTImageProcessor"}, "size, interpolation, mean, std"),
        ({"size": 32, "resample": 2, "image_mean": [0.5] * 3}, "std"),
        ({"size": 32, "resample": 2, "do_normalize": False}, None),
    ],
)
def test_what_a_file_leaves_unsaid_is_said_to_be_assumed(told, parts, tmp_path):
    (said,) = build_architecture(str(described("vit", tmp_path, **told))).notes
    partly = f"its preprocessor_config.json does not say all of how images are prepared ({parts}); "
    expected = "images are prepared as its preprocessor_config.json says: both sides"
    if parts:
        expected = f"{partly}assumed is both sides"
    assert expected in said


def test_an_older_file_and_one_of_several_parts_are_read(tmp_path):
    old = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 40, "crop_size": 32}
    recipe, *_ = recipe_of(described("clip", tmp_path, **old))
    assert (recipe.input_size, recipe.resize, recipe.view) == (32, 40, "crop")
    (tmp_path / "preprocessor_config.json").unlink()
    parts = {"image_processor": {**old, "image_processor_type": "CLIPImageProcessor", "size": 36}}
    (tmp_path / "processor_config.json").write_text(json.dumps(parts))
    recipe, file, _ = recipe_of(tmp_path)
    assert (file, recipe.resize) == ("processor_config.json", 36)


def test_what_a_newer_file_of_several_parts_says_comes_first(tmp_path):
    folder = described("clip", tmp_path, image_processor_type="CLIPImageProcessor", size=40)
    part = {"image_processor_type": "CLIPImageProcessor", "size": 36, "crop_size": 32}
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": part}))
    recipe, file, _ = recipe_of(folder)
    library = transformers.AutoImageProcessor.from_pretrained(folder)
    assert (file, recipe.resize) == ("processor_config.json", library.size["shortest_edge"])


@pytest.mark.parametrize("file", ["preprocessor_config.json", "processor_config.json"])
def test_a_file_that_says_nothing_of_images_is_none(file, tmp_path):
    folder = described("vit", tmp_path)
    (folder / file).write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    recipe, found, _ = recipe_of(folder)
    assert (found, recipe.input_size) == ("", 32)


def test_without_a_file_the_usual_is_assumed(tmp_path):
    recipe, file, odd = recipe_of(described("swin", tmp_path))
    assert (file, odd) == ("", ())
    assert (recipe.input_size, recipe.resize, recipe.view) == (32, 32, "squash")
    assert recipe.mean == (0.485, 0.456, 0.406)


def test_numbers_that_are_null_are_those_of_the_class(tmp_path):
    recipe, _, odd = recipe_of(
        described("convnext", tmp_path, size=32, resample=None, crop_pct=None)
    )
    expected, *_ = recipe_of(described("convnext", tmp_path, size=32))
    assert (recipe, odd) == (expected, ())


def test_a_link_that_leads_nowhere_is_not_taken_for_silence(tmp_path):
    folder = described("vit", tmp_path)
    (folder / "preprocessor_config.json").symlink_to("blob")
    with pytest.raises(ModelError, match=r"preprocessor_config\.json"):
        recipe_of(folder)


def test_a_name_without_letters_is_no_fault(tmp_path):
    recipe, *_ = recipe_of(described("vit", tmp_path, size=32, **{"": 1}))
    assert recipe.input_size == 32


DPT = {"image_processor_type": "DPTImageProcessor", "size": SQUARE}


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        ({}, ()),
        ({"keep_aspect_ratio": True, "ensure_multiple_of": 16}, (PRESSED,)),
        (
            {"ensure_multiple_of": 20},
            ("pictures are resized to 32; its processor makes it a multiple of 20",),
        ),
    ],
)
def test_a_shape_that_a_processor_keeps_or_rounds_is_said(told, lines, tmp_path):
    recipe, _, odd = recipe_of(described("vit", tmp_path, **DPT, **told))
    assert (recipe.input_size, recipe.view, odd) == (32, "squash", lines)


@pytest.mark.parametrize(("layout", "side", "said"), [("vit", 32, 0), ("vit", 35, 1)])
def test_a_size_that_patches_do_not_tile_is_said(layout, side, said, tmp_path):
    size = {"height": side, "width": side}
    described(layout, tmp_path, image_processor_type="ViTImageProcessor", size=size)
    notes = [each for each in build(str(tmp_path), None).notes if "no multiple" in each]
    assert len(notes) == said
    assert all("35 pixels are no multiple of its patches, " in each for each in notes)
