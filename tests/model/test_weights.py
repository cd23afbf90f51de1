"""Checkpoints of every layout load by name, or are refused in words that help."""

import json
import pickle
from dataclasses import replace
from urllib.error import URLError

import pytest
import torch

from xmir_cli.errors import ModelError
from xmir_cli.model.architectures import build_architecture
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, load_network, resolve_model
from xmir_cli.model.weights import fill, hash_weights
from xmir_cli.store.checkpoint import write_tensors
from xmir_cli.wire.model import ModelSpec


@pytest.fixture(scope="module")
def densenet():
    """A DenseNet-121 with random weights; its tensors under torchvision's names."""
    from torchvision.models import densenet121

    torch.manual_seed(3)
    return densenet121(weights=None).state_dict()


def spec(path, head=None, architecture="densenet121") -> ModelSpec:
    return ModelSpec(architecture, str(path), head)


def same_features(network, state):
    own = network.features.state_dict()
    return all(torch.equal(own[name], state[name]) for name in own if "num_batches" not in name)


def test_torchvisions_layout_needs_no_renaming(densenet, tmp_path, capsys):
    torch.save(densenet, tmp_path / "tv.pth")
    assert same_features(load_network(spec(tmp_path / "tv.pth")), densenet)
    assert (
        "2 tensors without a place here dropped (classifier.bias, classifier.weight"
        in capsys.readouterr().err
    )


def test_chexnets_layout_is_renamed(densenet, tmp_path, capsys):
    old = {}
    for name, tensor in densenet.items():
        if "num_batches" in name:
            continue
        for part in ("norm", "relu", "conv"):
            for digit in ("1", "2"):
                if ".denselayer" in name:
                    name = name.replace(f".{part}{digit}.", f".{part}.{digit}.")
        old[f"module.densenet121.{name.replace('classifier', 'classifier.0')}"] = tensor
    # the published file is of the format before torch 1.6
    torch.save(
        {"state_dict": old, "epoch": 7},
        tmp_path / "model.pth.tar",
        _use_new_zipfile_serialization=False,
    )
    assert same_features(load_network(spec(tmp_path / "model.pth.tar")), densenet)
    assert "tensors renamed to the library's names" in capsys.readouterr().err


def test_x_mirs_layout_brings_its_head(densenet, tmp_path):
    old = {
        f"densenet121.0.{name[9:]}": t
        for name, t in densenet.items()
        if name.startswith("features.")
    }
    old["fc.weight"], old["fc.bias"] = torch.randn(256, 1024), torch.randn(256)
    torch.save(old, tmp_path / "xmir.pth")
    network = load_network(spec(tmp_path / "xmir.pth", head=256))
    assert same_features(network, densenet)
    assert torch.equal(network.head.after[0].weight, old["fc.weight"])


def test_one_input_channel_is_spread_exactly_for_grey_images(densenet, tmp_path, capsys):
    old = {name: t for name, t in densenet.items() if not name.startswith("classifier")}
    old["features.conv0.weight"] = densenet["features.conv0.weight"].sum(dim=1, keepdim=True)
    torch.save(old, tmp_path / "grey.pt")
    network = load_network(spec(tmp_path / "grey.pt")).eval()
    assert "one input channel spread over three" in capsys.readouterr().err
    grey = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        expected = torch.nn.functional.conv2d(
            grey, old["features.conv0.weight"], stride=2, padding=3
        )
        found = network.features.features.conv0(grey.expand(-1, 3, -1, -1))
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_missing_tensor_is_an_error_never_a_random_one(densenet, tmp_path):
    fewer = {name: t for name, t in densenet.items() if "denseblock4" not in name}
    torch.save(fewer, tmp_path / "cut.pth")
    with pytest.raises(ModelError, match=r"\d+ of 725 tensors of the network are missing"):
        load_network(spec(tmp_path / "cut.pth"))


def test_a_tensor_of_another_shape_or_with_nan_is_an_error(tiny_arch, tmp_path):
    state = load_network(spec("random:0", architecture=tiny_arch)).features.state_dict()
    torch.save({**state, "0.weight": torch.zeros(8, 3, 5, 5)}, tmp_path / "shape.pt")
    with pytest.raises(ModelError, match=r"expected shape \(8, 3, 3, 3\), found \(8, 3, 5, 5\)"):
        load_network(spec(tmp_path / "shape.pt", architecture=tiny_arch))
    state["0.bias"] = torch.full((8,), float("nan"))
    torch.save(state, tmp_path / "nan.pt")
    with pytest.raises(ModelError, match="holds NaN"):
        load_network(spec(tmp_path / "nan.pt", architecture=tiny_arch))


class Payload:
    """What a hostile checkpoint carries: it writes a file when unpickled."""

    def __reduce__(self):
        return (open, ("PWNED", "w"))


@pytest.mark.parametrize("how", ["pickle", "module", "torch"])
def test_nothing_is_ever_unpickled(how, tmp_path, tiny_arch):
    path = tmp_path / "evil.pt"
    if how == "pickle":
        path.write_bytes(pickle.dumps(Payload()))
    else:
        torch.save(Payload() if how == "torch" else torch.nn.Linear(2, 2), path)
    with pytest.raises(
        ModelError, match=r"holds Python objects|damaged or no checkpoint"
    ) as caught:
        load_network(spec(path, architecture=tiny_arch))
    assert "weights_only" not in f"{caught.value}{caught.value.hint}"
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"<html>", b"PK\x03\x04cut", b"\x00" * 100])
def test_files_that_are_no_checkpoint_are_told_so(content, tmp_path, tiny_arch):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.pt"):
        load_network(spec(tmp_path / "x.pt", architecture=tiny_arch))


def test_xmirs_own_checkpoint_says_what_it_is(tiny_arch, tmp_path):
    made = load_embedder(spec("random:5", head=4, architecture=tiny_arch), "cpu")
    path = tmp_path / "run.safetensors"
    metadata = {"xmir.model": json.dumps(made.spec.to_json())}
    write_tensors(path, made.network.state_dict(), metadata)
    again = resolve_model(ModelChoice(model=str(path)))
    assert again == replace(made.spec, weights=str(path))
    assert hash_weights(load_embedder(again, "cpu").network) == made.spec.weights_sha256


def test_other_weights_than_the_recorded_ones_are_refused(tiny_arch):
    recorded = load_embedder(spec("random:0", architecture=tiny_arch), "cpu").spec
    with pytest.raises(ModelError, match="not the recorded weights"):
        load_embedder(replace(recorded, weights="random:1"), "cpu")


def test_random_weights_follow_their_seed(tiny_arch):
    one, same, other = (
        hash_weights(load_network(spec(f"random:{seed}", architecture=tiny_arch)))
        for seed in (1, 1, 2)
    )
    assert one == same != other


def test_an_unreachable_hub_is_told_with_the_way_out(monkeypatch):
    def refuse(*_: object, **__: object):
        raise URLError("no route")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(
        ModelError, match="imagenet weights of densenet121: the download failed"
    ) as caught:
        load_network(spec("imagenet"))
    assert "`weights` FILE" in caught.value.hint


def test_ones_own_network_has_no_imagenet_weights(tiny_arch):
    with pytest.raises(ModelError, match="has no imagenet weights"):
        load_network(spec("imagenet", architecture=tiny_arch))


def test_a_timm_safetensors_loads_by_timms_names(tmp_path):
    timm = pytest.importorskip("timm", reason="the extra timm is not installed")
    library = timm.create_model("resnet10t", pretrained=False)
    write_tensors(tmp_path / "timm.safetensors", library.state_dict(), {})
    network = load_network(spec(tmp_path / "timm.safetensors", architecture="timm:resnet10t"))
    assert torch.equal(
        network.features.state_dict()["model.layer4.0.conv1.weight"],
        library.state_dict()["layer4.0.conv1.weight"],
    )
    architecture = build_architecture("timm:resnet10t")
    assert fill(network, architecture, str(tmp_path / "timm.safetensors")) == [
        "2 tensors without a place here dropped (fc.bias, fc.weight)"
    ]
