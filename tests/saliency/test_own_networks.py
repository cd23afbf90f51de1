"""What is shared out, refused and said of networks of one's own."""

import pytest
import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.network import Architecture, Network
from xmir_cli.saliency.forms import form_of
from xmir_cli.saliency.methods.activation import Method as Activation
from xmir_cli.saliency.methods.bilrp import Method as Bilrp
from xmir_cli.saliency.methods.gradcam import Method as GradCam
from xmir_cli.saliency.methods.integrated_gradients import Method as IntegratedGradients
from xmir_cli.saliency.methods.rollout import Method as Rollout
from xmir_cli.saliency.sample import make_samples
from xmir_cli.wire.model import ModelSpec, Preprocessing

WIDTH = 16


class Pool(OpaqueHead):
    """A function of cells [B, C, n] that makes embeddings [B, C]."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, features: Tensor) -> Tensor:
        return self.function(features.flatten(2))


METHODS = {
    "activation": Activation(),
    "gradcam": GradCam(),
    "integrated-gradients": IntegratedGradients(path_steps=2),
    "bilrp": Bilrp(),
    "rollout": Rollout(),
}


def build(function=None, features=None, head=None):
    """A patch layer before it, where no other `features` are given."""
    torch.manual_seed(0)
    recipe = Preprocessing(input_size=32, resize=32)
    features = features or nn.Sequential(nn.Conv2d(3, WIDTH, 8, 8, bias=False), nn.ReLU())
    head = head if function is None else Pool(function)
    network = Network(Architecture(features, WIDTH, recipe, head=head), None)
    return Embedder(network, ModelSpec("own", "random:0", None, recipe), torch.device("cpu"))


def form(function):
    embedder = build(function)
    image = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    (sample,) = make_samples(embedder, [image])
    return form_of(embedder, sample), sample


def test_what_selects_without_a_rule_is_refused_where_weights_would_select_other_cells():
    found, sample = form(lambda cells: cells.kthvalue(9, dim=2).values)
    assert abs(found.pull(sample.embedding).missed) < 1e-5  # with all cells it is exact
    for ask in (lambda: found.push(torch.linspace(0, 2, 16)), found.written):
        with pytest.raises(ModelError, match="no exact shares of this network"):
            ask()


def test_weights_of_cells_of_what_selects_by_a_rule_add_up():
    found, sample = form(lambda cells: cells.topk(5, dim=2)[0].mean(dim=2))
    pulled = found.pull(sample.embedding)
    one_by_one = torch.stack([found.push(row) for row in torch.eye(16)])
    torch.testing.assert_close(one_by_one @ sample.embedding, pulled.places, atol=1e-5, rtol=0)
    assert found.told["held"] == "maxima"


def test_what_is_nearly_affine_is_refused():
    found, sample = form(lambda cells: (lambda v: v + 0.0015 * torch.sin(v))(cells.mean(dim=2)))
    with pytest.raises(ModelError, match="sin is not affine"):
        found.pull(sample.embedding)


def changed_in_place(cells: Tensor) -> Tensor:
    """What the exponential's derivative needs is changed behind it."""
    made = cells.mean(dim=2).exp()
    made.mul_(2)
    return made * 1


@pytest.mark.parametrize("method", ["activation", "gradcam", "integrated-gradients", "bilrp"])
def test_a_network_that_cannot_be_differentiated_is_refused(method):
    embedder = build(changed_in_place)
    image = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    (sample,) = make_samples(embedder, [image])
    with pytest.raises(ModelError, match=r"cannot be differentiated \(one of the variables"):
        METHODS[method](embedder, sample, sample)


def test_a_head_that_changes_its_input_in_place_has_a_gradient():
    embedder = build(lambda cells: cells.relu_().mean(dim=2))
    image = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    (sample,) = make_samples(embedder, [image])
    assert METHODS["gradcam"](embedder, sample, sample).saliency.any()


def test_what_is_changed_in_place_and_not_taken_is_seen_in_every_precision():
    def clip(cells: Tensor) -> Tensor:
        made = cells.mean(dim=2) - 0.2
        torch.relu_(made)
        return made

    embedder = build(clip)
    narrow = Embedder(embedder.network, embedder.spec, embedder.device, "bf16")
    image = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    for each in (embedder, narrow):
        (sample,) = make_samples(each, [image])
        with pytest.raises(ModelError, match="no exact shares of this network: they miss"):
            form_of(each, sample)


class Attend(OpaqueHead):
    """Attention over the cells, as CLIP's ResNets have it; a norm over tokens comes first."""

    def __init__(self):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(WIDTH), nn.MultiheadAttention(WIDTH, 2)

    def forward(self, features: Tensor) -> Tensor:
        tokens = self.norm(features.flatten(2).transpose(1, 2) * 2).transpose(0, 1)
        return self.attention(tokens[:1], tokens, tokens, need_weights=False)[0][0]


def test_tokens_that_a_pooling_makes_of_a_map_are_no_first_tokens():
    embedder = build(head=Attend())
    image = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    (sample,) = make_samples(embedder, [image])
    found = form_of(embedder, sample)
    assert found.told == {"held": "attention, deviations", "layer": "map 4x4"}
    assert abs(found.pull(sample.embedding).missed) < 1e-5
    assert not embedder.shares.has_tokens


class Encoder(nn.Module):
    """torch's own, whose tokens lie first or second."""

    def __init__(self, second):
        super().__init__()
        self.second, self.stem = second, nn.Conv2d(3, WIDTH, 8, 8)
        layer = nn.TransformerEncoderLayer(
            WIDTH, 2, 32, batch_first=second, norm_first=True, dropout=0
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.places = nn.Parameter(torch.randn(WIDTH, 16) * 0.3)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.stem(images).flatten(2) + self.places
        order = (0, 2, 1) if self.second else (2, 0, 1)
        back = (0, 2, 1) if self.second else (1, 2, 0)
        return self.encoder(tokens.permute(order)).permute(back).unflatten(2, (4, 4)).contiguous()


@pytest.mark.filterwarnings("ignore:.*batch_first")
@pytest.mark.parametrize("method", ["activation", "rollout"])
def test_tokens_may_lie_first(method):
    image = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = []
    for second in (True, False):
        torch.manual_seed(0)
        embedder = build(features=Encoder(second))
        (sample,) = make_samples(embedder, [image])
        found.append(METHODS[method](embedder, sample, sample))
        assert embedder.shares.has_tokens
    torch.testing.assert_close(found[0].saliency, found[1].saliency, atol=1e-5, rtol=1e-4)
    assert found[0].details.keys() == found[1].details.keys()
    assert float(found[0].saliency.std()) > 0


@pytest.mark.parametrize(
    ("name", "size", "tokens", "attends"),
    [
        ("vit_tiny_patch16_224", 64, True, True),
        ("mixer_s32_224", 64, True, False),  # tokens that do not attend
        ("pvt_v2_b0", 64, False, True),  # to tokens that are merged
        ("levit_128s", 224, False, True),
        ("coatnet_nano_rw_224", 64, False, True),
        ("swin_tiny_patch4_window7_224", 64, False, True),  # in windows
        ("mobilevit_xxs", 64, False, True),  # in groups
        ("hiera_tiny_224", 64, False, True),
        ("davit_tiny", 64, False, True),  # and over channels
        ("edgenext_xx_small", 64, False, True),
        ("efficientvit_b0", 64, False, True),  # without a softmax
        ("resnet10t", 64, False, False),
        ("skresnet18", 64, False, False),  # a softmax over ways
        ("resnest14d", 64, False, False),
        ("gcresnext26ts", 64, False, False),  # and over places, which are averaged
        ("convnext_atto", 64, False, False),
    ],
)
def test_what_attends_in_any_way_is_told_from_convolutions(name, size, tokens, attends):
    timm = pytest.importorskip("timm", reason="the extra timm is not installed")
    if name not in timm.list_models():
        pytest.skip(f"this timm has no {name}")
    choice = ModelChoice(architecture=f"timm:{name}", weights="random:0", input_size=size)
    shares = load_embedder(resolve_model(choice), "cpu").shares
    assert (shares.has_tokens, shares.attends) == (tokens, attends)


class Unsteady(nn.Module):
    """Every pass takes one call more, or one token less."""

    def __init__(self, shrinks):
        super().__init__()
        self.stem, self.norm, self.passes = nn.Conv2d(3, WIDTH, 8, 8), nn.LayerNorm(WIDTH), 0
        self.shrinks = shrinks

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        tokens = self.stem(images).flatten(2).transpose(1, 2)
        if self.shrinks:
            tokens = tokens[:, : 17 - self.passes]
            return self.norm(tokens).mean(1)[..., None, None].expand(-1, -1, 4, 4)
        for _ in range(12 - self.passes):
            tokens = tokens + 0
        return self.norm(tokens).transpose(1, 2).unflatten(2, (4, 4)).contiguous()


@pytest.mark.parametrize("shrinks", [False, True])
def test_passes_that_are_not_alike_have_no_first_tokens(shrinks):
    assert not build(features=Unsteady(shrinks)).shares.has_tokens


def test_a_fault_in_a_network_of_ones_own_is_not_hidden():
    class Faulty(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.passes = nn.Conv2d(3, WIDTH, 8, 8), 0

        def forward(self, images: Tensor) -> Tensor:
            self.passes += 1
            if self.passes > 1:
                raise KeyError("a fault")
            return self.stem(images)

    with pytest.raises(KeyError):
        build(features=Faulty()).shares.seat()
