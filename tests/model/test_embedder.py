"""The loaded network: its view of a picture, its batches, its device."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.errors import ModelError, SettingError
from xmir_cli.images.decode import decode_bytes
from xmir_cli.images.picture import Picture
from xmir_cli.model import loader
from xmir_cli.model.architectures import build_architecture
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder, unit
from xmir_cli.model.loader import load_embedder, pick_device, resolve_model
from xmir_cli.model.network import Architecture, Network
from xmir_cli.pictures.view import to_input, view_picture
from xmir_cli.wire.model import ModelSpec, Preprocessing


@pytest.fixture
def embedder(tiny_arch):
    return load_embedder(ModelSpec(tiny_arch, "random:0", None, Preprocessing(32, 40)), "cpu")


def picture(width, height, mode="L"):
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture(Image.fromarray(values).convert(mode), width, height, ())


@pytest.mark.parametrize("size", [(64, 64), (91, 70), (70, 91), (33, 200)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_view_equals_torchvisions_own_transforms(embedder, size, mode):
    from torchvision.transforms import v2

    taken = picture(*size, mode)
    own = to_input(view_picture(taken, embedder.recipe), embedder.recipe)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    recipe = v2.Compose(
        [
            v2.Resize(40),
            v2.CenterCrop(32),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )
    assert torch.allclose(own, recipe(taken.pixels.convert("RGB")), atol=1e-6)


@pytest.mark.parametrize("size", [(320, 240), (323, 245)])
def test_a_picture_of_fewer_pixels_is_seen_in_the_same_place(embedder, size):
    across, down = np.meshgrid(*(np.linspace(0, 12, side) for side in size))
    waves = Image.fromarray((127 + 60 * (np.sin(across) + np.sin(down))).astype(np.uint8))
    file = io.BytesIO()
    waves.save(file, "JPEG", quality=95)
    whole, part = decode_bytes(file.getvalue()), decode_bytes(file.getvalue(), enough=60)
    assert (whole.reduction, part.reduction) == (1, 4)
    small, large = view_picture(part, embedder.recipe), view_picture(whole, embedder.recipe)
    assert small.crop == large.crop
    assert np.abs(small.pixels - large.pixels).max() < 3


def test_the_roi_is_the_crops_place_in_the_original(embedder):
    view = view_picture(picture(80, 160), embedder.recipe)
    # 80 x 160 becomes 40 x 80, its middle 32 x 32 starts at (4, 24); one pixel there is two here
    assert view.crop.roi == (8, 48, 64, 64)
    assert view.crop.image_size == (80, 160)


def test_deep_greyscale_keeps_its_steps(embedder):
    ramp = np.linspace(0, 255, 32 * 32, dtype=np.float32).reshape(32, 32)
    deep = Picture(Image.fromarray(ramp, mode="F"), 32, 32, ())
    spec = ModelSpec(embedder.spec.architecture, "random:0", None, Preprocessing(32, 32))
    view = view_picture(deep, load_embedder(spec, "cpu").recipe)
    assert np.array_equal(view.pixels[:, :, 0], ramp)


def test_unit_rows_have_norm_one_and_zero_stays_zero():
    rows = unit(torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-13, 0.0]]))
    assert torch.allclose(rows, torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]]))


def test_embeddings_do_not_depend_on_the_batch(embedder):
    images = torch.randn(7, 3, 32, 32)
    whole = embedder.embed(images)
    embedder.batch = 2
    assert torch.allclose(embedder.embed(images), whole, atol=1e-6)


class Scarce(torch.nn.Module):
    """Features that have memory for `limit` images at once."""

    def __init__(self, inner, limit, error=None):
        super().__init__()
        self.inner, self.limit = inner, limit
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    def forward(self, images):
        if len(images) > self.limit:
            raise self.error
        return self.inner(images)


@pytest.mark.parametrize(
    "error",
    [
        None,
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA error: out of memory"),  # of a library below torch's allocator
    ],
)
def test_out_of_memory_halves_the_batch_and_goes_on(embedder, capsys, error):
    images = torch.randn(9, 3, 32, 32)
    expected = embedder.embed(images)
    embedder.network.features = Scarce(embedder.network.features, 1, error)
    assert torch.allclose(embedder.embed(images), expected, atol=1e-6)
    assert embedder.batch == 1
    assert capsys.readouterr().err.count("batch halved to 1") == 1


def test_no_memory_for_a_single_image_is_a_model_error(embedder):
    embedder.network.features = Scarce(embedder.network.features, 0)
    with pytest.raises(ModelError, match="not enough memory for one image"):
        embedder.embed(torch.randn(2, 3, 32, 32))


def test_memory_that_only_a_gpu_lacks_halves_its_batch_until_it_fits(embedder, capsys):
    images = torch.randn(9, 3, 32, 32)
    features = Scarce(embedder.network.features, 3)
    found = embedder._one_by_one(features, images)  # as on a GPU: batches of 16, no parts
    assert torch.allclose(found, features.inner(images), atol=1e-6)
    assert embedder.batch == 2
    assert capsys.readouterr().err.count("batch halved") == 2  # of the 9 there are to 4, to 2


@pytest.mark.parametrize("count", [1, 2, 3, 16, 19])
def test_threads_do_not_change_a_bit_of_an_embedding(embedder, count):
    images = torch.randn(count, 3, 32, 32)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append((embedder.embed(images), embedder.forward_features(images)))
    finally:
        torch.set_num_threads(before)
    for embeddings, features in found[1:]:
        assert torch.equal(embeddings, found[0][0])
        assert torch.equal(features, found[0][1])


class Tokens(torch.nn.Module):
    """Features by a product of matrices, as transformers have them; knows what came together."""

    def __init__(self):
        super().__init__()
        self.linear, self.seen = torch.nn.Linear(3, 4), []

    def forward(self, images):
        self.seen.append(len(images))
        return self.linear(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("size", "count", "parts"),
    [
        (224, 1, [1]),
        (224, 3, [2, 1]),
        (224, 16, [4] * 4),
        (224, 17, [3, 3, 3, 3, 3, 2]),
        (224, 40, [5] * 8),
        (224, 64, [8] * 8),
        (224, 144, [8] * 18),
        (32, 144, [15] * 4 + [14] * 6),  # no more than a batch
        (640, 9, [3, 2, 2, 2]),  # no fewer than networks without tokens
    ],
)
def test_a_thread_passes_as_many_images_as_make_a_product_fast(size, count, parts):
    network = Network(Architecture(Tokens(), 4), None)
    embedder = Embedder(
        network, ModelSpec("tokens", "-", None, Preprocessing(size, size)), torch.device("cpu")
    )
    images = torch.randn(count, 3, 8, 8)
    assert embedder.program is None  # it was tried
    network.features.seen.clear()
    found = embedder.embed(images)
    assert sorted(network.features.seen, reverse=True) == parts
    assert torch.allclose(found, unit(network(images)), atol=1e-6)


def test_images_are_made_when_they_pass_and_no_sooner(embedder):
    images, made = torch.randn(40, 3, 32, 32), []

    def make(rows):
        made.append(len(rows))
        return images[rows]

    assert torch.equal(embedder.embed_made(torch.arange(40), make), embedder.embed(images))
    assert made == [4] * 10


def vgg():
    from torchvision.models.vgg import cfgs, make_layers

    return Architecture(make_layers(cfgs["A"], batch_norm=True), 512, Preprocessing(64, 64))


@pytest.mark.parametrize(
    "name", ["densenet121", "resnet18", "efficientnet_b0", "vgg", "timm:convnext_atto"]
)
def test_many_images_embed_as_the_network_itself_embeds_them(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(vgg() if name == "vgg" else build_architecture(name, 64), None)
        images = torch.randn(16, 3, 64, 64)
    spec = ModelSpec(name, "random:0", None, Preprocessing(64, 64))
    embedder = Embedder(network, spec, torch.device("cpu"))
    with torch.no_grad():
        expected = unit(network(images))
    found = embedder.embed(images, 100)
    assert (found - expected).abs().max() < 1e-5
    assert torch.equal(embedder.embed(images, 100), found)
    assert (embedder.program is None) == ("convnext" in name)


def test_a_job_is_fast_by_all_its_images_not_those_of_one_call(monkeypatch):
    spec = ModelSpec("densenet121", "random:0", None, Preprocessing(64, 64))
    embedder = load_embedder(spec, "cpu")
    images = torch.randn(3, 3, 64, 64)
    few = embedder.embed(images)
    monkeypatch.setattr(embedder, "_plain_features", None)  # whoever calls it fails
    with pytest.raises(TypeError):
        embedder.embed(images)
    fast = embedder.embed(images, 100)
    assert torch.equal(embedder.embed_with_features(images, 100)[0], fast)
    assert torch.equal(unit(embedder.project(embedder.forward_features(images, 100))), fast)
    assert torch.allclose(fast, few, atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_narrow_precision_stays_near_full_precision(tiny_arch, precision):
    spec = ModelSpec(tiny_arch, "random:0", None, Preprocessing(32, 32))
    images = torch.randn(4, 3, 32, 32)
    full = load_embedder(spec, "cpu").embed(images)
    narrow = load_embedder(spec, "cpu", precision).embed(images)
    assert narrow.dtype == torch.float32
    assert ((full * narrow).sum(dim=1) > 0.999).all()


def test_auto_takes_cuda_then_mps_then_cpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto").type == "cuda"
    assert "running on cuda" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto").type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto").type == "cpu"


def test_a_device_that_is_absent_is_never_replaced_silently(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert pick_device("cuda:0").type == "cuda"
    with pytest.raises(ModelError, match="no such CUDA device; 1 are here"):
        pick_device("cuda:1")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ModelError, match="mps: not available"):
        pick_device("mps")
    with pytest.raises(SettingError, match="expected auto, cpu, cuda"):
        pick_device("gpu")


def test_preprocessing_flags_override_the_networks_own(tiny_arch):
    spec = resolve_model(
        ModelChoice(
            architecture=tiny_arch, weights="random:0", input_size=64, mean="0.5", std="0.2,0.3,0.4"
        )
    )
    assert spec.preprocessing == Preprocessing(64, 64, "bilinear", (0.5, 0.5, 0.5), (0.2, 0.3, 0.4))
    with pytest.raises(SettingError, match="mean: expected one number or three"):
        resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0", mean="a,b"))
    with pytest.raises(SettingError, match="std: expected numbers above 0"):
        resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0", std="0"))
    for seed in ("x", 2**63):
        choice = ModelChoice(architecture=tiny_arch, weights=f"random:{seed}")
        with pytest.raises(SettingError, match="expected random:SEED"):
            load_embedder(resolve_model(choice), "cpu")


def test_the_papers_network_is_the_default():
    spec = resolve_model(ModelChoice())
    assert (spec.architecture, spec.weights) == (loader.DEFAULT_ARCHITECTURE, "imagenet")
    assert spec.preprocessing == Preprocessing(224, 256)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_agrees_with_the_cpu(tiny_arch):
    spec = ModelSpec(tiny_arch, "random:0", 8, Preprocessing(32, 32))
    images = torch.randn(5, 3, 32, 32)
    on_cpu, on_gpu = load_embedder(spec, "cpu"), load_embedder(spec, "cuda")
    assert torch.allclose(on_cpu.embed(images), on_gpu.embed(images), atol=1e-4)
    assert on_gpu.forward_features(images).device.type == "cuda"
