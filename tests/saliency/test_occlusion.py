import numpy as np
import pytest
import torch

from xmir_cli.saliency.methods.occlusion import Method
from xmir_cli.saliency.sample import Sample, make_samples
from xmir_cli.saliency.windows import GRIDS


def naive(embedder, target, explained, method, fill):
    """Definition 1.1 with a loop over masks, each over all pixels."""
    size = embedder.size
    starts = GRIDS[method.grid](size, method.window_size, method.stride)
    place = np.arange(size)

    def distance(image):
        other = embedder.embed(image[None])[0].double().numpy()
        gap = float(np.linalg.norm(target.embedding.double().numpy() - other))
        return gap if method.distance == "euclidean" else gap**2 / 2

    whole = distance(explained.input)
    total, count = np.zeros((size, size)), np.zeros((size, size))
    for top in starts:
        for left in starts:
            rows = (place >= top) & (place < top + method.window_size)
            columns = (place >= left) & (place < left + method.window_size)
            mask = np.outer(rows, columns)
            delta = distance(torch.where(torch.from_numpy(mask), fill, explained.input)) - whole
            total += mask * (max(0.0, delta) if method.clip_windows else delta)
            count += mask
    return total / np.maximum(count, 1)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("clip", [True, False])
def test_map_equals_the_loop_over_masks(grid, distance, clip, embedder, pair):
    method = Method(window_size=11, stride=5, grid=grid, distance=distance, clip_windows=clip)
    expected = naive(embedder, *pair, method, torch.zeros(3, 32, 32))
    found = method(embedder, *pair).saliency
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert clip or (found < 0).any()


def test_clipped_map_lies_between_zero_and_two(embedder, pair):
    saliency = Method(window_size=8, stride=4)(embedder, *pair).saliency
    assert saliency.min() >= 0
    assert saliency.max() <= 2


@pytest.mark.parametrize(
    ("fill", "color"),
    [("gray", None), ("black", (0, 0, 0)), ("#ff0080", (255, 0, 128))],
)
def test_image_of_the_fill_colour_gets_a_map_of_zeros_for_nothing(
    fill, color, embedder, make_inputs
):
    image = torch.zeros(3, 32, 32)
    if color is not None:
        recipe = embedder.recipe
        values = torch.tensor(color) / 255
        image += ((values - torch.tensor(recipe.mean)) / torch.tensor(recipe.std))[:, None, None]
    target, explained = make_samples(embedder, [*make_inputs(1), image])
    explanation = Method(window_size=8, stride=4, fill=fill)(embedder, target, explained)
    assert not explanation.saliency.any()
    assert explanation.evaluations == 0


def test_mean_fill_hides_nothing_in_a_flat_image_and_blur_keeps_it(embedder, make_inputs):
    flat = torch.full((3, 32, 32), 0.5)
    target, explained = make_samples(embedder, [*make_inputs(1), flat])
    for fill in ("mean", "blur"):
        saliency = Method(window_size=8, stride=4, fill=fill)(embedder, target, explained).saliency
        assert float(saliency.abs().max()) < 1e-6


def test_pixels_whose_windows_the_network_ignores_are_exactly_zero(
    make_embedder, make_inputs, spot
):
    embedder = make_embedder(spotlight=True)
    target, explained = make_samples(embedder, make_inputs(2))
    saliency = Method(window_size=8, stride=4)(embedder, target, explained).saliency
    assert not saliency[24:].any()
    assert not saliency[:, :8].any()
    assert float(saliency[spot].sum()) > 0.3 * float(saliency.sum())


def test_windows_that_change_nothing_are_not_evaluated(embedder, make_inputs):
    half = make_inputs(1)[0]
    half[:, :, 16:] = 0  # equals the fill
    target, explained = make_samples(embedder, [*make_inputs(1, seed=3), half])
    explanation = Method(window_size=8, stride=8, grid="valid")(embedder, target, explained)
    assert explanation.evaluations == 8
    assert not explanation.saliency[:, 16:].any()


def test_scale_of_the_targets_raw_embedding_does_not_matter(embedder, pair):
    target, explained = pair
    louder = Sample(target.input, target.features, 5 * target.raw, target.embedding)
    method = Method(window_size=8, stride=4)
    straight = method(embedder, target, explained).saliency
    assert torch.equal(method(embedder, louder, explained).saliency, straight)


def test_batch_size_does_not_change_the_map(embedder, make_inputs):
    maps = []
    for batch in (1, 3, 64):
        embedder.batch = batch
        target, explained = make_samples(embedder, make_inputs(2))
        maps.append(Method(window_size=8, stride=4)(embedder, target, explained).saliency)
    torch.testing.assert_close(maps[0], maps[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(maps[0], maps[2], atol=1e-6, rtol=0)


def test_hidden_embeddings_serve_every_further_query(embedder, make_inputs, monkeypatch):
    first, second, explained = make_samples(embedder, make_inputs(3))
    method = Method(window_size=8, stride=4)
    fresh = method(embedder, second, make_samples(embedder, [explained.input])[0])
    method(embedder, first, explained)
    monkeypatch.setattr(embedder, "embed", lambda _: pytest.fail("computed again"))
    again = method(embedder, second, explained)
    torch.testing.assert_close(again.saliency, fresh.saliency, atol=1e-6, rtol=0)
    assert again.evaluations == fresh.evaluations
    assert Method(window_size=8, stride=4, clip_windows=False, distance="cosine")(
        embedder, first, explained
    )


def test_self_similarity_is_the_mean_distance_that_hiding_moves(embedder, pair):
    method = Method(window_size=11, stride=5)
    expected = naive(embedder, pair[1], pair[1], method, torch.zeros(3, 32, 32))
    found = method(embedder, pair[1], pair[1]).saliency
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_map_of_the_mirrored_image_is_the_mirrored_map_on_a_symmetric_grid(
    make_embedder, make_inputs
):
    embedder = make_embedder()
    with torch.no_grad():
        weight = embedder.network.features[0].weight
        weight.copy_((weight + weight.flip(3)) / 2)
    inputs = make_inputs(2)
    target, explained, mirrored = make_samples(embedder, [*inputs, inputs[1].flip(2)])
    method = Method(window_size=8, stride=4, grid="centered")
    straight = method(embedder, target, explained).saliency
    turned = method(embedder, target, mirrored).saliency
    torch.testing.assert_close(turned.flip(1), straight, atol=1e-6, rtol=0)


def test_cosine_distance_to_an_image_without_features_is_one(make_embedder, make_inputs):
    embedder = make_embedder(spotlight=True)
    target, explained = make_samples(embedder, make_inputs(2))
    covering = Method(window_size=32, stride=32, grid="valid", distance="cosine")
    similarity = float(target.embedding @ explained.embedding)
    saliency = covering(embedder, target, explained).saliency  # all is hidden, similarity 0
    torch.testing.assert_close(saliency, torch.full((32, 32), similarity), atol=1e-6, rtol=0)
