"""Every network, split and joined again, equals its library's own forward pass."""

import pytest
import torch
from torch import nn

from xmir_cli.errors import ModelError, UsageError
from xmir_cli.model.architectures import build_architecture, trust
from xmir_cli.model.matching import match
from xmir_cli.model.network import Network

# one of each family, at the smallest size that leaves more than one cell
SIZES = {
    "densenet121": 64,
    "resnet18": 64,
    "resnet50": 64,
    "efficientnet_b0": 64,
    "convnext_tiny": 64,
    "mobilenet_v3_small": 64,
    "vit_b_16": 64,
}
CLASSIFIERS = {"densenet121": "classifier", "resnet18": "fc", "resnet50": "fc"}


def library_and_ours(name: str, size: int) -> tuple[nn.Module, Network]:
    """torchvision's network with random weights, and ours filled from its state dict."""
    from torchvision.models import get_model

    settings = {"image_size": size} if name.startswith("vit") else {}
    torch.manual_seed(0)
    library = get_model(name, weights=None, **settings).eval()
    for module in library.modules():  # statistics and scales that a wrong order would show
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    architecture = build_architecture(name, size)
    ours = Network(architecture, None).eval()
    placed = match(library.state_dict(), ours, architecture, name).placed
    ours.load_state_dict({**ours.state_dict(), **placed})
    assert {key for key in ours.state_dict() if "num_batches" not in key} <= set(placed)
    return library, ours


@pytest.mark.parametrize("name", SIZES)
def test_features_and_head_equal_the_librarys_own_forward(name):
    library, ours = library_and_ours(name, SIZES[name])
    images = torch.randn(2, 3, SIZES[name], SIZES[name])
    if name in CLASSIFIERS:
        setattr(library, CLASSIFIERS[name], nn.Identity())
    elif name.startswith("vit"):
        library.heads = nn.Identity()
    elif name.startswith("convnext"):
        library.classifier = library.classifier[:2]  # its norm stays
    else:
        library.classifier = nn.Identity()
    with torch.no_grad():
        expected = library(images)
        assert torch.allclose(ours(images), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in SIZES if not name.startswith("vit")])
def test_the_cells_sum_to_the_raw_embedding(name):
    ours = Network(build_architecture(name, SIZES[name]), 12).eval()
    with torch.no_grad():
        features = ours.features(torch.randn(2, 3, SIZES[name], SIZES[name]))
        total = ours.head.cells(features).sum(dim=1)
        assert torch.allclose(total, ours.head(features), atol=1e-5)


@pytest.mark.parametrize(
    "name",
    ["resnet10t", "tf_efficientnet_lite0", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"],
)
def test_timm_networks_equal_timms_own_embedding(name):
    timm = pytest.importorskip("timm", reason="the extra timm is not installed")
    torch.manual_seed(0)
    library = timm.create_model(name, pretrained=False, num_classes=0).eval()
    size = 224 if "224" in name else 64
    architecture = build_architecture(f"timm:{name}", size)
    ours = Network(architecture, None).eval()
    matched = match(library.state_dict(), ours, architecture, name)
    assert not matched.notes
    ours.load_state_dict(matched.placed)
    images = torch.randn(1, 3, size, size)
    with torch.no_grad():
        assert ours.features(images).shape[2] == ours.features(images).shape[3]
        assert torch.allclose(ours(images), library(images), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet999", "torchvision has no such network"),
        ("vgg", "not a known architecture"),
        ("timm:nonsense", "timm has no such network"),
        ("nowhere.py:network", "no such file"),
        ("no_such_package.at_all:network", "no module named no_such_package"),
        ("json:dumps_not", "no function named dumps_not"),
        (":network", "expected FILE.py:FUNCTION or package.module:FUNCTION"),
        ("json:", "expected FILE.py:FUNCTION or package.module:FUNCTION"),
    ],
)
def test_an_unknown_name_says_what_is_known(name, message):
    trust(name)
    with pytest.raises(ModelError, match=message):
        build_architecture(name)


def test_a_function_that_returns_something_else_is_refused():
    trust("builtins:dict")
    with pytest.raises(ModelError, match="expected an xmir Architecture, found dict"):
        build_architecture("builtins:dict")


@pytest.fixture
def code(tmp_path):
    """A network's file that leaves a trace when it runs."""
    file = tmp_path / "folder" / "net.py"
    file.parent.mkdir()
    trace = tmp_path / "ran"
    file.write_text(
        f"open({str(trace)!r}, 'w').close()\n"
        "from torch import nn\n"
        "from xmir_cli.model.architectures import Architecture\n"
        "def network():\n"
        "    return Architecture(nn.Conv2d(3, 4, 3), channels=4)\n"
    )
    return file, trace


def test_code_that_only_data_name_does_not_run(code):
    file, trace = code
    for name in (f"{file}:network", "os:abort", "xmir_cli.main:run"):
        with pytest.raises(ModelError, match="data alone do not make xmir run it"):
            build_architecture(name)
    assert not trace.exists()


def test_code_runs_once_it_is_named_or_lies_where_the_user_keeps_it(code, monkeypatch):
    file, trace = code
    trust(f"{file}:network")
    assert build_architecture(f"{file}:network").channels == 4
    monkeypatch.setenv("XMIR_NETWORKS", f"/nowhere:{file.parent}")
    assert build_architecture(f"{file.parent}/../folder/net.py:network").channels == 4
    with pytest.raises(ModelError, match="no function named other"):
        build_architecture(f"{file}:other")
    assert trace.exists()


@pytest.mark.parametrize("allowed", ["os", "os.path:json", "elsewhere:os"])
def test_module_may_be_allowed_by_name(allowed, monkeypatch):
    monkeypatch.setenv("XMIR_NETWORKS", allowed)
    with pytest.raises(ModelError, match="no function named nothing"):
        build_architecture("os.path:nothing")
    for name in ("osmosis:nothing", "subprocess:run"):
        with pytest.raises(ModelError, match="data alone"):
            build_architecture(name)


@pytest.mark.parametrize("entry", [".", "..", "./folder", "folder", "folder/", "~", "/nowhere:."])
def test_a_relative_folder_is_refused_wherever_it_leads(code, monkeypatch, entry):
    file, trace = code
    monkeypatch.chdir(file.parent.parent)
    monkeypatch.setenv("XMIR_NETWORKS", entry)
    with pytest.raises(UsageError, match="expected absolute folders, or modules, found"):
        build_architecture(f"{file}:network")
    assert not trace.exists()


def test_link_out_of_the_users_folder_is_not_in_it(code, tmp_path, monkeypatch):
    file, trace = code
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "net.py").symlink_to(file)
    monkeypatch.setenv("XMIR_NETWORKS", str(mine))
    with pytest.raises(ModelError, match="data alone"):
        build_architecture(f"{mine / 'net.py'}:network")
    assert not trace.exists()
