"""Attention rollout of networks as transformers and open_clip write them."""

import pytest
import torch

pytest.importorskip("open_clip", reason="needs the extra clip")
pytest.importorskip("transformers", reason="needs the extra hf")

from tests.extras import tiny, towers
from xmir_cli.errors import ModelError
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.saliency.methods.rollout import Method
from xmir_cli.saliency.sample import make_samples

WINDOWS = "its attention stays within windows"
NONE = "it has no attention"
REFUSED = {
    "swin": WINDOWS,
    "swin-classifier": WINDOWS,
    "swinv2": WINDOWS,
    "convnext": NONE,
    "convnext-classifier": NONE,
    "convnextv2": NONE,
    "dinov3-convnext": NONE,
    "attentional pool": "one of its attentions weighs 5 x 17, not its 17 tokens",
    "ResNet": "its places are no tokens that blocks of attention follow",
    "timm mean": NONE,
    "timm MLP": NONE,
}


def check(name, folder):
    embedder = load_embedder(resolve_model(ModelChoice(architecture=str(folder))), "cpu")
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(3, embedder.size, embedder.size, generator=generator)
    (sample,) = make_samples(embedder, [image])
    if name in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[name]):
            Method()(embedder, sample, sample)
        return None
    seat = embedder.shares.seat()
    saliency = Method()(embedder, sample, sample).saliency.double()
    whole = float(saliency.mean()) * seat.grid[0] * seat.grid[1]
    # what does not come from places comes from the tokens beside them
    assert 0.3 < whole < 1 + 1e-6
    assert (whole < 1 - 1e-6) == (len(embedder_tokens(embedder, image)) > seat.grid[0] ** 2)
    return saliency


def embedder_tokens(embedder, image):
    from xmir_cli.affine.watching import watch

    return watch(embedder.network, image[None]).ends


@pytest.mark.parametrize("name", tiny.LAYOUTS)
def test_layouts_of_transformers(name, tmp_path):
    check(name, tiny.write(name, tmp_path / name))


@pytest.mark.parametrize("kind", towers.TOWERS)
def test_image_towers_of_open_clip(kind, tmp_path):
    towers.write_folder(kind, tmp_path / "tower")
    check(kind, tmp_path / "tower")


@pytest.mark.parametrize("name", ["vit", "dinov2-registers", "clip-vision", "beit-mean"])
def test_it_is_the_product_of_what_the_library_tells(name, tmp_path):
    embedder = load_embedder(
        resolve_model(ModelChoice(architecture=str(tiny.write(name, tmp_path / name)))), "cpu"
    )
    image = torch.randn(3, embedder.size, embedder.size, generator=torch.Generator().manual_seed(0))
    network = tiny.make(name)
    network.set_attn_implementation("eager")
    with torch.no_grad():
        told = network(pixel_values=image[None], output_attentions=True).attentions
    flow = torch.eye(told[0].shape[-1], dtype=torch.float64)
    for each in told:
        flow = (each[0].double().mean(dim=0) + torch.eye(len(flow))) / 2 @ flow
    first = len(flow) - 16
    ends = flow[first:].mean(dim=0) if name == "beit-mean" else flow[0]
    (sample,) = make_samples(embedder, [image])
    saliency = Method()(embedder, sample, sample).saliency
    corners = saliency[[0, 0, -1, -1], [0, -1, 0, -1]].double()
    grid = ends[first:].reshape(4, 4)[[0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(corners, grid, atol=1e-6, rtol=1e-4)
