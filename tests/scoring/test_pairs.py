from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.metrics.protocol import Protocol
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.scoring import pairs
from xmir_cli.scoring.pairs import PairScorer
from xmir_cli.scoring.tasks import TargetPair, Task
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas.saliency import SaliencyRecord


@pytest.fixture
def embedder(tiny_arch):
    return load_embedder(
        resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0")), "cpu"
    )


@pytest.fixture
def task(embedder, tmp_path):
    Image.new("L", (40, 40), 90).save(tmp_path / "a.png")
    np.save(tmp_path / "map.npy", np.random.default_rng(0).random((32, 32)))
    pair = TargetPair("a.png", "a.png", embedder.spec)
    record = {"query": "a.png", "retrieved": "a.png", "method": "hand", "saliency": "map.npy"}
    return Task("line 1", read_view(SaliencyRecord, record), pair)


def test_a_network_is_loaded_once_for_all_pairs(embedder, task):
    loaded = []

    def load(spec):
        loaded.append(spec)
        return embedder

    scorer = PairScorer(Protocol(steps=2), (), load)
    scorer.score([task])
    scorer.score([task, task])
    assert loaded == [embedder.spec]


def test_a_network_that_gives_no_number_scores_nothing(embedder, task):
    with torch.no_grad():
        next(embedder.network.parameters()).fill_(float("nan"))
    (found,) = PairScorer(Protocol(steps=2), (), lambda _: embedder).score([task])
    assert isinstance(found, ItemError)
    assert found.reason.startswith("nan: ")


def test_controls_are_scored_once_a_pair_whatever_lies_between_its_records(
    embedder, task, monkeypatch
):
    other = replace(task, pair=replace(task.pair, target="b.png"))
    Image.new("L", (40, 40), 200).save("b.png")
    scored, original = [], pairs.score_maps

    def watch(embedder, target, explained, maps, protocol, before):
        scored.append(len(maps))
        return original(embedder, target, explained, maps, protocol, before)

    monkeypatch.setattr(pairs, "score_maps", watch)
    scorer = PairScorer(Protocol(steps=4), ("random", "center"), lambda _: embedder)
    (first,) = scorer.score([task])
    scorer.score([other])
    again, twin = scorer.score([task, task])
    assert scored == [1 + 2, 1 + 2, 2]
    for name in ("random", "center"):
        assert again.controls[name] is twin.controls[name] is first.controls[name]
    assert again.causal.deletion.auc == pytest.approx(first.causal.deletion.auc, abs=1e-6)


def test_every_image_and_every_end_is_embedded_once(embedder, task, monkeypatch):
    """Two maps each of two images for one query, one map the other way round, the first again."""
    for name, grey in {"b.png": 200, "c.png": 30}.items():
        Image.new("L", (40, 40), grey).save(name)
    embedded, original = [], embedder.embed

    def watch(images, job=0):
        embedded.append(len(images))
        return original(images, job)

    monkeypatch.setattr(embedder, "embed", watch)
    scorer = PairScorer(Protocol(steps=4), (), lambda _: embedder)
    spec = embedder.spec
    there, back, other = (
        [replace(task, pair=TargetPair(*names, spec))] * count
        for names, count in [
            (("a.png", "b.png"), 2),
            (("b.png", "a.png"), 1),
            (("a.png", "c.png"), 2),
        ]
    )
    for tasks in (there, back, other, there):
        scorer.score(tasks)
    steps = {1: 2 * 3, 2: 2 * 2 * 3}  # by the number of maps: without the ends
    assert embedded == [1, 1, 2, steps[2], 2, steps[1], 1, 2, steps[2], steps[2]]


def test_only_so_many_pairs_are_remembered(embedder, task, monkeypatch):
    monkeypatch.setattr(pairs, "_PAIRS", 2)
    scorer = PairScorer(Protocol(steps=2), ("center",), lambda _: embedder)
    for target in ("b.png", "c.png", "d.png"):
        Image.new("L", (40, 40), 200).save(target)
        scorer.score([replace(task, pair=replace(task.pair, target=target))])
    assert [pair.target for pair in scorer._common] == ["c.png", "d.png"]
