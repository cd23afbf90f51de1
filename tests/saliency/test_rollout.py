"""Attention rollout against loops over attention that is written out, or that libraries tell."""

import copy

import pytest
import torch
from torch import Tensor, nn

from xmir_cli.affine.watching import watch
from xmir_cli.errors import ModelError
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.network import Architecture, Network
from xmir_cli.model.tokens import fold_tokens, unfold_tokens
from xmir_cli.saliency.methods.rollout import Method, roll_out
from xmir_cli.saliency.sample import make_samples
from xmir_cli.saliency.upsample import upsample
from xmir_cli.wire.model import ModelSpec, Preprocessing

SIDE, PATCH, WIDTH, HEADS = 32, 8, 12, 3
GRID = (4, 4)


def naive(attention, ends):
    """ends A'_K ... A'_1 by loops; `attention` are the means over heads, first block first."""
    count = len(attention[0])
    flow = [[float(row == column) for column in range(count)] for row in range(count)]
    for block in attention:
        mixed = [
            [(float(block[row][column]) + (row == column)) / 2 for column in range(count)]
            for row in range(count)
        ]
        mixed = [[value / sum(row) for value in row] for row in mixed]
        flow = [
            [sum(mixed[row][k] * flow[k][column] for k in range(count)) for column in range(count)]
            for row in range(count)
        ]
    return [sum(ends[row] * flow[row][column] for row in range(count)) for column in range(count)]


class Block(nn.Module):
    """Pre-norm attention written out, and a pointwise layer; keeps its weights."""

    def __init__(self, queries: int = 0) -> None:
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU())
        self.asked = nn.Parameter(torch.randn(1, queries, WIDTH)) if queries else None
        self.seen = torch.zeros(0)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = (
            each.unflatten(2, (HEADS, -1)).transpose(1, 2)
            for each in (3 * self.qkv(self.norm(tokens))).chunk(3, dim=2)
        )
        if self.asked is not None:
            q = self.asked.unflatten(2, (HEADS, -1)).transpose(1, 2)
        weights = (q @ k.transpose(2, 3) / 2).softmax(dim=-1)
        self.seen = weights.detach()[0].mean(dim=0)
        mixed = (weights @ v).transpose(1, 2).flatten(2)
        if self.asked is not None:
            return mixed
        tokens = tokens + mixed
        return tokens + self.out(tokens)


class Tokens(nn.Module):
    def __init__(self, prefixes: int) -> None:
        super().__init__()
        self.prefixes = prefixes
        self.embed = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.first = nn.Parameter(torch.randn(1, prefixes, WIDTH))
        self.places = nn.Parameter(torch.randn(1, prefixes + 16, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(3)))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(images), -1, -1), patches], dim=1) + self.places
        return fold_tokens(self.norm(self.blocks(tokens)), self.prefixes, GRID)


class Pool(OpaqueHead):
    def __init__(self, how: str, prefixes: int, block: Block) -> None:
        super().__init__()
        self.how, self.prefixes, self.block = how, prefixes, block

    def forward(self, features: Tensor) -> Tensor:
        tokens = unfold_tokens(features, self.prefixes)
        if self.how == "class":
            return tokens[:, 0]
        if self.how == "attention":
            return self.block(tokens)[:, 0]
        mean = tokens[:, self.prefixes :].mean(dim=1)
        return mean if self.how == "mean" else torch.cat([tokens[:, 0], mean], dim=1)


def build(how, prefixes):
    torch.manual_seed(0)
    head = Pool(how, prefixes, Block(queries=1))
    recipe = Preprocessing(input_size=SIDE, resize=SIDE)
    width = WIDTH * (2 if how == "both" else 1)
    network = Network(Architecture(Tokens(prefixes), width, recipe, head=head), None)
    return Embedder(network, ModelSpec("tiny", "random:0", None, recipe), torch.device("cpu"))


@pytest.mark.parametrize(
    ("how", "prefixes"),
    [("class", 1), ("class", 3), ("mean", 0), ("mean", 2), ("both", 1), ("attention", 0)],
)
def test_rollout_is_the_product_of_the_blocks_read_as_the_head_reads_it(how, prefixes):
    embedder = build(how, prefixes)
    image = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    (sample,) = make_samples(embedder, [image])
    found = Method()(embedder, sample, sample)
    embedder.embed(image[None])  # the blocks keep what they saw last
    attention = [block.seen.tolist() for block in embedder.network.features.blocks]
    mean = [0.0] * prefixes + [1 / 16] * 16
    first = [1.0, *[0.0] * (prefixes + 15)]
    if how == "both":
        cls, rest = (float(part.norm()) for part in sample.raw.chunk(2))
        total = cls + rest
        ends = [(cls * a + rest * b) / total for a, b in zip(first, mean, strict=True)]
    elif how == "attention":
        ends = embedder.network.head.block.seen[0].tolist()
    else:
        ends = first if how == "class" else mean
    expected = naive(attention, ends)
    assert sum(expected) == pytest.approx(1)
    grid = torch.tensor(expected[prefixes:]).reshape(GRID)
    torch.testing.assert_close(found.saliency, upsample(grid, SIDE), atol=1e-6, rtol=1e-4)
    assert grid.max() > 1.2 * grid.min()


def test_rollout_does_not_see_the_query_and_leaves_the_network_as_it_was():
    embedder = build("class", 1)
    images = list(torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)))
    one, other, explained = make_samples(embedder, images)
    before = copy.deepcopy(embedder.network.state_dict())
    first, second = (Method()(embedder, each, explained).saliency for each in (one, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, Method()(embedder, one, other).saliency)
    after = embedder.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(each.grad is None for each in embedder.network.parameters())


def test_an_embedding_that_reads_no_token_has_an_empty_map():
    embedder = build("class", 1)
    with torch.no_grad():
        embedder.network.features.norm.weight.zero_()
        embedder.network.features.norm.bias.zero_()
    (sample,) = make_samples(embedder, [torch.randn(3, SIDE, SIDE)])
    assert not Method()(embedder, sample, sample).saliency.any()


def test_a_network_without_attention_is_refused(make_embedder, make_inputs):
    embedder = make_embedder()
    (sample,) = make_samples(embedder, make_inputs(1))
    with pytest.raises(ModelError, match="no attention rollout of this network: it has no attent"):
        Method()(embedder, sample, sample)


def timm_vit(**settings):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    own = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, **own, **settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3).add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"global_pool": "avg"},
        {"reg_tokens": 2},
        {"global_pool": "map", "class_token": False},
    ],
    ids=["class", "mean", "registers", "attention"],
)
@pytest.mark.parametrize("fused", [True, False])
def test_attention_of_timm_is_that_of_its_own_softmax(settings, fused):
    model = timm_vit(**settings)
    image = torch.randn(1, 3, 32, 32)
    told = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(
            lambda _, given, __: told.append(given[0][0].mean(dim=0).tolist())
        )
    with torch.no_grad():
        model(image)
    own = list(told)
    for block in model.blocks:
        block.attn.fused_attn = fused
    seen = watch(model, image)
    prefixes = model.num_prefix_tokens
    if settings.get("global_pool") == "map":
        ends = seen.weights[-1][0].mean(dim=0)[0].tolist()
        assert sum(ends) == pytest.approx(1, abs=1e-6)
    elif settings.get("global_pool") == "avg":
        ends = [0.0] * prefixes + [1 / 16] * 16
    else:
        ends = [1.0, *[0.0] * (prefixes + 15)]
    places = range(prefixes, prefixes + 16)
    assert roll_out(seen, places).tolist() == pytest.approx(naive(own, ends), abs=1e-5)


def test_attention_of_torchvision_is_what_its_layers_tell():
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    model = VisionTransformer(32, 8, 2, 3, 24, 48, num_classes=5).eval()
    told = []

    def tell(_layer, given, _):
        told.append(given[0].detach())

    layers = [layer.self_attention for layer in model.encoder.layers]
    hooks = [layer.register_forward_hook(tell) for layer in layers]
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        model(image)
        for hook in hooks:
            hook.remove()
        own = [
            layer(given, given, given, need_weights=True)[1][0].tolist()
            for layer, given in zip(layers, told, strict=True)
        ]
    seen = watch(lambda images: model_tokens(model, images)[:, 0], image)
    assert roll_out(seen, range(1, 17)).tolist() == pytest.approx(
        naive(own, [1.0, *[0.0] * 16]), abs=1e-5
    )


def model_tokens(model, images):
    tokens = model._process_input(images)
    return model.encoder(torch.cat([model.class_token.expand(len(tokens), -1, -1), tokens], dim=1))


@pytest.mark.parametrize("eager", [True, False])
def test_attention_of_transformers_is_what_it_gives_out(eager):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48,
        image_size=32, patch_size=8, initializer_range=0.5,
    )  # fmt: skip
    model = transformers.ViTModel(config, add_pooling_layer=False).eval()
    image = torch.randn(1, 3, 32, 32)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        told = model(image, output_attentions=True).attentions
    model.set_attn_implementation("eager" if eager else "sdpa")
    seen = watch(lambda images: model(images).last_hidden_state[:, 0], image)
    own = [each[0].mean(dim=0).tolist() for each in told]
    assert roll_out(seen, range(1, 17)).tolist() == pytest.approx(
        naive(own, [1.0, *[0.0] * 16]), abs=1e-5
    )


def test_attention_of_open_clip_is_what_its_layers_tell():
    open_clip = pytest.importorskip("open_clip")
    from open_clip.transformer import VisionTransformer

    assert open_clip
    torch.manual_seed(0)
    model = VisionTransformer(32, 8, 24, 2, 3, 2.0, output_dim=10).eval()
    told = []
    layers = [block.attn for block in model.transformer.resblocks]
    hooks = [
        layer.register_forward_hook(
            lambda _, given, kwargs, __: told.append((given or (kwargs["query"],))[0].detach()),
            with_kwargs=True,
        )
        for layer in layers
    ]
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        model(image)
        for hook in hooks:
            hook.remove()
        own = [
            layer(given, given, given, need_weights=True)[1][0].tolist()
            for layer, given in zip(layers, told, strict=True)
        ]
    seen = watch(model, image)
    assert roll_out(seen, range(1, 17)).tolist() == pytest.approx(
        naive(own, [1.0, *[0.0] * 16]), abs=1e-5
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("swin_tiny_patch4_window7_224", "its attention stays within windows, so that no token"),
        ("xcit_nano_12_p16_224", "one of its attentions weighs 32 x 32"),
        ("cait_xxs24_224", "one of its attentions weighs 1 x 197, not its 196 tokens"),
        ("levit_128s", "its places are no tokens that blocks of attention follow"),
        ("resnet10t", "it has no attention"),
    ],
)
def test_other_networks_are_refused_with_the_true_reason(name, reason):
    pytest.importorskip("timm")
    choice = ModelChoice(architecture=f"timm:{name}", weights="random:0")
    embedder = load_embedder(resolve_model(choice), "cpu")
    (sample,) = make_samples(embedder, [torch.randn(3, embedder.size, embedder.size)])
    with pytest.raises(ModelError, match=reason):
        Method()(embedder, sample, sample)
