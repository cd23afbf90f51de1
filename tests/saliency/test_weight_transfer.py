from dataclasses import replace

import numpy as np
import pytest
import torch

from xmir_cli.errors import SettingError
from xmir_cli.labels import LabelSets, share_label
from xmir_cli.model.embedder import unit
from xmir_cli.saliency.methods.weight_transfer import MARGIN, Method, anchor_direction, anchors
from xmir_cli.saliency.sample import LabelledGallery, make_samples

LABELS = ["a", "a", "a", "b", "b", "c", None]


def gallery_of(samples, labels=LABELS):
    vectors = np.stack([sample.embedding.numpy() for sample in samples])
    return LabelledGallery(vectors, LabelSets(labels))


def triplet_costs(gallery, labels, anchor, raw):
    """d(a, p) - d(a, n) + margin of every triplet of one anchor, the anchor given unnormalised."""
    own, vectors = unit(raw), torch.from_numpy(gallery.embeddings).double()
    return [
        (own - vectors[p]).norm() - (own - vectors[n]).norm() + MARGIN
        for p in range(len(labels))
        for n in range(len(labels))
        if p != anchor
        and share_label(labels[p], labels[anchor])
        and share_label(labels[n], labels[anchor]) is False
    ]


@pytest.mark.parametrize("labels", [LABELS, ["a|b", "a", "b|c", "c|b", "c", "c|d", None]])
@pytest.mark.parametrize("anchor", [0, 3])
def test_direction_is_minus_the_gradient_of_the_violating_triplets(anchor, labels):
    generator = np.random.default_rng(anchor)
    vectors = generator.normal(size=(7, 5))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    gallery = LabelledGallery(vectors, LabelSets(labels))
    raw = torch.from_numpy(vectors[anchor]).double().requires_grad_()
    costs = [cost for cost in triplet_costs(gallery, labels, anchor, raw) if cost.item() > 0]
    assert 0 < len(costs) < len(triplet_costs(gallery, labels, anchor, raw))
    torch.stack(costs).mean().backward()
    np.testing.assert_allclose(
        anchor_direction(gallery, anchor), -raw.grad.numpy(), atol=1e-5, rtol=1e-4
    )


def test_where_no_triplet_violates_all_of_them_count():
    vectors = np.array([[1, 0, 0], [0.9, 0.436, 0], [-1, 0, 0], [0, 0, 1]], dtype=np.float32)
    labels = ["a", "a", "b", "b"]
    gallery = LabelledGallery(vectors, LabelSets(labels))
    raw = torch.from_numpy(vectors[0]).double().requires_grad_()
    costs = triplet_costs(gallery, labels, 0, raw)
    assert max(cost.item() for cost in costs) < 0
    torch.stack(costs).mean().backward()
    np.testing.assert_allclose(anchor_direction(gallery, 0), -raw.grad.numpy(), atol=2e-3)


@pytest.mark.parametrize("head", [None, 4])
def test_image_of_the_gallery_gets_the_map_of_its_own_weights(head, make_embedder, make_inputs):
    embedder = make_embedder(head=head)
    samples = make_samples(embedder, make_inputs(7))
    gallery = gallery_of(samples)
    own = samples[1]
    leaf = own.features[None].clone().requires_grad_()
    raw = embedder.project(leaf)[0]
    costs = triplet_costs(gallery, LABELS, 1, raw.double())
    kept = [cost for cost in costs if cost.item() > 0] or costs
    (gradient,) = torch.autograd.grad(-torch.stack(kept).mean(), leaf)
    alpha = gradient.mean(dim=(2, 3))[0]  # [C], as Grad-CAM pools it
    expected = torch.einsum("c,chw->hw", alpha, own.features).clamp(min=0) * float(own.raw.norm())
    found = Method()(embedder, samples[0], replace(own, gallery=gallery)).saliency
    assert float(expected.max()) > 0
    # 8 to 32 pixels: every cell's mean survives the upsampling but at the borders of the map
    assert float(found.mean()) == pytest.approx(float(expected.mean()), rel=1e-3)
    peak = divmod(int(expected.argmax()), 8)
    cells = found.reshape(8, 4, 8, 4).mean(dim=(1, 3))
    assert divmod(int(cells.argmax()), 8) == peak


def test_new_image_borrows_from_its_nearest_and_needs_no_gradient(embedder, make_inputs):
    samples = make_samples(embedder, make_inputs(8))
    gallery, new = gallery_of(samples[:7]), samples[7]
    similarities = gallery.embeddings @ new.embedding.numpy()
    nearest = max((0, 1, 2, 3, 4), key=lambda place: similarities[place])  # 5 is alone, 6 nameless
    assert anchors(gallery, new.embedding.numpy(), 1).tolist() == [nearest]
    with torch.inference_mode():
        found = Method()(embedder, samples[0], replace(new, gallery=gallery)).saliency
    direction = torch.from_numpy(anchor_direction(gallery, nearest)).float()
    expected = torch.einsum("chw,c->hw", new.features, direction) / 64
    assert float(found.mean()) == pytest.approx(float(expected.clamp(min=0).mean()), rel=1e-3)


def test_several_neighbors_lend_their_mean(embedder, make_inputs):
    samples = make_samples(embedder, make_inputs(8))
    gallery, new = gallery_of(samples[:7]), samples[7]
    assert len(anchors(gallery, new.embedding.numpy(), 3)) == 3
    assert len(anchors(gallery, new.embedding.numpy(), 99)) == 5
    asked = replace(new, gallery=gallery)
    one, three = (Method(count)(embedder, asked, asked).saliency for count in (1, 3))
    assert not torch.allclose(one, three)


def test_the_other_image_of_the_pair_does_not_matter(embedder, make_inputs):
    samples = make_samples(embedder, make_inputs(7))
    asked = replace(samples[1], gallery=gallery_of(samples))
    first, second = (Method()(embedder, samples[place], asked).saliency for place in (2, 5))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    "labels", [["a"] * 7, [None] * 7, list("abcdefg"), ["a|b", "a", "a|c", *"||||"]]
)
def test_gallery_without_triplets_is_refused(labels, embedder, make_inputs):
    samples = make_samples(embedder, make_inputs(7))
    asked = replace(samples[0], gallery=gallery_of(samples, labels))
    with pytest.raises(SettingError, match="the gallery has no triplets"):
        Method()(embedder, samples[1], asked)


def test_pair_without_a_gallery_is_refused(embedder, pair):
    with pytest.raises(SettingError, match="no gallery to borrow from"):
        Method()(embedder, *pair)


def test_bad_setting_is_refused():
    with pytest.raises(SettingError, match="neighbors: expected 1 or more, found 0"):
        Method(0)
