import torch

from xmir_cli.saliency.methods import center, edges, random, uniform
from xmir_cli.saliency.sample import make_samples


def test_random_differs_between_pairs_and_seeds(embedder, make_inputs):
    one, two, three = make_samples(embedder, make_inputs(3))
    first = random.Method()(embedder, one, two).saliency
    assert not torch.equal(random.Method()(embedder, one, three).saliency, first)
    assert not torch.equal(random.Method()(embedder, two, one).saliency, first)
    assert not torch.equal(random.Method(seed=1)(embedder, one, two).saliency, first)
    assert 0.4 < float(first.mean()) < 0.6


def test_center_falls_from_the_middle_alike_in_every_direction(embedder, pair):
    saliency = center.Method()(embedder, *pair).saliency
    assert torch.equal(saliency, saliency.T)
    torch.testing.assert_close(saliency, saliency.flip(0))
    assert float(saliency[15, 15]) == float(saliency.max())
    assert bool((saliency[15, 16:].diff() < 0).all())


def test_edges_of_a_step_are_at_the_step_and_nowhere_else(embedder, make_inputs):
    image = torch.zeros(3, 32, 32)
    image[:, :, 16:] = 1
    target, explained = make_samples(embedder, [*make_inputs(1), image])
    saliency = edges.Method()(embedder, target, explained).saliency
    assert torch.equal(saliency[:, 15:17], torch.full((32, 2), 0.5))
    assert not saliency[:, :15].any()
    assert not saliency[:, 17:].any()


def test_uniform_is_all_ties(embedder, pair):
    assert torch.equal(uniform.Method()(embedder, *pair).saliency, torch.ones(32, 32))
