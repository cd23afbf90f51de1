"""Training: it learns, it repeats, it resumes exactly, it stops at a bad number."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from xmir_cli.errors import DataError, ModelError, SettingError
from xmir_cli.model.loader import load_embedder
from xmir_cli.model.network import Architecture, Network
from xmir_cli.model.weights import hash_weights
from xmir_cli.pictures.files import read_picture
from xmir_cli.pictures.reading import read_image
from xmir_cli.pictures.view import resize_picture
from xmir_cli.training import state
from xmir_cli.training.feed import Feed
from xmir_cli.training.freeze import frozen_parts, list_freezable, settle_freezing, train_except
from xmir_cli.training.loop import Outcome, Trainer, has_bf16
from xmir_cli.training.losses.triplet import triplet_loss
from xmir_cli.training.pictures import Pictures
from xmir_cli.training.recipe import Augmentation, Settings
from xmir_cli.training.validation import validate

SETTINGS = Settings(per_class=4, learning_rate=5e-3)


def new_feed(embedder, jobs=2) -> Feed:
    fresh = load_embedder(embedder.spec, "cpu")
    return Feed(
        fresh,
        Pictures(lambda path: resize_picture(read_picture(path), fresh.recipe)),
        jobs,
    )


def test_one_step_reduces_the_loss_on_its_batch(feed, examples):
    trainer = Trainer(feed, SETTINGS)
    images = next(iter(feed.load_plain(examples, 20)))
    labels = torch.tensor([0, 1] * 10)
    before, *_ = trainer.step(images, labels, "here")
    after, *_ = trainer.step(images, labels, "here")
    assert after < before


def test_training_makes_the_classes_retrievable(feed, examples):
    trainer = Trainer(feed, SETTINGS)
    before = validate(feed, examples)
    outcomes = [trainer.epoch(number, examples) for number in range(1, 9)]
    after = validate(feed, examples)
    assert after["map"] > max(before["map"], 0.95)
    assert outcomes[-1].violating_fraction < outcomes[0].violating_fraction / 2
    assert all(outcome.images_per_second > 0 for outcome in outcomes)


def test_the_same_seed_gives_the_same_weights_whatever_the_threads(embedder, examples):
    weights = []
    for jobs, seed in ((1, 0), (3, 0), (1, 1)):
        trainer = Trainer(new_feed(embedder, jobs), replace(SETTINGS, seed=seed))
        trainer.epoch(1, examples)
        weights.append(hash_weights(trainer.network))
    assert weights[0] == weights[1] != weights[2]


def test_a_restored_state_continues_to_the_same_weights(embedder, examples):
    whole = Trainer(new_feed(embedder), SETTINGS)
    whole.epoch(1, examples)
    taken = {key: value.clone() for key, value in state.take(whole.parts, whole.optimizer).items()}
    whole.epoch(2, examples)
    resumed = Trainer(new_feed(embedder), SETTINGS)
    state.restore(resumed.parts, resumed.optimizer, taken, "here")
    resumed.epoch(2, examples)
    assert hash_weights(resumed.network) == hash_weights(whole.network)


def test_cosine_steps_grow_then_fall_to_nothing_and_resume_alike(embedder, examples):
    settings = replace(SETTINGS, schedule="cosine", epochs=4)
    whole = Trainer(new_feed(embedder), settings)
    taken, sizes = {}, []
    for number in range(1, 5):
        whole.epoch(number, examples)
        sizes.append(whole.optimizer.param_groups[0]["lr"])
        if number == 2:
            kept = state.take(whole.parts, whole.optimizer)
            taken = {key: value.clone() for key, value in kept.items()}
    # two batches an epoch: the middles of steps 2, 4, 6, 8 lie at 3, 7, 11 and 15 sixteenths
    shares = [(1 + math.cos(math.pi * (x / 16 - 0.1) / 0.9)) / 2 for x in (3, 7, 11, 15)]
    assert sizes == pytest.approx([5e-3 * share for share in shares])
    resumed = Trainer(new_feed(embedder), settings)
    state.restore(resumed.parts, resumed.optimizer, taken, "here")
    for number in (3, 4):
        resumed.epoch(number, examples)
    assert hash_weights(resumed.network) == hash_weights(whole.network)
    constant = Trainer(new_feed(embedder), SETTINGS)
    constant.epoch(1, examples)
    assert constant.optimizer.param_groups[0]["lr"] == 5e-3


def test_the_state_of_another_network_is_refused(feed):
    trainer = Trainer(feed, SETTINGS)
    with pytest.raises(ModelError, match=r"^a\.safetensors: .*: not the state of this network$"):
        state.restore(trainer.parts, trainer.optimizer, {}, "a.safetensors")


def test_an_epoch_tells_after_each_batch_how_it_goes(feed, examples):
    told: list[Outcome] = []
    trainer = Trainer(feed, SETTINGS)
    outcome = trainer.epoch(1, examples, told.append)
    losses = [loss for loss, _, _ in trainer.steps]
    assert [each.loss for each in told] == [losses[0], np.mean(losses)]
    assert told[-1].loss == outcome.loss
    assert all(each.images_per_second > 0 for each in told)
    assert len(told) == len(trainer.batches(1, [each.label for each in examples]))


def test_a_loss_that_is_no_number_stops_at_its_batch(feed, examples):
    trainer = Trainer(feed, SETTINGS)
    with torch.no_grad():
        next(trainer.network.head.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError) as caught:
        trainer.epoch(3, examples)
    assert str(caught.value) == "epoch 3, batch 1: the loss is nan"


def test_frozen_parts_keep_weights_and_statistics(feed, examples):
    trainer = Trainer(feed, replace(SETTINGS, freeze_layers=2))
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.epoch(1, examples)
    changed = {
        name
        for name, value in trainer.network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert not any(name.startswith(("features.0.", "features.1.")) for name in changed)
    assert {"features.3.weight", "features.4.running_mean", "head.after.0.weight"} <= changed


def test_class_tokens_and_positions_are_frozen_with_the_first_block():
    features = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Conv2d(4, 4, 1))
    features.register_parameter("positions", torch.nn.Parameter(torch.zeros(4)))
    network = Network(Architecture(features, 4), None)
    blocks, norms = frozen_parts(network, replace(SETTINGS, freeze_layers=1))
    assert (list(blocks), norms) == (["features.positions", "features.0"], {})
    assert frozen_parts(network, SETTINGS) == ({}, {})
    train_except(network, blocks.values())
    learning = [name for name, weight in network.named_parameters() if weight.requires_grad]
    assert learning == ["features.1.weight", "features.1.bias"]


def test_frozen_batch_norms_keep_weights_and_statistics(feed, examples):
    trainer = Trainer(feed, replace(SETTINGS, freeze_batchnorm=True))
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.epoch(1, examples)
    after = trainer.network.state_dict()
    kept = {name for name in before if torch.equal(after[name], before[name])}
    assert kept == {name for name in before if name.startswith(("features.1.", "features.4."))}


def test_blocks_open_plain_containers_only():
    inner = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1))
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), inner)
    assert list(list_freezable(network)) == [network[0], inner[0], inner[2]]
    assert list(list_freezable(torch.nn.Sequential(network))) == [network[0], inner[0], inner[2]]


def test_more_frozen_layers_than_there_are_is_refused(feed):
    with pytest.raises(SettingError) as caught:
        Trainer(feed, replace(SETTINGS, freeze_layers=5))
    assert str(caught.value) == "freeze_layers: the network has 4 blocks, found 5"
    names = "features.0, features.1, features.3, features.4"
    assert caught.value.hint == f"They are, in their order: {names}."


def test_half_of_the_blocks_is_frozen_of_weights_that_have_learned(embedder):
    choose = replace(SETTINGS, freeze_layers=None)
    assert settle_freezing(choose, embedder.network, learned=True).freeze_layers == 2  # of 4
    assert settle_freezing(choose, embedder.network, learned=False).freeze_layers == 0
    asked = replace(SETTINGS, freeze_layers=3)
    assert settle_freezing(asked, embedder.network, learned=True) == asked
    assert Trainer(new_feed(embedder), choose).settings.freeze_layers == 0  # random:0


def test_a_wholly_frozen_network_is_refused(embedder):
    headless = load_embedder(replace(embedder.spec, head=None, weights_sha256=""), "cpu")
    feed = Feed(
        headless,
        Pictures(lambda path: resize_picture(read_picture(path), headless.recipe)),
        1,
    )
    with pytest.raises(ModelError, match="every weight is frozen"):
        Trainer(feed, replace(SETTINGS, freeze_layers=4))


def test_out_of_memory_says_what_to_lower(feed, examples, monkeypatch):
    trainer = Trainer(feed, SETTINGS)

    def full(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    monkeypatch.setattr(trainer.network.features, "forward", full)
    with pytest.raises(ModelError, match="cpu: not enough memory for a batch of 8 images"):
        trainer.epoch(1, examples)


def test_other_errors_of_the_network_are_not_hidden(feed, examples, monkeypatch):
    trainer = Trainer(feed, SETTINGS)

    def broken(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(trainer.network.features, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        trainer.epoch(1, examples)


def test_a_picture_that_vanishes_is_named(feed, examples):
    settings = replace(SETTINGS, augmentation=Augmentation(random_resized_crop=True))
    gone = [replace(example, path=f"{example.path}.gone") for example in examples]
    with pytest.raises(DataError, match=r"^\d+\.png: no longer readable: "):
        Trainer(feed, settings).epoch(1, gone)


def test_validation_without_rows_or_without_matches_has_no_numbers(feed, examples):
    assert validate(feed, []) == {"map": None, "p_at_1": None, "p_at_5": None}
    assert validate(feed, examples[:2]) == {"map": None, "p_at_1": None, "p_at_5": None}


def test_validation_of_a_network_that_tells_nothing_apart_says_so(feed, examples):
    for parameter in feed.embedder.network.head.parameters():
        parameter.data.zero_()
    found = validate(feed, examples)
    assert found["tied_pairs"] == 1
    assert found["p_at_1"] == pytest.approx(9 / 19)  # ten of each class, any of 19 the first
    assert found["p_at_5"] == pytest.approx(9 / 19)


def test_validation_with_embeddings_that_are_no_numbers_is_refused(feed, examples):
    for parameter in feed.embedder.network.head.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"^0\.png: its embedding is NaN or infinite"):
        validate(feed, examples)


def test_the_map_by_patient_counts_no_image_of_the_querys_own(feed, examples):
    owned = [replace(example, patient=f"p{place // 5}") for place, example in enumerate(examples)]
    found = validate(feed, owned, by_patient=True)
    feed.embedder.network.eval()
    vectors = torch.cat([feed.embedder.embed(x, 20) for x in feed.load_plain(owned, 20)]).double()
    precisions = []
    for query, row in zip(owned, (vectors @ vectors.T).tolist(), strict=True):
        others = [(s, x) for s, x in zip(row, owned, strict=True) if x.patient != query.patient]
        ranked = sorted(others, key=lambda pair: -pair[0])
        hits = [x.label == query.label for _, x in ranked]
        places = [place for place, hit in enumerate(hits, 1) if hit]
        precisions.append(np.mean([sum(hits[:place]) / place for place in places]))
    assert found["map_excluding_same_patient"] == pytest.approx(np.mean(precisions), abs=1e-6)
    assert found["map"] == validate(feed, owned)["map"] != found["map_excluding_same_patient"]
    assert validate(feed, examples, by_patient=True)["map_excluding_same_patient"] is None


def test_an_image_that_comes_again_has_another_view(feed, examples):
    varied = Augmentation(random_resized_crop=True)
    batches = [[(0, 0)], [(0, 1)], [(0, 0)], [(0, 2)]]
    first, again, same, third = feed.load_augmented(batches, examples, varied, (0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, again)
    assert not torch.equal(again, third)


def test_the_head_has_a_learning_rate_of_its_own(feed, examples):
    trainer = Trainer(feed, replace(SETTINGS, head_learning_rate=0.0, schedule="cosine"))
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}
    trainer.epoch(1, examples)
    same = {n for n, value in trainer.network.named_parameters() if torch.equal(value, before[n])}
    assert same == {"head.after.0.weight", "head.after.0.bias"}


def test_proxies_are_trained_but_are_no_part_of_the_network(feed, examples):
    trainer = Trainer(feed, replace(SETTINGS, loss="proxy-anchor"))
    trainer.epoch(1, examples)
    first = trainer.objective.proxies.detach().clone()
    assert first.shape == (2, 8)
    outcomes = [trainer.epoch(number, examples) for number in (2, 3, 4)]
    assert not torch.equal(trainer.objective.proxies, first)
    assert outcomes[-1].loss < outcomes[0].loss
    assert not any("proxies" in name for name in trainer.network.state_dict())
    assert "adam.exp_avg.objective.proxies" in state.take(trainer.parts, trainer.optimizer)


def test_several_labels_validate_as_sets(feed, examples):
    both = [replace(example, label=f"{example.label}|x") for example in examples]
    assert validate(feed, both)["map"] == 1


def test_plain_batches_are_the_views_of_the_evaluation(feed, examples):
    batches = list(feed.load_plain(examples[:5], 2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    view = read_image(examples[4].path, feed.embedder.recipe).input
    assert torch.equal(batches[2][0], view)
    assert list(feed.load_plain([], 2)) == []


def test_the_loss_of_an_epoch_is_that_of_its_batches(feed, examples):
    """One batch of everything without augmentation: the mean is that batch's own loss."""
    settings = replace(SETTINGS, per_class=10, augmentation=Augmentation(flip=False))
    images = next(iter(feed.load_plain(examples, 20)))
    feed.embedder.network.train()
    expected = triplet_loss(feed.embedder.network(images), torch.tensor([0, 1] * 10)).value.item()
    outcome = Trainer(new_feed(feed.embedder), settings).epoch(1, examples)
    assert outcome.loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.skipif(not has_bf16(torch.device("cpu")), reason="the processor has no bfloat16")
@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_bf16_gives_nearly_the_losses_of_fp32_and_learns(embedder, examples, gamma):
    settings, outcomes = replace(SETTINGS, attention_loss=gamma), []
    for precision in ("fp32", "bf16"):
        feed = new_feed(embedder)
        feed.embedder.precision = precision
        trainer = Trainer(feed, settings)
        outcomes.append([trainer.epoch(number, examples) for number in (1, 2, 3)])
    whole, narrow = outcomes
    assert 0 < abs(narrow[0].loss - whole[0].loss) < 0.02
    assert narrow[2].violating_fraction < narrow[0].violating_fraction / 2


def test_only_cuda_and_some_processors_have_bf16():
    assert has_bf16(torch.device("cuda"))
    assert not has_bf16(torch.device("mps"))
