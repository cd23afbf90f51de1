import pytest
import torch

from xmir_cli.metrics.protocol import Protocol, score_maps
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model


@pytest.fixture
def embedder(tiny_arch):
    return load_embedder(
        resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0")), "cpu"
    )


@pytest.fixture
def image():
    return torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0))


def ends_of(embedder, image):
    ends = Protocol().ends(image)
    return ends, embedder.embed(torch.stack([ends.intact, ends.blurred, ends.substrate]))


def test_a_step_is_one_row_unless_a_number_of_steps_is_given():
    assert Protocol().step(10, 7) == 7
    assert Protocol(steps=7).step(10, 7) == 10
    assert Protocol(steps=3).step(4, 4) == 6  # 6, 6 and the 4 left
    assert Protocol(steps=999).step(4, 4) == 1


def test_gray_is_zero_of_the_model_space(image):
    ends = Protocol().ends(image)
    assert not ends.substrate.any()
    assert ends.intact is image


def test_the_mean_substrate_is_the_mean_colour(image):
    substrate = Protocol(substrate="mean").ends(image).substrate
    assert torch.equal(substrate[:, 0, 0], image.mean(dim=(1, 2)))
    assert (substrate == substrate[:, :1, :1]).all()


def test_the_blur_substrate_is_the_start_of_insertion(image):
    ends = Protocol(substrate="blur").ends(image)
    assert torch.equal(ends.substrate, ends.blurred)


def test_noise_keeps_mean_and_deviation_and_repeats_with_its_seed():
    image = torch.randn(3, 100, 100, generator=torch.Generator().manual_seed(0)) * 3 + 1
    noise = Protocol(substrate="noise", seed=1).ends(image).substrate
    assert noise.mean(dim=(1, 2)).tolist() == pytest.approx(image.mean(dim=(1, 2)), abs=0.1)
    assert noise.std(dim=(1, 2)).tolist() == pytest.approx(image.std(dim=(1, 2)), abs=0.1)
    assert torch.equal(noise, Protocol(substrate="noise", seed=1).ends(image).substrate)
    assert not torch.equal(noise, Protocol(substrate="noise", seed=2).ends(image).substrate)


def test_reflected_padding_keeps_a_constant_image_and_zero_padding_fades_it():
    image = torch.ones(3, 40, 40)
    assert Protocol(blur_padding="reflect").ends(image).blurred[0, 0, 0] == pytest.approx(1)
    assert Protocol().ends(image).blurred[0, 0, 0] < 0.35
    assert Protocol("rise").ends(image).blurred[0, 0, 0] < 0.35


def test_random_ties_use_the_seed():
    flat = torch.zeros(8, 8)
    mixed = Protocol(ties="random", seed=3).ranks(flat)
    assert not torch.equal(mixed, Protocol(seed=3).ranks(flat))
    assert torch.equal(mixed, Protocol(ties="random", seed=3).ranks(flat))


def test_the_fill_is_told_in_eight_bit(embedder, image):
    assert Protocol().describe(embedder, image)["fill"] == [123.7, 116.3, 103.5]
    white = torch.tensor([1.0, 1.0, 1.0])
    recipe = embedder.recipe
    model_white = (white - torch.tensor(recipe.mean)) / torch.tensor(recipe.std)
    bright = model_white[:, None, None].expand(3, 32, 32)
    assert Protocol(substrate="mean").describe(embedder, bright)["fill"] == [255, 255, 255]
    assert Protocol(substrate="blur").describe(embedder, image)["fill"] is None


def test_an_image_that_is_its_own_target_starts_and_ends_at_one(embedder, image):
    target = embedder.embed(image[None])[0]
    saliency = torch.rand(32, 32, generator=torch.Generator().manual_seed(1))
    (found,) = score_maps(embedder, target, ends_of(embedder, image), [saliency], Protocol())
    assert found.deletion.similarities[0] == pytest.approx(1, abs=1e-6)
    assert found.insertion.similarities[-1] == pytest.approx(1, abs=1e-6)
    for curve in (found.insertion, found.deletion):
        assert 0 <= curve.similarities.min() <= curve.auc <= curve.similarities.max() <= 1


def test_the_batch_of_the_network_does_not_change_the_curves(embedder, image):
    target = embedder.embed(torch.flip(image, (1,))[None])[0]
    maps = [torch.rand(32, 32, generator=torch.Generator().manual_seed(n)) for n in range(2)]
    first = score_maps(embedder, target, ends_of(embedder, image), maps, Protocol())
    embedder.batch = 3
    second = score_maps(embedder, target, ends_of(embedder, image), maps, Protocol())
    for one, other in zip(first, second, strict=True):
        assert one.insertion.similarities == pytest.approx(other.insertion.similarities, abs=1e-5)
        assert one.deletion.similarities == pytest.approx(other.deletion.similarities, abs=1e-5)


def test_no_maps_need_no_network(embedder, image):
    assert score_maps(embedder, image, ends_of(embedder, image), [], Protocol()) == []
