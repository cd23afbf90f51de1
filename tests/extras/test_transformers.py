"""Folders of transformers: the embeddings are those of the library's own forward."""

import json

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="needs the extra hf")

from tests.extras import tiny
from xmir_cli.errors import ModelError

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries


@pytest.mark.parametrize("name", tiny.LAYOUTS)
def test_embeddings_are_the_librarys_own(name, tmp_path):
    library = tiny.make(name)
    library.save_pretrained(tmp_path)
    ours = tiny.load(tmp_path)
    size = ours.spec.preprocessing.input_size
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        expected = tiny.embed(name, library, images)
        found = ours.network(images)
    assert found.shape == expected.shape
    assert ours.network.dim == expected.shape[1]
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5), (found - expected).abs().max()


MASKING = {"encoder_stride": 8, "vocab_size": 20}
DECODER = {
    "decoder_hidden_size": 16,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 32,
}
LEVELS = {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("task", "layout", "settings", "dropped"),
    [
        ("ViTForMaskedImageModeling", "vit", MASKING, ["decoder", "vit.embeddings.mask_token"]),
        ("DeiTForMaskedImageModeling", "deit", MASKING, ["decoder", "deit.embeddings.mask_token"]),
        ("SwinForMaskedImageModeling", "swin", MASKING, ["decoder", "swin.embeddings.mask_token"]),
        ("Swinv2ForMaskedImageModeling", "swinv2", MASKING, ["swinv2.embeddings.mask_token"]),
        ("BeitForMaskedImageModeling", "beit", MASKING, ["lm_head", "layernorm"]),
        ("ViTMAEForPreTraining", "mae", DECODER, ["decoder"]),
        ("BeitForSemanticSegmentation", "beit", LEVELS, ["decode_head", "auxiliary_head", "fpn1"]),
        ("Data2VecVisionForSemanticSegmentation", "data2vec", LEVELS, ["decode_head"]),
    ],
)
def test_what_a_task_adds_is_dropped_by_name(task, layout, settings, dropped, tmp_path, capsys):
    _, config, values = tiny.LAYOUTS[layout]
    torch.manual_seed(1)
    library = getattr(transformers, task)(getattr(transformers, config)(**{**values, **settings}))
    for parameter in library.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    library.eval().save_pretrained(tmp_path)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        tokens = library.base_model(images).last_hidden_state
        found = tiny.load(tmp_path).network(images)
    expected = tokens.mean(dim=1) if layout.startswith("swin") else tokens[:, 0]
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5)
    said = capsys.readouterr().err
    assert "tensors without a place here dropped" in said
    assert all(name in said for name in dropped)


def test_weights_of_another_network_than_the_described_are_told_so(tmp_path):
    folder = changed(tiny.write("vit", tmp_path), num_hidden_layers=3)
    with pytest.raises(ModelError) as caught:
        tiny.load(folder)
    assert (
        caught.value.hint
        == "Its description and its weights do not agree: are both of one network?"
    )


def changed(folder, tensors=None, **config):
    """The folder with other tensors, and another description."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    if tensors is not None:
        save_file(tensors(load_file(file)), file)
    described = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(described))
    return folder


BIAS = "encoder.layer.1.attention.attention.key.bias"


@pytest.mark.parametrize(
    ("tensors", "config", "reason"),
    [
        (
            lambda found: {**found, "encoder.layer.0.layer_scale1": torch.ones(32)},
            {},
            "1 of its tensors have no place in the network",
        ),
        (
            lambda found: {name: each for name, each in found.items() if name != BIAS},
            {},
            "1 of 40 tensors of the network are missing",
        ),
        (
            lambda found: {**found, "layernorm.weight": torch.ones(16)},
            {},
            r"layernorm.weight: expected shape \(32,\), found \(16,\)",
        ),
        (
            lambda found: {**found, "layernorm.weight": torch.full((32,), torch.nan)},
            {},
            "layernorm.weight: holds NaN or infinity",
        ),
        (None, {"num_hidden_layers": 3}, "16 of 56 tensors of the network are missing"),
        (None, {"hidden_act": "os.system"}, "transformers cannot build it"),
        (None, {"quantization_config": {"quant_method": "x"}}, "its weights are quantized"),
        (None, {"image_size": [32, 48]}, "is made for 32 x 48 pixels"),
        (None, {"patch_size": [8, 16]}, "its patches of 8 x 16 pixels are no squares"),
        (None, {"model_type": "bert"}, "bert is no vision network that xmir can split"),
        (None, {"num_channels": 4}, "takes pictures of other than 1 or 3 channels"),
        (None, {"num_channels": [1]}, "takes pictures of other than 1 or 3 channels"),
        (None, {"image_size": []}, "preprocessor_config|transformers cannot build it|recipe"),
    ],
)
def test_what_does_not_fit_is_refused(tensors, config, reason, tmp_path):
    folder = changed(tiny.write("vit", tmp_path), tensors, **config)
    with pytest.raises(ModelError, match=reason):
        tiny.load(folder)


def test_nothing_that_a_description_names_is_fetched_or_run(tmp_path):
    evil = {"_attn_implementation": "org/kernel", "attn_implementation": "org/kernel"}
    evil |= {"auto_map": {"AutoModel": "evil.Model"}, "use_kernels": True}
    folder = changed(tiny.write("vit", tmp_path), **evil)
    (folder / "evil.py").write_text("raise SystemExit('it ran')")
    assert tiny.load(folder).network.dim == 32


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"num_hidden_layers": 10**7}, "num_hidden_layers: expected at most 1000"),
        ({"hidden_size": 65536}, "describes a network of more than 67[0-9]* values"),
        ({"intermediate_size": 10**7}, "describes a network of more than 67[0-9]* values"),
        ({"image_size": 30_000}, "^[^:]*: describes a network of more than 67[0-9]* values$"),
        ({"image_size": 10**8}, "^[^:]*: describes a network of more than 67[0-9]* values$"),
    ],
)
def test_a_few_bytes_describe_no_network_of_any_size(config, reason, tmp_path):
    folder = changed(tiny.write("vit", tmp_path), **config)
    said = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    with pytest.raises(ModelError, match=reason):
        tiny.load(folder)


def test_half_precision_is_widened_as_it_is(tmp_path):
    folder = changed(
        tiny.write("vit", tmp_path),
        lambda found: {name: each.half() for name, each in found.items()},
        dtype="float16",
    )
    ours = tiny.load(folder).network
    weight = ours.features.model.layernorm.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, weight.half().float())


@pytest.mark.parametrize("prefix", ["", "backbone.", "model.vit."])
def test_weights_of_another_file_find_their_places(prefix, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tiny.write("vit", tmp_path / "net")
    own = load_file(folder / "model.safetensors")
    save_file({f"{prefix}{name}": each for name, each in own.items()}, tmp_path / "w.safetensors")
    ours = tiny.load(folder).network.state_dict()
    other = tiny.load(folder, weights=str(tmp_path / "w.safetensors")).network.state_dict()
    assert all(torch.equal(other[name], tensor) for name, tensor in ours.items())


def test_one_channel_is_spread_over_three(tmp_path, monkeypatch):
    writer, settings, values = tiny.LAYOUTS["vit"]
    monkeypatch.setitem(tiny.LAYOUTS, "vit", (writer, settings, {**values, "num_channels": 1}))
    library = tiny.make("vit")
    library.save_pretrained(tmp_path)
    grey = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        found = tiny.load(tmp_path).network(grey.expand(-1, 3, -1, -1))
        assert torch.allclose(found, library(grey).pooler_output, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_a_text_tower_is_left_out_without_a_word(name, tmp_path, capsys):
    tiny.load(tiny.write(name, tmp_path))
    assert "dropped" not in capsys.readouterr().err


def test_shards_of_the_library_are_read(tmp_path):
    library = tiny.make("dinov2")
    library.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = library(images).pooler_output
        assert torch.allclose(tiny.load(tmp_path).network(images), expected, atol=1e-5)
    next(tmp_path.glob("model-00002*")).unlink()
    with pytest.raises(ModelError, match=r"its shard model-00002-of-.* is missing"):
        tiny.load(tmp_path)


def test_the_hub_is_asked_once_it_is_named(tmp_path, monkeypatch):
    """With a client that copies what it is asked for into its cache, as the hub's does."""
    import huggingface_hub

    from xmir_cli.model.architectures import trust
    from xmir_cli.model.hub import hub_folder

    asked = []

    def fetch(repository, revision, allow_patterns, cache_dir):
        asked.append((repository, revision))
        assert not any(pattern.endswith((".bin", ".py")) for pattern in allow_patterns)
        place = cache_dir / "models--org--fetched" / "snapshots" / "c0ffee"
        return str(tiny.write("vit", place))

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    with pytest.raises(ModelError, match="not in the local cache"):
        hub_folder("hf:org/fetched@v2")
    trust("hf:org/fetched@v2")
    assert hub_folder("hf:org/fetched@v2").name == "c0ffee"
    assert asked == [("org/fetched", "v2")]


def test_a_network_that_was_fetched_alone_gets_its_recipe_from_the_hub(tmp_path, monkeypatch):
    """As AutoModel leaves the cache: config.json and model.safetensors only."""
    import huggingface_hub

    from xmir_cli.model.hub import hub_folder

    monkeypatch.setattr("xmir_cli.model.named._named", {"hf:org/part"})
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    place = tmp_path / "hub" / "models--org--part" / "snapshots" / "c0ffee"
    tiny.write("vit", place)
    (place.parents[1] / "refs").mkdir()
    (place.parents[1] / "refs" / "main").write_text("c0ffee")
    assert hub_folder("hf:org/part@c0ffee") == place  # data alone name it, and say the recipe

    def fetch(*_, **__):
        (place / "preprocessor_config.json").write_text('{"size": 40}')
        return str(place)

    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(ModelError, match=r"without its preprocessor_config\.json") as error:
        hub_folder("hf:org/part")
    assert "hf download org/part" in error.value.hint
    absent = place.parents[1] / ".no_exist" / "c0ffee" / "preprocessor_config.json"
    for known in (absent, place / ".gitattributes"):  # the library asked, or all was fetched
        known.parent.mkdir(parents=True, exist_ok=True)
        known.touch()
        assert hub_folder("hf:org/part") == place
        known.unlink()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert hub_folder("hf:org/part") == place
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    assert (hub_folder("hf:org/part") / "preprocessor_config.json").exists()


def test_a_network_of_timm_in_transformers_clothes_is_timms(tmp_path):
    timm = pytest.importorskip("timm")
    small = {"img_size": 32, "patch_size": 8, "depth": 2, "num_heads": 4, "embed_dim": 32}
    config = transformers.TimmWrapperConfig(
        architecture="vit_tiny_patch16_224", model_args=small, do_pooling=True
    )
    library = transformers.TimmWrapperModel(config).eval()
    library.save_pretrained(tmp_path)
    described = json.loads((tmp_path / "config.json").read_text())
    assert (described["model_type"], timm.is_model(described["architecture"])) == (
        "timm_wrapper",
        True,
    )
    ours = tiny.load(tmp_path, input_size=32)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = library(images).pooler_output
        assert torch.allclose(ours.network(images), expected, atol=1e-5, rtol=1e-5)
