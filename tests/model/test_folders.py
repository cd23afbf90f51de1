"""Folders of networks that need no extra: timm's, and what is refused before a library is asked."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from xmir_cli.completion import complete_architectures
from xmir_cli.errors import ModelError, SettingError
from xmir_cli.model import hub
from xmir_cli.model.architectures import build_architecture, trust
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.folders import full_name, is_folder, move, open_folder
from xmir_cli.model.loader import load_embedder, load_network, resolve_model
from xmir_cli.model.network import Network
from xmir_cli.model.shards import read_folder_tensors
from xmir_cli.model.sources import known_names, near_architectures, source_of
from xmir_cli.model.weights import fill_with
from xmir_cli.store.checkpoint import write_tensors
from xmir_cli.wire.model import ModelSpec

SMALL = {"img_size": 32, "patch_size": 8, "depth": 2, "num_heads": 4, "embed_dim": 32}
TIMM = {
    "class token": ("vit_tiny_patch16_224", SMALL),
    "registers": ("vit_small_patch14_reg4_dinov2", {**SMALL, "patch_size": 8}),
    "attention pooling": ("vit_base_patch16_siglip_224", SMALL),
    "mean of tokens": ("vit_tiny_patch16_224", {**SMALL, "global_pool": "avg"}),
    "convolutions": ("convnext_atto", {"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16)}),
}


def write_timm(folder: Path, kind: str = "class token", **settings):
    """A folder that timm writes, and its network."""
    import timm
    from timm.models import save_for_hf

    name, own = TIMM[kind]
    torch.manual_seed(1)
    network = timm.create_model(name, pretrained=False, num_classes=5, **own, **settings)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_for_hf(network.eval(), folder, safe_serialization=True)
    return network


def choose(folder: Path, **choice) -> ModelSpec:
    return resolve_model(ModelChoice(architecture=str(folder), **choice))


@pytest.mark.parametrize("kind", TIMM)
def test_embeddings_are_timms_own(kind, tmp_path):
    theirs = write_timm(tmp_path, kind)
    spec = choose(tmp_path)
    assert (spec.architecture, spec.weights) == (str(tmp_path.resolve()), "folder")
    ours = load_network(spec).eval()
    images = torch.randn(2, 3, spec.preprocessing.input_size, spec.preprocessing.input_size)
    with torch.no_grad():
        expected = theirs.forward_head(theirs.forward_features(images), pre_logits=True)
        assert torch.allclose(ours(images), expected, atol=1e-5, rtol=1e-5)


def test_pools_are_those_of_timms_tokens(tmp_path):
    theirs = write_timm(tmp_path, "registers")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        tokens = theirs.forward_features(images)
        wanted = {"cls": tokens[:, 0], "mean": tokens[:, 5:].mean(dim=1)}
        for pool, expected in wanted.items():
            ours = load_network(choose(tmp_path, pool=pool)).eval()
            assert torch.allclose(ours(images), expected, atol=1e-5, rtol=1e-5)
    assert load_network(choose(tmp_path, pool="cls+mean", head=3)).dim == 3


@pytest.mark.parametrize("registers", [0, 4])
def test_a_folder_that_pools_nothing_is_asked_how(registers, tmp_path, xmir):
    theirs = write_timm(tmp_path / "v", "class token", global_pool="", reg_tokens=registers)
    with pytest.raises(SettingError, match="does not pool what it makes") as caught:
        choose(tmp_path / "v")
    assert caught.value.hint == "It has cls, mean, cls+mean."
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        tokens = theirs.forward_features(images)
        first, mean = tokens[:, 0], tokens[:, 1 + registers :].mean(dim=1)
        for pool, expected in {
            "cls": first,
            "mean": mean,
            "cls+mean": torch.cat([first, mean], dim=1),
        }.items():
            found = load_network(choose(tmp_path / "v", pool=pool)).eval()(images)
            assert torch.allclose(found, expected, atol=1e-5), pool
    told = xmir("info", str(tmp_path / "v"))
    assert '"pools": ["cls", "mean", "cls+mean"]' in told.stdout


def test_maps_that_a_folder_does_not_pool_can_be_averaged(tmp_path):
    theirs = write_timm(tmp_path, "convolutions", global_pool="")
    with pytest.raises(SettingError, match="does not pool") as caught:
        choose(tmp_path)
    assert caught.value.hint == "It has mean."
    with pytest.raises(SettingError, match="has no class token") as caught:
        choose(tmp_path, pool="cls")
    assert caught.value.hint == "It has mean."
    theirs.reset_classifier(0, global_pool="avg")
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        found = load_network(choose(tmp_path, pool="mean")).eval()(images)
        assert torch.allclose(found, theirs.eval()(images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("said", [False, True])
def test_packed_mlps_are_known_by_their_tensors(said, tmp_path, capsys):
    import timm
    from timm.layers import SwiGLUPacked
    from timm.models import save_for_hf

    # Virchow2's own description; the two layers are named in its words alone
    own = {"init_values": 1e-5, "reg_tokens": 4, "mlp_ratio": 5.3375, "global_pool": ""}
    own |= {"img_size": 28, "embed_dim": 32, "depth": 2, "num_heads": 4, "dynamic_img_size": True}
    name, layers = "vit_huge_patch14_224", {"mlp_layer": SwiGLUPacked, "act_layer": torch.nn.SiLU}
    theirs = timm.create_model(name, num_classes=0, **own, **layers).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    words = {"mlp_layer": "SwiGLUPacked", "act_layer": "silu"}
    save_for_hf(theirs, tmp_path, model_args={**own, **words}, safe_serialization=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["model_args"] = {**own, **words} if said else own
    (tmp_path / "config.json").write_text(json.dumps(config))
    images = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        tokens = theirs(images)
        ours = load_network(choose(tmp_path, pool="cls+mean")).eval()
        expected = torch.cat([tokens[:, 0], tokens[:, 5:].mean(dim=1)], dim=1)
        assert torch.allclose(ours(images), expected, atol=1e-5, rtol=1e-5)
    assert ("taken are timm's SwiGLUPacked and SiLU" in capsys.readouterr().err) is not said


def test_a_kind_of_mlp_that_is_none_is_refused(tmp_path):
    write_timm(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["model_args"]["mlp_layer"] = "system"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="mlp_layer: expected Mlp, "):
        choose(tmp_path)


def test_a_pool_is_refused_where_there_is_none(tmp_path):
    write_timm(tmp_path, "attention pooling")
    with pytest.raises(SettingError, match="has no class token"):
        choose(tmp_path, pool="cls")
    with pytest.raises(SettingError, match="densenet121 has no class token"):
        resolve_model(ModelChoice(architecture="densenet121", weights="random:0", pool="cls"))


def test_the_pool_is_absent_where_it_is_the_librarys_own():
    spec = ModelSpec("densenet121", "imagenet")
    assert "pool" not in spec.to_json()
    pooled = ModelSpec("densenet121", "imagenet", pool="mean")
    assert pooled.to_json()["pool"] == "mean"
    assert ModelSpec.from_json(pooled.to_json(), "here") == pooled
    assert not pooled.same_embedding(spec)


def test_timms_recipe_is_followed_and_said(tmp_path, capsys):
    write_timm(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["pretrained_cfg"] |= {
        "crop_mode": "squash",
        "interpolation": "lanczos",
        "mean": [0.1] * 3,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    recipe = choose(tmp_path).preprocessing
    assert (recipe.view, recipe.interpolation, recipe.mean) == (
        "squash",
        "lanczos",
        (0.1, 0.1, 0.1),
    )
    said = capsys.readouterr().err
    assert "prepared as its config.json says: both sides 35, lanczos, the 32 x 32" in said


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ((), "it does not say how images are prepared; assumed is shorter side 256, bicubic"),
        (
            ("input_size", "interpolation", "crop_pct"),
            "its config.json does not say all of how images are prepared (mean, std); assumed is",
        ),
    ],
)
def test_what_timms_folder_leaves_unsaid_is_said_to_be_assumed(kept, said, tmp_path, capsys):
    write_timm(tmp_path, "convolutions")
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    recipe = config.pop("pretrained_cfg")
    if kept:
        config["pretrained_cfg"] = {key: recipe[key] for key in kept}
    file.write_text(json.dumps(config))
    choose(tmp_path)
    assert said in " ".join(capsys.readouterr().err.split())


def test_an_interpolation_of_chance_is_said_of_a_folder_too(tmp_path, capsys):
    write_timm(tmp_path, "convolutions")
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    config["pretrained_cfg"]["interpolation"] = "random"
    file.write_text(json.dumps(config))
    choose(tmp_path)
    assert "interpolation random of its recipe is bicubic here" in capsys.readouterr().err


def test_one_channel_is_spread_over_three(tmp_path):
    theirs = write_timm(tmp_path, in_chans=1)
    ours = load_network(choose(tmp_path)).eval()
    grey = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        expected = theirs.forward_head(theirs.forward_features(grey), pre_logits=True)
        assert torch.allclose(ours(grey.expand(-1, 3, -1, -1)), expected, atol=1e-5, rtol=1e-4)


def test_other_weights_may_take_the_place_of_the_folders(tmp_path):
    write_timm(tmp_path)
    random = load_network(choose(tmp_path, weights="random:0")).state_dict()
    own = load_network(choose(tmp_path)).state_dict()
    assert not torch.equal(random[key := next(iter(own))], own[key])
    copy = tmp_path / "model.safetensors"
    assert torch.equal(
        load_network(choose(tmp_path, weights=str(copy))).state_dict()[key], own[key]
    )
    with pytest.raises(SettingError, match="a folder brings its own weights"):
        choose(tmp_path, weights="imagenet")
    with pytest.raises(SettingError, match="`architecture` is no folder"):
        resolve_model(ModelChoice(architecture="resnet18", weights="folder"))


def test_the_description_is_bound_like_the_weights(tmp_path):
    write_timm(tmp_path)
    spec = load_embedder(choose(tmp_path), "cpu").spec
    assert load_embedder(spec, "cpu").spec == spec
    config = json.loads((tmp_path / "config.json").read_text())
    config["model_args"]["num_heads"] = 2
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="not the recorded weights or description"):
        load_embedder(spec, "cpu")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architecture": "hf-hub:evil/network"}, "expected the name of a network of timm"),
        ({"architecture": "nosuch"}, "timm:nosuch: timm has no such network"),
        ({"model_args": {"in_chans": 4}}, "takes pictures of other than 1 or 3 channels"),
        ({"model_args": {"in_chans": [3]}}, "takes pictures of other than 1 or 3 channels"),
        ({"pretrained_cfg": {"input_size": [3, 32, 48]}}, "sees 32 x 48 pixels"),
        ({"pretrained_cfg": [1]}, "pretrained_cfg: expected an object"),
    ],
)
def test_an_odd_description_is_refused(change, reason, tmp_path):
    config = {"architecture": "vit_tiny_patch16_224", **change}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=reason):
        choose(tmp_path)


class LeavesATrace:
    """A pickle that makes a folder where it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("kind", ["named", "recorded"])
def test_no_file_that_a_description_names_is_read(kind, tmp_path, monkeypatch):
    import timm.models._factory

    read = []
    monkeypatch.setattr(timm.models._factory, "load_checkpoint", lambda _, path: read.append(path))
    write_timm(tmp_path)
    pickled = tmp_path / "w.bin"
    pickled.write_bytes(pickle.dumps(LeavesATrace(tmp_path / "trace")))
    config = json.loads((tmp_path / "config.json").read_text())
    config["model_args"]["checkpoint_path"] = str(pickled)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="model_args: checkpoint_path is not followed"):
        choose(tmp_path) if kind == "named" else load_network(ModelSpec(str(tmp_path), "folder"))
    assert not read
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        {"cache_dir": "elsewhere"},
        {"pretrained": True},
        {"pretrained_cfg": {"file": "w.bin"}},
        {"pretrained_cfg_overlay": {"url": "https://evil.example/w.bin"}},
        {"pretrained_strict": False},
        {"features_only": True},
        {"feature_cls": "fx"},
        {"scriptable": True},
        {"no_jit": True},
        {"device": "meta"},
        {"weight_init": "https://evil.example/w.bin"},
        {"backbone": ["hf-hub:evil/network"]},
        {"act_layer": {"../w.bin": 1}},
    ],
)
def test_only_the_networks_own_arguments_are_followed(arguments, tmp_path):
    config = {"architecture": "vit_tiny_patch16_224", "model_args": {**SMALL, **arguments}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=f"model_args: {next(iter(arguments))} is not followed"):
        choose(tmp_path)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (None, "no config.json"),
        ("{", "no JSON that can be relied on"),
        ("[1]", "expected an object, found list"),
        ('{"hidden_size": 3}', "says neither model_type nor architecture"),
    ],
)
def test_a_folder_that_describes_no_network_is_refused(config, reason, tmp_path):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match=reason):
        open_folder(str(tmp_path))


def test_a_folder_that_is_not_there_is_told_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no such folder") as error:
        full_name(str(tmp_path / "moved"))
    assert "Has it moved?" in error.value.hint
    with pytest.raises(ModelError, match="org/network: no such folder") as error:
        full_name("org/network")
    assert error.value.hint == "On the hub it would be hf:org/network."


def test_torchvisions_networks_come_before_folders_of_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("resnet18", "vit-small", "my-network"):
        (tmp_path / name).mkdir()
    assert not is_folder("resnet18")
    assert is_folder("vit-small")
    assert is_folder("my-network")
    assert is_folder("./resnet18")
    assert not is_folder("nets/tiny.py:tiny")
    assert not is_folder("densenet121")


@pytest.mark.parametrize(
    "change",
    [
        {"crop_pct": "a"},
        {"crop_pct": [1]},
        {"crop_pct": 1e-300},
        {"mean": "x"},
        {"mean": [1, 2]},
        {"mean": [[1], 2, 3]},
        {"std": [0, 0, 0]},
        {"input_size": [3, "a", "a"]},
        {"input_size": [3, -1, -1]},
        {"input_size": [3, 10**6, 10**6]},
        {"interpolation": ["x"]},
        {"crop_mode": {"a": 1}},
        {"classifier": 5},
        {"classifier": [1]},
    ],
)
def test_a_recipe_that_nobody_could_follow_is_one_line(change, tmp_path):
    config = {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": change}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=rf"config\.json: {next(iter(change))}: "):
        choose(tmp_path)


def test_the_input_size_is_to_blame_only_where_it_is(tmp_path):
    write_timm(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["model_args"]["act_layer"] = "nosuch"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SettingError, match="not a network that xmir can split") as error:
        choose(tmp_path, input_size=48)
    assert error.value.name == "architecture"


def test_what_is_null_is_not_said(tmp_path):
    write_timm(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["pretrained_cfg"] |= dict.fromkeys(("crop_pct", "interpolation", "crop_mode"))
    config["model_args"]["drop_rate"] = None
    (tmp_path / "config.json").write_text(json.dumps(config))
    recipe = choose(tmp_path).preprocessing
    assert (recipe.interpolation, recipe.view) == ("bicubic", "crop")


def test_a_kind_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "x", "model_type": ["vit"]}')
    with pytest.raises(ModelError, match="is no vision network"):
        choose(tmp_path)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_link_that_leads_nowhere_is_named(file, tmp_path):
    write_timm(tmp_path)
    (tmp_path / file).unlink()
    (tmp_path / file).symlink_to("blob")
    with pytest.raises(ModelError, match=file):
        load_network(choose(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"depth": 10**7}, "depth: expected at most 1000"),
        ({"depths": [1] * 2000}, "depths: expected at most 1000"),
        ({"embed_dim": 16384, "num_heads": 16}, "a network of more than 67[0-9]* values"),
        ({"depth": 1000, "embed_dim": 1024}, "a network of more than 67[0-9]* values"),
        ({"img_size": 200_000}, "^[^:]*: describes a network of more than 67[0-9]* values$"),
    ],
)
def test_a_few_bytes_describe_no_network_of_any_size(arguments, reason, tmp_path):
    write_timm(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["model_args"] |= arguments
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises((ModelError, SettingError), match=reason):
        choose(tmp_path)
    assert resolve_model(ModelChoice(architecture="resnet18", weights="random:0"))


def sharded(folder: Path, table: dict[str, str] | None = None) -> None:
    """Two tensors in two files, and a table of them."""
    (folder / "config.json").write_text('{"architecture": "vit_tiny_patch16_224"}')
    write_tensors(folder / "model-1.safetensors", {"a": torch.ones(2)}, {})
    write_tensors(folder / "model-2.safetensors", {"b": torch.zeros(3)}, {})
    told = table or {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    index = {"metadata": {"total_size": 20}, "weight_map": told}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_shards_are_read_together(tmp_path):
    sharded(tmp_path)
    found = read_folder_tensors(open_folder(str(tmp_path)))
    assert {name: tensor.tolist() for name, tensor in found.items()} == {"a": [1, 1], "b": [0] * 3}


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"a": "model-1.safetensors"}, None),
        (
            {"a": "model-1.safetensors", "b": "model-3.safetensors"},
            "model-3.safetensors is missing",
        ),
        ({"a": "model-1.safetensors", "b": "model-1.safetensors"}, "b is not in it"),
        ({"a": "../model-1.safetensors"}, "expected names of safetensors files in the folder"),
        ({"a": "/etc/passwd"}, "expected names of safetensors files in the folder"),
        ({"a": "model-1.bin"}, "expected names of safetensors files in the folder"),
        ({"a": 3}, "expected names of safetensors files in the folder"),
        ({"a": f"{'m' * 300}.safetensors"}, "is missing"),
        ({"a": "m\0.safetensors"}, "is missing"),
    ],
)
def test_shards_are_what_their_table_says(table, reason, tmp_path):
    sharded(tmp_path, table)
    folder = open_folder(str(tmp_path))
    if reason is None:
        assert list(read_folder_tensors(folder)) == ["a"]
    else:
        with pytest.raises(ModelError, match=reason):
            read_folder_tensors(folder)


def test_a_cut_shard_is_named(tmp_path):
    sharded(tmp_path)
    shard = tmp_path / "model-2.safetensors"
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(ModelError, match=r"model-2\.safetensors: expected 12 bytes of tensors"):
        read_folder_tensors(open_folder(str(tmp_path)))


def test_a_pickle_is_refused_with_a_way_to_convert_it(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "vit_tiny_patch16_224"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04cposix\nsystem\n")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin, which is a pickle") as error:
        read_folder_tensors(open_folder(str(tmp_path)))
    assert "save_file" in error.value.hint
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="no weights in it"):
        read_folder_tensors(open_folder(str(tmp_path)))


def test_a_pickle_is_named_with_its_folder(tmp_path):
    network = write_timm(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(network.state_dict(), place := tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="which is a pickle") as error:
        read_folder_tensors(open_folder(str(tmp_path)))
    assert f"`weights` {place} reads" in error.value.hint
    assert f"torch.load({str(place)!r}" in error.value.hint
    assert f"{str(tmp_path / 'model.safetensors')!r})" in error.value.hint
    load_network(choose(tmp_path, weights=str(place)))


def test_a_repository_of_pickles_alone_is_said_to_hold_them(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "vit_tiny_patch16_224"}')
    folder = replace(open_folder(str(tmp_path)), name="hf:org/pickled@main")
    with pytest.raises(ModelError, match="no weights that are safe to fetch") as error:
        read_folder_tensors(folder)
    assert error.value.hint.endswith("hf download org/pickled")


def test_a_folder_that_moved_is_named_where_a_checkpoint_would_be(tmp_path):
    write_timm(tmp_path / "m")
    spec, trained = choose(tmp_path / "m"), replace(choose(tmp_path / "m"), weights="/x/trained")
    (tmp_path / "m").rename(place := tmp_path / "moved")
    assert move(spec, str(place)) == replace(spec, architecture=str(place))
    assert move(trained, str(place)).weights == "/x/trained"
    assert move(ModelSpec("resnet18", "imagenet"), str(place)).weights == "folder"
    assert resolve_model(ModelChoice(model=str(place))) == choose(place)
    with pytest.raises(SettingError, match="already says the architecture"):
        resolve_model(ModelChoice(model=str(place), architecture="resnet18"))


def test_the_hubs_cache_is_read_as_it_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    network = write_timm(snapshot := tmp_path / "models--org--net" / "snapshots" / "c0ffee")
    blob = snapshot.parents[1] / "blob"  # the hub's client keeps files apart, by their content
    (snapshot / "model.safetensors").rename(blob)
    (snapshot / "model.safetensors").symlink_to("../../blob")
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("c0ffee")
    for name in ("hf:org/net", "hf:org/net@main", "hf:org/net@c0ffee"):
        spec = choose(name)
        assert (spec.architecture, spec.weights) == (name, "folder")
        images = torch.randn(1, 3, 32, 32)
        with torch.no_grad():
            expected = network.forward_head(network.forward_features(images), pre_logits=True)
            assert torch.allclose(load_network(spec).eval()(images), expected, atol=1e-5)
    assert complete_architectures("hf:") == ["hf:", "hf:org/net"]
    assert near_architectures("net") == "Did you mean hf:org/net?"


@pytest.mark.parametrize(
    "name", ["hf:", "hf:a/b/c", "hf:../x", "hf:a/b@../../x", "hf:a/b@", "hf:a b"]
)
def test_a_name_that_the_hub_cannot_have_is_refused(name):
    with pytest.raises(ModelError, match="expected hf:ORG/NAME"):
        open_folder(name)


def test_the_hub_is_not_asked_for_what_data_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="not in the local cache of the hub") as error:
        open_folder("hf:org/of-a-record")
    assert error.value.hint.endswith("hf download org/of-a-record")


def test_without_the_client_of_the_hub_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    trust("hf:org/named")
    with pytest.raises(ModelError, match="needs the package huggingface_hub") as error:
        hub.hub_folder("hf:org/named")
    assert error.value.hint == "pip install 'xmir[hf]'"


def test_without_transformers_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(ModelError, match="needs the package transformers") as error:
        choose(tmp_path)
    assert error.value.hint == "pip install 'xmir[hf]'"


def test_code_in_a_folder_is_refused_before_any_library_is_asked(tmp_path):
    config = {"model_type": "rad-net", "auto_map": {"AutoModel": "modeling.RadNet"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "modeling.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(ModelError, match="its network, rad-net, is code that comes with it"):
        choose(tmp_path)


def test_the_help_names_folders_and_the_hub():
    assert "a FOLDER of transformers, timm or open_clip, or hf:ORG/NAME" in known_names()
    with pytest.raises(ModelError, match="not a known architecture"):
        source_of("nosuch")


def test_folders_complete(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    (tmp_path / "nets" / "one").mkdir(parents=True)
    (tmp_path / "nets" / "one" / "config.json").write_text("{}")
    assert "nets/" in complete_architectures("ne")
    assert complete_architectures("nets/") == ["nets/one"]


def test_info_tells_what_a_folder_is(xmir, tmp_path):
    write_timm(tmp_path)
    done = xmir("info", tmp_path, "--verify")
    (record,) = done.records()
    assert (record["kind"], record["library"]) == ("network", "timm")
    assert (record["network"], record["dim"]) == ("vit_tiny_patch16_224", 32)
    assert record["pools"] == ["native", "cls", "mean", "cls+mean"]
    assert record["model"]["preprocessing"]["input_size"] == 32
    assert record["bytes"] == (tmp_path / "model.safetensors").stat().st_size


def test_a_foreign_file_says_which_recipe_is_assumed(tmp_path, capsys):
    from torchvision.models import resnet18

    write_tensors(file := tmp_path / "w.safetensors", resnet18().state_dict(), {})
    spec = load_embedder(
        resolve_model(ModelChoice(architecture="resnet18", weights=str(file)))
    ).spec
    said = capsys.readouterr().err
    assert "does not say how images are prepared; assumed is what resnet18 has: " in said
    assert "shorter side 256, bilinear, the 224 x 224 in the centre; mean 0.485,0.456" in said
    load_embedder(spec)
    choice = ModelChoice(architecture="resnet18", weights=str(file), mean="0.5", std="0.5")
    load_network(resolve_model(choice))
    assert "prepared" not in capsys.readouterr().err


def test_torchvisions_transformer_pools_its_tokens_too():
    from torchvision.models import vit_b_16

    theirs, seen = vit_b_16(image_size=32).eval(), []
    theirs.encoder.register_forward_hook(lambda *called: seen.append(called[2]))
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        theirs(images)
        for pool, expected in {"cls": seen[0][:, 0], "mean": seen[0][:, 1:].mean(dim=1)}.items():
            architecture = build_architecture("vit_b_16", 32, pool)
            ours = Network(architecture, None).eval()
            fill_with(ours, architecture, theirs.state_dict(), "here")
            assert torch.allclose(ours(images), expected, atol=1e-5, rtol=1e-5)


def test_a_networks_folder_is_not_written_over(xmir, tmp_path):
    write_timm(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    place = tmp_path / "model.safetensors"
    done = xmir("train", tmp_path, "--arch", tmp_path, "-o", place, "--force")
    assert (done.code, "is an input, too" in done.stderr) == (2, True)
    assert place.read_bytes() == before
