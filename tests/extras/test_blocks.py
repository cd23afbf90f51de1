"""Blocks of transformers' networks: what is randomised and what is frozen, one after the other."""

import copy

import pytest
import torch

pytest.importorskip("transformers", reason="needs the extra hf")

from tests.extras import tiny
from xmir_cli.model.randomize import list_blocks, load_fresh, stages
from xmir_cli.training.freeze import list_freezable

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries

DEPTH = 12
DEEP = {
    "vit": ["embeddings", *(f"layers.{n}" for n in range(DEPTH)), "layernorm", "pooler"],
    "dinov2": ["embeddings", *(f"layer.{n}" for n in range(DEPTH)), "layernorm"],
    "siglip-vision": [
        "embeddings",
        *(f"layers.{n}" for n in range(DEPTH)),
        "post_layernorm",
        "head",
    ],
}


@pytest.mark.parametrize("name", DEEP)
def test_layers_are_blocks_of_their_own(name, tmp_path, monkeypatch):
    writer, settings, values = tiny.LAYOUTS[name]
    deep = (writer, settings, {**values, "num_hidden_layers": DEPTH})
    monkeypatch.setitem(tiny.LAYOUTS, name, deep)
    ours = tiny.load(tiny.write(name, tmp_path))
    names = [block.name for block in list_blocks(ours.network)]
    assert names == DEEP[name]
    frozen = list(list_freezable(ours.network.features))
    assert len(frozen) == len(DEEP[name])
    assert len(list(stages(ours.network, "cascading"))) == len(names) + 1


def test_fresh_weights_are_others_in_every_tensor(tmp_path):
    ours = tiny.load(tiny.write("vit", tmp_path))
    before = copy.deepcopy(ours.network.state_dict())
    fresh = load_fresh(ours.spec, 7).state_dict()
    assert fresh.keys() == before.keys()
    assert not any(torch.equal(fresh[name], tensor) for name, tensor in before.items())
