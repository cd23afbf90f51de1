import pytest
import torch

from xmir_cli.saliency.sample import make_samples, similarity


def test_samples_carry_what_the_embedder_says_of_each_image(embedder, make_inputs):
    inputs = make_inputs(3)
    samples = make_samples(embedder, inputs)
    features = embedder.forward_features(torch.stack(inputs))
    for row, sample in enumerate(samples):
        assert torch.equal(sample.input, inputs[row])
        torch.testing.assert_close(sample.features, features[row])
        torch.testing.assert_close(sample.embedding, embedder.embed(inputs[row][None])[0])


def test_batch_size_does_not_change_a_sample(embedder, make_inputs):
    whole = make_samples(embedder, make_inputs(5))
    embedder.batch = 2
    parts = make_samples(embedder, make_inputs(5))
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one.embedding, other.embedding)


def test_no_inputs_make_no_samples(embedder):
    assert make_samples(embedder, []) == []


def test_similarity_of_an_image_with_itself_is_one(pair):
    assert similarity(pair[0], pair[0]) == pytest.approx(1.0, abs=1e-6)


def test_sample_does_not_keep_its_whole_batch_alive(embedder, make_inputs):
    sample = make_samples(embedder, make_inputs(4))[0]
    assert sample.features.untyped_storage().nbytes() == sample.features.nbytes


def test_bytes_of_a_sample_count_its_memo(embedder, make_inputs):
    sample = make_samples(embedder, make_inputs(1))[0]
    before = sample.bytes
    sample.memo["large"] = torch.zeros(100)
    assert sample.bytes == before + 400


def test_embedder_of_the_tests_is_deterministic(make_embedder, make_inputs):
    one, other = make_embedder(), make_embedder()
    image = make_inputs(1)[0][None]
    assert torch.equal(one.embed(image), other.embed(image))
