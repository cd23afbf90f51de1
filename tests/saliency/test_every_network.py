"""Shares sum to the similarity on networks of all families, and their places are the image's."""

import pytest
import torch

from xmir_cli.errors import ModelError, SettingError
from xmir_cli.model.architectures import build_architecture
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.network import Architecture, Network
from xmir_cli.saliency.methods.activation import Method
from xmir_cli.saliency.methods.attention import Method as Attention
from xmir_cli.saliency.methods.bilrp import Method as Bilrp
from xmir_cli.saliency.methods.gradcam import Method as GradCam
from xmir_cli.saliency.sample import make_samples, similarity
from xmir_cli.wire.model import ModelSpec, Preprocessing

TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2}
MEAN = {**TINY, "global_pool": "avg"}
HIERA = {"embed_dim": 16, "num_heads": 1, "stages": (1, 1, 1, 1)}
CONVNEXT = {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}
STAGES = {"depths": (1, 1), "num_heads": (2, 2)}
TOKENS = "attention, deviations, gates"
# timm's name, pixels, what makes it tiny, what is held (empty: cells sum), its places
TIMM = [
    ("vit_tiny_patch16_224", 64, TINY, TOKENS, "tokens 4x4"),
    ("vit_tiny_patch16_224", 64, MEAN, TOKENS, "tokens 4x4"),
    ("vit_tiny_patch16_224", 64, {**MEAN, "fc_norm": False}, TOKENS, "tokens 4x4"),
    ("vit_small_patch14_reg4_dinov2", 56, TINY, TOKENS, "tokens 4x4"),
    ("vit_base_patch16_siglip_224", 64, TINY, TOKENS, "tokens 4x4"),
    ("vit_small_patch16_dinov3", 64, TINY, TOKENS, "tokens 4x4"),
    ("deit_tiny_distilled_patch16_224", 64, TINY, TOKENS, "tokens 4x4"),
    ("beit_base_patch16_224", 64, TINY, TOKENS, "tokens 4x4"),
    ("eva02_tiny_patch14_224", 56, TINY, f"{TOKENS}, factors", "tokens 4x4"),
    ("cait_xxs24_224", 64, TINY, f"{TOKENS}, factors", "tokens 4x4"),
    ("xcit_nano_12_p16_224", 64, TINY, f"{TOKENS}, factors", "tokens 4x4"),
    ("mixer_s16_224", 64, {}, "deviations, gates", "tokens 4x4"),
    ("swin_tiny_patch4_window7_224", 64, {**STAGES, "embed_dim": 16, "window_size": 4}, "", "8x8"),
    ("swinv2_tiny_window8_256", 64, {**STAGES, "embed_dim": 16, "window_size": 4}, "", "8x8"),
    ("convnext_atto", 64, CONVNEXT, "deviations", "map 2x2"),
    ("davit_tiny", 64, {**STAGES, "embed_dims": (16, 32)}, "deviations", "map 8x8"),
    ("hiera_tiny_224", 224, HIERA, "deviations", "map 7x7"),
    ("mobilenetv3_small_050", 64, {}, "gates", "map 2x2"),
    ("mobilenetv4_conv_small_035", 64, {}, "gates", "map 2x2"),
    ("efficientvit_b0", 64, {}, "deviations, gates", "map 2x2"),
    ("resnet10t", 64, {}, "", "2x2"),
    ("tf_efficientnet_lite0", 64, {}, "", "2x2"),
    ("pvt_v2_b0", 64, {"depths": (1, 1, 1, 1)}, "", "2x2"),
    ("mobilevit_xxs", 64, {}, "", "2x2"),
    ("edgenext_xx_small", 64, {"depths": (1, 1, 1, 1)}, "deviations", "map 2x2"),
    ("resmlp_12_224", 64, {}, "gates", "tokens 4x4"),
]  # fmt: skip


def embedder_of(architecture: Architecture, size: int, head: int | None = None) -> Embedder:
    """Its every parameter matters: those that start as zeros and ones do not stay so."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = Network(architecture, head)
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.ndim <= 1 or bool((parameter == 0).all()):
                    parameter.add_(0.1 * torch.randn_like(parameter))
    recipe = Preprocessing(input_size=size, resize=size)
    return Embedder(network, ModelSpec("toy", "random:0", head, recipe), torch.device("cpu"))


def timm_embedder(name, size, settings, head=None):
    pytest.importorskip("timm", reason="the extra timm is not installed")
    from xmir_cli.model.timm_networks import build_named

    with torch.random.fork_rng():
        torch.manual_seed(2)
        return embedder_of(build_named(name, size, f"timm:{name}", settings), size, head)


def images(size):
    """Two that have much in common and differ in every patch."""
    noise = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    return [noise[0] + noise[1], noise[0] + noise[2]]


def check_sum(embedder, held, layer, method=Method()):  # noqa: B008 # frozen
    target, explained = make_samples(embedder, images(embedder.size))
    found = method(embedder, target, explained)
    whole, details = similarity(target, explained), found.details
    assert abs(details["residual"]) < 1e-5
    if not held:
        assert set(details) == {"residual"}
        return target, explained, found
    assert (details["held"], details["layer"]) == (held, layer)
    total = details["places"] + details["prefix"] + details["rest"]
    assert total == pytest.approx(whole, abs=1e-5)
    rows = int(layer.partition("x")[2])
    assert float(found.saliency.double().mean()) * rows**2 == pytest.approx(
        details["places"], abs=1e-5 if embedder.size % rows == 0 else 1e-2
    )
    return target, explained, found


@pytest.mark.parametrize(("name", "size", "settings", "held", "layer"), TIMM)
def test_shares_of_timms_networks_sum_to_the_similarity(name, size, settings, held, layer):
    check_sum(timm_embedder(name, size, settings), held, layer)


def tiny_torchvision(name):
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt
    from torchvision.models.densenet import DenseNet
    from torchvision.models.vision_transformer import VisionTransformer

    return {
        "vit_b_16": lambda: VisionTransformer(64, 16, 2, 2, 32, 48),
        "convnext_tiny": lambda: ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)]),
        "densenet121": lambda: DenseNet(8, (1, 2), 8),
    }.get(name)


@pytest.mark.parametrize(
    ("name", "held", "layer"),
    [
        ("vit_b_16", TOKENS, "tokens 4x4"),
        ("convnext_tiny", "", ""),
        ("densenet121", "", ""),
        ("resnet18", "", ""),
        ("efficientnet_b0", "", ""),
        ("mobilenet_v3_small", "", ""),
    ],
)
@pytest.mark.parametrize("head", [None, 5])
def test_shares_of_torchvisions_networks_sum_to_the_similarity(
    name, held, layer, head, monkeypatch
):
    if tiny := tiny_torchvision(name):
        monkeypatch.setattr("torchvision.models.get_model", lambda *_, **__: tiny())
    check_sum(embedder_of(build_architecture(name, 64), 64, head), held, layer)


NETWORKS = [TIMM[place] for place in (0, 2, 3, 4, 12, 14, 17)]


@pytest.mark.parametrize(("name", "size", "settings", "held", "layer"), NETWORKS)
def test_every_setting_and_method_on_places_shares_out_the_same(name, size, settings, held, layer):
    embedder = timm_embedder(name, size, settings, head=6)
    target, explained, _ = check_sum(embedder, held, layer)
    pairs = Method()._pairs(embedder, target, explained)
    where = Method(point="3,3")  # in the first patch of 4 x 4, beyond its middle from the others
    of_point = where(embedder, target, explained)
    rows = int((layer or "8x8").partition("x")[2])
    if rows == 4:
        expected = pairs[0].sum()
        assert of_point.details["share"] == pytest.approx(float(expected), abs=1e-5)
    (best,) = Method(matches=1)(embedder, target, explained).matches
    assert best.share == pytest.approx(float(pairs.max()), abs=1e-6)
    if held:
        dropped = Method(bias="drop")(embedder, target, explained).details
        assert dropped["places"] == pytest.approx(float(pairs.sum()), abs=1e-5)
    every = Bilrp(gamma=0.0, matches=1)(embedder, target, explained)
    assert abs(every.details["residual"]) < (1e-5 if held else 1)
    if held:
        assert every.details["places"] == pytest.approx(float(pairs.sum()), abs=1e-5)
        assert every.matches[0].share == pytest.approx(best.share, abs=1e-5)
        favoured = Bilrp(gamma=0.5)(embedder, target, explained).details
        assert abs(favoured["residual"]) < 1e-5
    assert Attention()(embedder, target, explained).saliency.min() >= 0


@pytest.mark.parametrize(
    ("name", "size", "settings", "layers", "usual"),
    [
        ("resnet10t", 64, {}, ["4x4", "8x8", "16x16"], "2x2"),
        ("swin_tiny_patch4_window7_224", 64, TIMM[12][2], ["16x16"], "8x8"),
        ("convnext_atto", 64, TIMM[14][2], ["4x4", "8x8", "16x16"], "2x2"),
        ("vit_tiny_patch16_224", 64, TINY, [], "4x4"),
    ],
)
def test_earlier_maps_share_out_the_same_similarity(name, size, settings, layers, usual):
    embedder = timm_embedder(name, size, settings, head=5)
    plain = Method()(embedder, *make_samples(embedder, images(size)))
    again = Method(layer=usual)(embedder, *make_samples(embedder, images(size)))
    assert torch.equal(plain.saliency, again.saliency)
    for layer in layers:
        target, explained = make_samples(embedder, images(size))
        found = Method(layer=layer)(embedder, target, explained)
        assert found.details["layer"] == f"map {layer}"
        assert abs(found.details["residual"]) < 1e-5
        whole = found.details["places"] + found.details["rest"]
        assert whole == pytest.approx(similarity(target, explained), abs=1e-5)
    with pytest.raises(SettingError, match="no map of that size; there are ") as caught:
        Method(layer="3x3")(embedder, *make_samples(embedder, images(size)))
    there = str(caught.value).partition("there are ")[2].split(", ")
    assert set(there) >= {usual, *layers}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": "14"}, "layer: expected HxW such as 14x14, found 14"),
        ({"layer": "0x7"}, "layer: expected HxW such as 14x14, found 0x7"),
        ({"layer": "7x7", "path": "direct"}, "layer: direct writes start at the tokens"),
    ],
)
def test_what_is_no_layer_is_refused(settings, message):
    with pytest.raises(SettingError) as caught:
        Method(**settings)
    assert str(caught.value) == message


def test_direct_writes_sum_to_the_similarity_where_they_are_fit():
    for number in (0, 1, 3, 5):
        embedder = timm_embedder(*TIMM[number][:3])
        target, explained = make_samples(embedder, images(embedder.size))
        details = Method(path="direct")(embedder, target, explained).details
        assert details["held"] == "attention, deviations"
        total = details["places"] + details["prefix"] + details["rest"]
        assert total == pytest.approx(similarity(target, explained), abs=1e-5)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (4, "attention pools its tokens"),  # siglip
        (11, "torch does not compute its attention as one function"),  # mixer
        (14, "its places are no tokens of a transformer"),  # convnext
    ],
)
def test_direct_writes_are_refused_where_there_are_none(number, reason):
    embedder = timm_embedder(*TIMM[number][:3])
    target, explained = make_samples(embedder, images(embedder.size))
    with pytest.raises(SettingError) as caught:
        Method(path="direct")(embedder, target, explained)
    assert str(caught.value) == f"path direct: nothing is written directly ({reason})"


def test_a_class_token_whose_first_tokens_are_no_places_is_refused_with_the_reason():
    embedder = timm_embedder(*TIMM[0][:3])
    patches = embedder.network.get_submodule("features.model.patch_embed")
    patches.register_forward_hook(
        lambda *given: given[2].unflatten(1, (4, 4)).transpose(1, 2).flatten(1, 2)
    )
    with pytest.raises(ModelError, match="a class token holds its embedding") as caught:
        Method()(embedder, *make_samples(embedder, images(64)))
    assert caught.value.hint == "Use `method` occlusion or rise, which need no such form."
    assert (embedder.shares.has_tokens, embedder.shares.attends) == (False, True)  # others warn


def test_a_form_is_of_the_network_as_it_is_and_leaves_it_so():
    embedder = timm_embedder(*TIMM[0][:3])
    wanted = [parameter.requires_grad for parameter in embedder.network.parameters()]
    first, second = (
        Method()(embedder, *make_samples(embedder, images(64))).details for _ in range(2)
    )
    assert first == second
    assert (
        [each.requires_grad for each in embedder.network.parameters()]
        == wanted
        == [True] * len(wanted)
    )
    with torch.no_grad():
        embedder.network.get_submodule("features.model.norm").weight.mul_(2)
        changed = Method()(embedder, *make_samples(embedder, images(64))).details
    assert abs(changed["residual"]) < 1e-5
    assert changed["rest"] != pytest.approx(first["rest"], abs=1e-4)


def test_gradcam_of_a_class_token_behind_the_last_block_is_refused():
    for number, flat in ((0, True), (1, False), (14, False)):
        embedder = timm_embedder(*TIMM[number][:3])
        target, explained = make_samples(embedder, images(embedder.size))
        if flat:
            with pytest.raises(ModelError, match="which a class token holds") as caught:
                GradCam()(embedder, target, explained)
            assert caught.value.hint.startswith("Use `method` activation")
        else:
            saliency = GradCam(relu=False)(embedder, target, explained).saliency
            assert float(saliency.std()) > 0


@pytest.mark.parametrize("precision", ["bf16"])
def test_shares_are_of_float32_whatever_the_precision(precision):
    embedder = timm_embedder(*TIMM[0][:3])
    plain = Method()(embedder, *make_samples(embedder, images(64)))
    narrow = Embedder(embedder.network, embedder.spec, embedder.device, precision)
    found = Method()(narrow, *make_samples(narrow, images(64)))
    assert abs(found.details["residual"]) < 0.05  # what bfloat16 rounds off the embeddings
    torch.testing.assert_close(found.saliency, plain.saliency, atol=5e-3, rtol=0.2)


def test_threads_share_the_forms_of_an_embedder():
    from concurrent.futures import ThreadPoolExecutor

    embedder = timm_embedder(*TIMM[14][:3])
    samples = make_samples(embedder, [*images(64), *images(64)])
    pairs = [(a, b) for a in samples for b in samples]
    alone = [Method()(embedder, *pair).saliency for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: Method()(embedder, *pair).saliency, pairs))
    for one, other in zip(alone, found, strict=True):
        torch.testing.assert_close(one, other)


def test_an_image_without_an_embedding_has_no_shares():
    embedder = timm_embedder(*TIMM[14][:3])
    with torch.no_grad():
        for parameter in embedder.network.parameters():
            parameter.zero_()
    nothing = make_samples(embedder, [torch.zeros(3, 64, 64)])[0]
    assert not Method()(embedder, nothing, nothing).saliency.any()
