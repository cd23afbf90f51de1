"""Checkpoints as people have them: wrapped, under prefixes, with more or less than the network."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from xmir_cli.errors import ModelError
from xmir_cli.model.loader import load_network
from xmir_cli.store.checkpoint import write_tensors
from xmir_cli.wire.model import ModelSpec, Preprocessing

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """A ResNet-18 with random weights under torchvision's names."""
    from torchvision.models import resnet18

    torch.manual_seed(3)
    return resnet18(weights=None).state_dict()


@pytest.fixture
def load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[State, str]]:
    """The features that a file gives, and what was said."""

    def load(content: Mapping, name: str = "resnet18", head: int | None = None):
        torch.save(content, tmp_path / "w.pt")
        network = load_network(ModelSpec(name, str(tmp_path / "w.pt"), head))
        return network.state_dict(), capsys.readouterr().err

    return load


def same(loaded: State, state: State) -> bool:
    kept = {name: t for name, t in state.items() if not name.startswith("fc.")}
    return all(torch.equal(loaded[f"features.{name}"], tensor) for name, tensor in kept.items())


def under(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "prefix",
    [
        *("_orig_mod.", "module.", "model.", "net.", "backbone.", "encoder.", "module.encoder_q."),
        *("visual.trunk.", "teacher.", "module._orig_mod.", "a_name_of_ones_own.", "x_", "1.2.3."),
    ],
)
def test_any_prefix_of_all_names_is_stripped_and_said(load, state, prefix: str):
    loaded, said = load(under(prefix, state))
    assert same(loaded, state)
    assert f"the prefix {prefix} of its names stripped" in said


@pytest.mark.parametrize(
    "path",
    [
        *("state_dict", "state-dict", "model", "ema", "model_ema", "teacher", "student", "params"),
        *("weights", "network", "net", "checkpoint", "anything at all", "model.state_dict"),
        *("teacher.backbone", "state_dict.model.module"),
    ],
)
def test_wrappers_are_opened_and_said(load, state, path: str):
    content: Mapping = state
    for key in reversed(path.split(".")):
        content = {"epoch": 7, key: content, "name": "resnet18"}
    loaded, said = load(content)
    assert same(loaded, state)
    assert f"the prefix {path}. of its names stripped" in said


def test_wrappers_and_prefixes_go_together_and_the_rest_is_named(load, state):
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3), "step": torch.tensor(1.0)}}}
    loss = {"criterion.weight": torch.ones(2)}
    content = {"state_dict": under("model.", state) | loss, "optimizer": optimizer, "epoch": 3}
    loaded, said = load(content)
    assert same(loaded, state)
    assert "the prefix state_dict.model. of its names stripped" in said
    assert "5 tensors without a place here dropped" in said
    for name in ("state_dict.model.fc (2)", "optimizer (2)", "state_dict.criterion (1)"):
        assert name in said


@pytest.mark.parametrize("apart", ["fc", "classifier", "head", "projector", "text", "optimizer"])
def test_what_is_no_trunk_is_dropped_by_name(load, state, apart: str):
    trunk = {name: t for name, t in state.items() if not name.startswith("fc.")}
    loaded, said = load({**trunk, f"{apart}.weight": torch.ones(2)})
    assert same(loaded, trunk)
    assert f"1 tensors without a place here dropped ({apart}.weight)" in said


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize(
    "extra", ["layer1.0.ls1.gamma", "cls_token", "norm.weight", "fc_norm.bias"]
)
def test_a_tensor_of_the_trunk_without_a_place_is_an_error(load, state, prefix: str, extra: str):
    with pytest.raises(ModelError) as caught:
        load(under(prefix, {**state, extra: torch.ones(8)}))
    assert f"1 of its tensors have no place in the network ({extra})" in str(caught.value)


def test_counters_of_batches_may_be_missing_or_too_many(load, state):
    fewer = {name: t for name, t in state.items() if "num_batches" not in name}
    loaded, _ = load(fewer)
    assert same(loaded, fewer)
    loaded, said = load({**state, "layer1.0.conv1.num_batches_tracked": torch.tensor(5)})
    assert same(loaded, state)
    assert "layer1.0.conv1.num_batches_tracked" in said


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_missing_tensor_is_an_error_that_shows_both_sides(load, state, prefix: str):
    fewer = {name: t for name, t in state.items() if name != "layer4.1.bn2.running_var"}
    with pytest.raises(ModelError) as caught:
        load(under(prefix, fewer))
    words = str(caught.value)
    assert "1 of 120 tensors of the network are missing (layer4.1.bn2.running_var)" in words
    assert f"the file's begin {prefix}conv1.weight, {prefix}bn1.weight" in words
    assert "the network's conv1.weight, bn1.weight, bn1.bias ..." in words


def test_names_of_another_library_are_shown_beside_the_networks(load):
    with pytest.raises(ModelError) as caught:
        load({"vision_model.embeddings.patch.weight": torch.ones(3)})
    assert "the file's begin vision_model.embeddings.patch.weight, the network's conv1.weight" in (
        str(caught.value)
    )


def other(state: State) -> State:
    return {name: tensor + 1 for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("taken", "left"),
    [
        *(("model_ema", "model"), ("teacher", "student"), ("ema", "state_dict")),
        *(("model", "momentum"), ("module.encoder_q", "module.encoder_k")),
        ("online_network", "target_network"),
    ],
)
def test_of_two_networks_that_fit_a_stated_rule_takes_one(load, state, taken: str, left: str):
    for content in (
        {**under(f"{left}.", other(state)), **under(f"{taken}.", state)},
        {left: other(state), taken: state},
    ):
        loaded, said = load(content)
        assert same(loaded, state)
        assert f"the prefix {taken}. of its names stripped" in said
        assert f"{left}. would fit, too: averaged weights come first, students last" in said


def test_two_networks_of_one_rank_are_refused_unless_they_are_the_same(load, state):
    with pytest.raises(ModelError) as caught:
        load({"net_a": state, "net_b": other(state)})
    assert "several networks in it fit: those under net_a., net_b." in str(caught.value)
    loaded, _ = load({"net_a": state, "net_b": dict(state)})
    assert same(loaded, state)


def test_of_two_networks_of_the_same_names_that_of_the_right_size_is_meant(load, state):
    from torchvision.models import resnet34

    wide = {name: torch.cat([t, t]) if t.ndim else t for name, t in state.items()}
    loaded, _ = load({"a": wide, "b": state, "c": resnet34().state_dict()})
    assert same(loaded, state)


def test_a_head_comes_from_the_file_or_is_said_to_be_new(load, state):
    trunk = {name: t for name, t in state.items() if not name.startswith("fc.")}
    own = {"fc.weight": torch.randn(8, 512), "fc.bias": torch.randn(8)}
    for content in ({**trunk, **own}, {**under("model.", trunk), **own}):
        loaded, said = load(content, head=8)
        assert torch.equal(loaded["head.after.0.weight"], own["fc.weight"])
        assert "initialised" not in said
        assert "dropped" not in said
    _, said = load(state, head=8)
    assert "not in it, and as it was initialised: head.after.0.weight, head.after.0.bias" in said


def test_whole_numbers_are_no_weights(load, state):
    with pytest.raises(ModelError, match=r"conv1.weight: expected floating-point numbers"):
        load({**state, "conv1.weight": (state["conv1.weight"] * 100).to(torch.int8)})


@pytest.mark.parametrize("content", [{}, {"epoch": 3, "arch": "x"}, {"state_dict": {}}])
def test_a_file_without_tensors_says_what_it_holds(load, content: dict):
    held = ", ".join(content) or "nothing"
    with pytest.raises(ModelError, match=f"no tensors in it; it holds {held}"):
        load(content)


def test_a_safetensors_file_under_a_prefix_loads_too(tmp_path: Path, state):
    write_tensors(tmp_path / "w.safetensors", under("model.", state), {})
    network = load_network(ModelSpec("resnet18", str(tmp_path / "w.safetensors")))
    assert same(network.state_dict(), state)


def test_grey_weights_name_the_settings_that_they_need(load, state):
    grey = {**state, "conv1.weight": state["conv1.weight"].sum(dim=1, keepdim=True)}
    loaded, said = load(under("model.", grey))
    expected = (grey["conv1.weight"] / 3).expand(-1, 3, -1, -1)
    torch.testing.assert_close(loaded["features.conv1.weight"], expected)
    for setting in ("`mean` 0.5", "`std` 0.00048828125", "`resize` as large as `input_size`"):
        assert setting in said


@pytest.mark.parametrize("head", [None, 8])
def test_a_transformer_is_loaded_whole_also_below_a_head(load, head: int | None):
    """Its last block is part of its head, and lies one deeper when another is added."""
    from torchvision.models import VisionTransformer, vit_b_16

    torch.manual_seed(1)
    library: VisionTransformer = vit_b_16(weights=None)
    torch.nn.init.normal_(library.encoder.ln.weight)
    loaded, _ = load(library.state_dict(), "vit_b_16", head)
    inner = "head." if head is None else "head.inner."
    last = library.encoder.layers.encoder_layer_11.mlp[0].weight
    assert torch.equal(loaded[f"{inner}block.mlp.0.weight"], last)
    assert torch.equal(loaded[f"{inner}norm.weight"], library.encoder.ln.weight)


def test_layer_scale_without_a_place_is_an_error(load):
    timm = pytest.importorskip("timm", reason="the extra timm is not installed")
    scaled = timm.create_model("vit_tiny_patch16_224", init_values=0.1).state_dict()
    with pytest.raises(ModelError) as caught:
        load(scaled, "timm:vit_tiny_patch16_224")
    assert "24 of its tensors have no place in the network (blocks.0.ls1.gamma, " in (
        str(caught.value)
    )


@pytest.mark.parametrize("prefix", ["", "module.", "visual.trunk."])
def test_positions_of_another_size_are_resampled_and_said(tmp_path: Path, capsys, prefix: str):
    timm = pytest.importorskip("timm", reason="the extra timm is not installed")
    library = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    torch.save(under(prefix, library.state_dict()), tmp_path / "w.pt")
    name, recipe = "timm:vit_tiny_patch16_224", Preprocessing(96, 96)
    network = load_network(ModelSpec(name, str(tmp_path / "w.pt"), None, recipe))
    assert "resampled to the sizes of the network: pos_embed" in capsys.readouterr().err
    library.set_input_size(96)  # timm's own way
    images = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        expected = library.eval()(images)
        torch.testing.assert_close(network.eval()(images), expected, atol=1e-5, rtol=1e-4)


def test_published_names_are_read_as_their_library_reads_them(load):
    """ConvNeXt as it was published, which timm names otherwise."""
    timm = pytest.importorskip("timm", reason="the extra timm is not installed")
    library = timm.create_model("convnext_atto")
    published = {}
    for name, tensor in library.state_dict().items():
        name = name.replace("stem.", "downsample_layers.0.").replace(".blocks.", ".")
        name = name.replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv").replace("head.", "")
        if ".downsample." in name:
            _, stage, _, rest = name.split(".", 3)
            name = f"downsample_layers.{stage}.{rest}"
        name = name.replace("fc.", "head.") if name.startswith("fc.") else name
        published[name] = tensor
    loaded, said = load({"model": published}, "timm:convnext_atto")
    for name, tensor in library.state_dict().items():
        if not name.startswith("head.fc"):
            assert torch.equal(loaded[f"features.model.{name}"].flatten(), tensor.flatten()), name
    assert "its names changed as the network's library does" in said
