"""Text towers of folders: the library's own embeddings, loaded alone, bound by hash."""

import contextlib
import json
import shutil

import pytest
import torch

from tests.extras.towers import write_biomed, write_folder, write_transformers
from xmir_cli.errors import ModelError
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import unit
from xmir_cli.model.folders import open_folder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.text_sources import load_text_tower
from xmir_cli.wire.model import ModelSpec, Preprocessing

PROMPTS = ["left opacity", "a effusion of the right", "left right " * 9]
KINDS = ("class token", "QuickGELU", "attentional pool", "SigLIP")


def tower(folder, **said):
    return load_text_tower(ModelSpec(str(folder), "folder", **said))


@pytest.mark.parametrize("kind", [*KINDS, "BiomedCLIP's text tower"])
def test_texts_equal_the_librarys_own(kind, tmp_path):
    open_clip = pytest.importorskip("open_clip", reason="needs the extra clip")
    model = write_folder(kind, tmp_path / "m") if kind in KINDS else write_biomed(tmp_path / "m")
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'm'}")(PROMPTS)
    with torch.no_grad():
        expected = unit(model.encode_text(tokens))
    found = tower(tmp_path / "m")
    torch.testing.assert_close(found.embed(PROMPTS), expected, rtol=0, atol=1e-5)
    context = tokens.shape[1]
    assert found.tokenizer.cut(PROMPTS) == [0, 0, 20 - context]


@pytest.mark.filterwarnings("default")  # of the library
@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2"])
def test_texts_equal_those_of_transformers(family, tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    model = write_transformers(family, tmp_path / "m")
    own = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    padding = "longest" if family == "clip" else "max_length"
    tokens = own(PROMPTS, padding=padding, truncation=True, max_length=12, return_tensors="pt")
    with torch.no_grad():
        expected = unit(model.get_text_features(**tokens).pooler_output)
    found = tower(tmp_path / "m")
    torch.testing.assert_close(found.embed(PROMPTS), expected, rtol=0, atol=1e-5)
    if family != "siglip2":  # whose tokenizer takes the words of another vocabulary for one
        assert found.tokenizer.cut(PROMPTS) == [0, 0, 8]


@pytest.mark.filterwarnings("default")  # of the library
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_words_and_images_of_transformers_are_in_one_space(family, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra hf")
    model = write_transformers(family, tmp_path / "m")
    embedder = load_embedder(resolve_model(ModelChoice(architecture=str(tmp_path / "m"))), "cpu")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = unit(model.get_image_features(images).pooler_output)
    torch.testing.assert_close(embedder.embed(images), expected, rtol=0, atol=1e-5)
    assert load_text_tower(embedder.spec).embed(["left"]).shape[1] == embedder.dim


def test_hash_is_of_tensors_tokenizer_and_description(tmp_path):
    pytest.importorskip("open_clip", reason="needs the extra clip")
    pytest.importorskip("transformers", reason="needs the extra hf")
    write_biomed(tmp_path / "m")
    shutil.copytree(tmp_path / "m", tmp_path / "same")
    shutil.copytree(tmp_path / "m", tmp_path / "other")
    file = tmp_path / "other" / "tokenizer.json"
    file.write_text(file.read_text().replace('"left"', '"links"'))
    first, same, other = (tower(tmp_path / name).sha256 for name in ("m", "same", "other"))
    assert first == same
    assert first != other
    described = tmp_path / "same" / "config.json"
    described.write_text(described.read_text().replace('"gelu"', '"relu"'))
    assert first != tower(tmp_path / "same").sha256


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"head": 4}, "a linear head"),
        ({"pool": "mean"}, "the pooling mean"),
    ],
)
def test_images_in_another_space_have_no_words(said, what, tmp_path):
    pytest.importorskip("open_clip", reason="needs the extra clip")
    write_folder("class token", tmp_path / "m")
    with pytest.raises(ModelError, match=f"with {what} its images are in another space"):
        tower(tmp_path / "m", **said)


def test_trained_weights_have_no_words(tmp_path):
    pytest.importorskip("open_clip", reason="needs the extra clip")
    write_folder("class token", tmp_path / "m")
    with pytest.raises(ModelError, match="with the weights /x/trained its images are in another"):
        load_text_tower(ModelSpec(str(tmp_path / "m"), "/x/trained"))


def test_model_without_words_says_which_have_them():
    with pytest.raises(ModelError, match="resnet18: this model has no text tower") as caught:
        load_text_tower(ModelSpec("resnet18", "imagenet", None, Preprocessing()))
    assert "open_clip" in caught.value.hint
    assert "SigLIP" in caught.value.hint


def test_a_folder_of_two_libraries_has_the_words_of_the_one(tmp_path):
    """As timm's CLIP on the hub: its image tower, and both towers as open_clip has them."""
    pytest.importorskip("open_clip", reason="needs the extra clip")
    write_folder("class token", folder := tmp_path / "m")
    (folder / "config.json").write_text('{"architecture": "vit_tiny_patch16_224"}')
    weights = folder / "open_clip_model.safetensors"
    shutil.copy(weights, folder / "model.safetensors")
    assert len(tower(folder).embed(["left"])[0]) == 8
    assert open_folder(str(folder)).layout == "open_clip"
    weights.unlink()
    assert open_folder(str(folder)).layout == "timm"
    with pytest.raises(
        ModelError, match=r"its text tower is in open_clip_model\.safetensors, which"
    ):
        tower(folder)


def test_text_tower_whose_description_is_nowhere_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("open_clip", reason="needs the extra clip")
    pytest.importorskip("transformers", reason="needs the extra hf")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    write_biomed(tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    snapshot = tmp_path / "hub" / "models--microsoft--some-bert" / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    config.rename(snapshot / "config.json")
    assert tower(tmp_path / "m").embed(["left"]).shape == (1, 8)
    (snapshot / "config.json").unlink()
    with pytest.raises(ModelError, match="neither in the folder nor in the hub's cache") as caught:
        tower(tmp_path / "m")
    assert "hf download microsoft/some-bert config.json" in caught.value.hint


def test_no_code_of_a_folder_runs(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra hf")
    write_transformers("clip", tmp_path / "m")
    trace = tmp_path / "ran"
    (tmp_path / "m" / "evil.py").write_text(
        f"open({str(trace)!r}, 'w').close()\nclass Evil: pass\n"
    )
    file = tmp_path / "m" / "tokenizer_config.json"
    said = json.loads(file.read_text())
    said |= {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", None]}}
    file.write_text(json.dumps(said))
    config = tmp_path / "m" / "config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "auto_map": {"AutoModel": "evil.Evil"}})
    )
    with contextlib.suppress(ModelError):
        tower(tmp_path / "m")
    assert not trace.exists()


EVIL = {
    "attn_implementation": "org/kernel",
    "_attn_implementation": "org/kernel",
    "experts_implementation": "org/kernel",
    "use_kernels": True,
    "name_or_path": "org/network",
}


@pytest.mark.parametrize("place", ["", "text_config", "vision_config"])
def test_nothing_that_a_text_tower_names_is_fetched(place, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra hf")
    write_transformers("clip", tmp_path / "m")
    expected = tower(tmp_path / "m").sha256
    rewrite(tmp_path / "m" / "config.json", place, EVIL)
    found = tower(tmp_path / "m")
    assert found.network.config._attn_implementation != "org/kernel"
    assert found.sha256 == expected


def test_nothing_that_biomed_clips_text_tower_names_is_fetched(tmp_path):
    pytest.importorskip("open_clip", reason="needs the extra clip")
    pytest.importorskip("transformers", reason="needs the extra hf")
    write_biomed(tmp_path / "m")
    expected = tower(tmp_path / "m").sha256
    rewrite(tmp_path / "m" / "config.json", "", EVIL)
    assert tower(tmp_path / "m").sha256 == expected
    evil = {"model_type": "timm_backbone", "backbone": "resnet18", "use_pretrained_backbone": True}
    rewrite(tmp_path / "m" / "config.json", "", evil)
    with pytest.raises(ModelError, match="timm_backbone is no network of texts"):
        tower(tmp_path / "m")


def test_quantized_weights_are_refused_wherever_that_is_said(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra hf")
    write_transformers("clip", tmp_path / "m")
    rewrite(tmp_path / "m" / "config.json", "text_config", {"quantization_config": {"bits": 4}})
    with pytest.raises(ModelError, match="its weights are quantized"):
        tower(tmp_path / "m")


@pytest.mark.parametrize("what", ["num_hidden_layers", "vocab_size"])
def test_a_text_tower_is_not_of_any_size(what, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra hf")
    write_transformers("clip", tmp_path / "m")
    rewrite(tmp_path / "m" / "config.json", "text_config", {what: 10**7})
    with pytest.raises(ModelError, match=r"expected at most 1000|a network of more than 67"):
        tower(tmp_path / "m")


@pytest.mark.parametrize(
    "change",
    [
        {"context_length": "a"},
        {"context_length": None},
        {"context_length": 0},
        {"tokenizer_kwargs": [1]},
        {"tokenizer_kwargs": {"clean": "evil"}},
        {"tokenizer_kwargs": {"trust_remote_code": True}},
    ],
)
def test_a_tokenizer_that_cannot_be_made_is_one_line(change, tmp_path):
    pytest.importorskip("open_clip", reason="needs the extra clip")
    write_folder("class token", tmp_path / "m")
    file = tmp_path / "m" / "open_clip_config.json"
    said = json.loads(file.read_text())
    said["model_cfg"]["text_cfg"] |= change
    file.write_text(json.dumps(said))
    with pytest.raises(ModelError, match="tokenizer"):
        tower(tmp_path / "m")


def rewrite(file, place, changes):
    """Change an object within a file of JSON, or the whole where no place is named."""
    said = json.loads(file.read_text())
    said.setdefault(place, {}).update(changes) if place else said.update(changes)
    file.write_text(json.dumps(said))


@pytest.mark.parametrize("missing", ["text_projection.weight", "text_model.final_layer_norm.bias"])
def test_tensor_that_is_missing_or_odd_is_one_line(missing, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra hf")
    from safetensors.torch import load_file, save_file

    write_transformers("clip", tmp_path / "m")
    file = tmp_path / "m" / "model.safetensors"
    tensors = load_file(file)
    save_file({name: each for name, each in tensors.items() if name != missing}, file)
    with pytest.raises(ModelError, match="1 tensors of its text tower are missing"):
        tower(tmp_path / "m")
    save_file({**tensors, missing: tensors[missing] * float("nan")}, file)
    with pytest.raises(ModelError, match="holds NaN or infinity"):
        tower(tmp_path / "m")


def test_folder_without_a_tokenizer_is_one_line(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra hf")
    write_transformers("clip", tmp_path / "m")
    (tmp_path / "m" / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="no tokenizer in it"):
        tower(tmp_path / "m")


def test_a_few_bytes_describe_no_text_tower_of_any_size(tmp_path):
    pytest.importorskip("open_clip", reason="needs the extra clip")
    write_folder("class token", tmp_path / "open_clip")
    file = tmp_path / "open_clip" / "open_clip_config.json"
    said = json.loads(file.read_text())
    said["model_cfg"]["text_cfg"]["context_length"] = 60_000  # a mask of so many times so many
    file.write_text(json.dumps(said))
    write_transformers("clip", tmp_path / "clip")
    rewrite(tmp_path / "clip" / "config.json", "text_config", {"max_position_embeddings": 10**8})
    for name in ("open_clip", "clip"):
        folder = str(tmp_path / name)
        with pytest.raises(ModelError, match=f"^{folder}: describes a network of more than"):
            tower(folder)
