import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from xmir_cli.errors import ItemError
from xmir_cli.explain.cases import Case, Cases
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.network import Architecture, Network
from xmir_cli.pictures.view import to_input, view_picture
from xmir_cli.wire.model import ModelSpec, Preprocessing


@pytest.fixture
def embedder():
    recipe = Preprocessing(input_size=16, resize=16)
    network = Network(Architecture(nn.Conv2d(3, 4, 3, stride=4), 4, recipe), None)
    return Embedder(network, ModelSpec("toy", "random:0", None, recipe), torch.device("cpu"))


@pytest.fixture
def paths():
    generator = np.random.default_rng(0)
    for name in "abc":
        pixels = generator.integers(0, 255, (20, 24), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{name}.png")
    return ["a.png", "b.png", "c.png"]


@pytest.fixture
def passes(embedder, monkeypatch):
    """The sizes of the batches that went through the network."""
    sizes = []
    plain = embedder.forward_features

    def counted(images, job):
        sizes.append(len(images))
        return plain(images, job)

    monkeypatch.setattr(embedder, "forward_features", counted)
    return sizes


def test_cases_of_one_call_share_a_forward_pass_and_repeats_cost_nothing(embedder, paths, passes):
    cases = Cases(embedder)
    first = cases.load([*paths, "a.png"])
    again = cases.load(paths)
    assert passes == [3]
    assert list(first) == paths
    assert all(first[path] is again[path] for path in paths)


def test_case_knows_its_files_hash_its_original_and_its_view(embedder, paths):
    case = Cases(embedder).load(paths)["b.png"]
    assert case.identity == hashlib.sha256(Path("b.png").read_bytes()).hexdigest()
    assert case.picture.pixels.size == (24, 20)
    assert case.crop.image_size == (24, 20)
    own = to_input(view_picture(case.picture, embedder.recipe), embedder.recipe)
    assert torch.equal(case.sample.input, own)


@pytest.mark.usefixtures("paths")
def test_unreadable_images_are_told_apart(embedder):
    Path("text.png").write_text("no image")
    found = Cases(embedder).load(["text.png", "a.png", "gone.png"])
    assert isinstance(found["a.png"], Case)
    assert isinstance(found["text.png"], ItemError)
    assert found["gone.png"].reason == "missing: no such file"


@pytest.mark.usefixtures("paths")
def test_memory_stays_within_its_bound_and_the_newest_case_stays(embedder, passes):
    size = Cases(embedder).load(["a.png"])["a.png"].bytes
    passes.clear()
    cases = Cases(embedder, limit=2 * size)
    for path in ("a.png", "b.png", "a.png", "c.png", "a.png", "b.png"):
        cases.load([path])
    assert passes == [1, 1, 1, 1]  # b was unused for longest when c came


@pytest.mark.usefixtures("paths")
def test_what_methods_remember_counts(embedder, passes):
    case = Cases(embedder).load(["a.png"])["a.png"]
    cases = Cases(embedder, limit=2 * case.bytes)
    cases.load(["a.png"])["a.png"].sample.memo["large"] = torch.zeros(case.bytes)
    cases.load(["b.png"])
    passes.clear()
    cases.load(["a.png"])
    assert passes == [1]
