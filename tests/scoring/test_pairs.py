import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.metrics.protocol import Protocol
from xmir_cli.model.loader import load_embedder, make_spec
from xmir_cli.scoring.pairs import PairScorer
from xmir_cli.scoring.tasks import Pair, Task


@pytest.fixture
def embedder(tiny_arch):
    return load_embedder(make_spec(None, tiny_arch, "random:0", None, None, None, None), "cpu")


@pytest.fixture
def task(embedder, tmp_path):
    Image.new("L", (40, 40), 90).save(tmp_path / "a.png")
    np.save(tmp_path / "map.npy", np.random.default_rng(0).random((32, 32)))
    pair = Pair("a.png", "a.png", embedder.spec)
    return Task("line 1", {"method": "hand"}, pair, "map.npy", None)


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
