"""`xmir train --center`: the mean of the training images is taken off every embedding."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli import console, main
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.pictures.files import read_picture
from xmir_cli.pictures.view import to_input, view_picture
from xmir_cli.store.checkpoint import read_tensors
from xmir_cli.store.embeddings import read_embeddings
from xmir_cli.training import center
from xmir_cli.wire.model import ModelSpec


@pytest.fixture
def train(xmir, tiny_arch, tmp_path):
    rng = np.random.default_rng(0)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        for number in range(16):
            Image.fromarray(rng.integers(0, 256, (40, 40), dtype=np.uint8)).save(f"{number}.png")
            rows.writerow([f"{number}.png", "ab"[number % 2], "train"])
        rows.writerows([[f"{number}.png", "ab"[number % 2], "val"] for number in range(4)])

    def run(*arguments, output="out.safetensors", weights="random:0", arch=tiny_arch):
        done = xmir(
            *("train", "labels.csv", "--arch", arch, "--weights", weights, "--per-class", 4),
            *("--epochs", 1, "--device", "cpu", "-o", output, *arguments),
        )
        assert done.code == 0, done.stderr
        return Path(output)

    return run


def raw(checkpoint: Path) -> torch.Tensor:
    """The raw embeddings [16, D] of the training images by a network that is read again."""
    embedder = load_embedder(resolve_model(ModelChoice(str(checkpoint))), "cpu")
    pictures = [read_picture(f"{number}.png") for number in range(16)]
    recipe = embedder.recipe
    images = torch.stack([to_input(view_picture(each, recipe), recipe) for each in pictures])
    return embedder.project(embedder.forward_features(images)).detach()


@pytest.mark.parametrize("head", [(), ("--head", 5)])
@pytest.mark.parametrize("arch", ["tiny.py:network", "tokens.py:class_token"])
def test_the_mean_of_the_training_images_is_taken_off(train, arch, head):
    arch = str(Path(__file__).parent.parent / "networks" / arch)
    plain = raw(train("--no-center", *head, output="plain.safetensors", arch=arch))
    made = raw(train(*head, arch=arch))
    torch.testing.assert_close(made, plain - plain.mean(dim=0), rtol=1e-5, atol=1e-6)


def test_of_many_images_the_mean_is_that_of_some_from_all_over(train, monkeypatch):
    monkeypatch.setattr(center, "_ENOUGH", 5)  # 16 images: every fourth
    plain = raw(train("--no-center", output="plain.safetensors"))
    made = raw(train())
    torch.testing.assert_close(made, plain - plain[::4].mean(dim=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_what_is_interrupted_while_it_is_centred_goes_on_to_the_same_bytes(
    train, monkeypatch, keep
):
    flags = ("--epochs", 3, "--keep", keep)
    expected = train(*flags).read_bytes()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    notes: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("xmir_cli.stories.train.find_mean", stop)
        patch.setattr(console, "note", notes.append)
        with pytest.raises(main._InterruptedError):
            train(*flags, output="cut.safetensors")
    state = "cut.safetensors.state.safetensors"
    assert notes[-1] == f"interrupted; what is done is kept in {state}: continue with --resume"
    assert train(*flags, "--resume", output="cut.safetensors").read_bytes() == expected


def test_training_may_go_on_from_a_centred_network(train):
    first = train()
    assert not np.allclose(read_tensors(first)[0]["head.after.0.mean"], 0)
    again = raw(train(weights=first, output="again.safetensors"))
    assert again.mean(dim=0).tolist() == pytest.approx([0] * 16, abs=1e-5)
    kept = read_tensors(train("--no-center", weights=first, output="kept.safetensors"))[0]
    np.testing.assert_array_equal(
        kept["head.after.0.mean"], read_tensors(first)[0]["head.after.0.mean"]
    )


def test_a_centred_network_embeds_answers_and_explains_itself(xmir, train):
    model = ("--model", train())
    assert xmir("embed", "labels.csv", *model, "-o", "e.parquet").code == 0
    assert xmir("index", "e.parquet", "-o", "i.xmir").code == 0
    hits = xmir("query", "-i", "i.xmir", "--top", 1, "--id", "3.png").stdout
    Path("hits.jsonl").write_text(hits)
    for method in ("activation", "gradcam", "occlusion", "bilrp", "weight-transfer"):
        made = xmir("saliency", "hits.jsonl", "--method", method, "-o", method)
        assert made.code == 0, made.stderr
        record = json.loads(made.stdout)
        assert record["similarity"] == pytest.approx(json.loads(hits)["similarity"], abs=1e-5)


@pytest.mark.parametrize("head", [(), ("--head", 7)])
@pytest.mark.parametrize("centered", ["--center", "--no-center"])
@pytest.mark.parametrize("arch", ["tiny.py:network", "tokens.py:class_token"])
def test_a_head_on_stored_vectors_is_that_behind_the_network(xmir, train, arch, head, centered):
    arch = str(Path(__file__).parent.parent / "networks" / arch)
    base = train(centered, *head, arch=arch)
    assert xmir("embed", "labels.csv", "--model", base, "-o", "e.parquet").code == 0
    short = ("--per-class", 4, "--steps", 3, "--head", 3)
    assert xmir("train", "e.parquet", *short, "-o", "h.safetensors").code == 0
    for source, name in (("e.parquet", "v"), ("labels.csv", "i")):
        made = xmir("embed", source, "--model", "h.safetensors", "-o", f"{name}.parquet")
        assert made.code == 0, made.stderr
    by_head, by_network = (read_embeddings(f"{name}.parquet").vectors for name in "vi")
    assert by_head == pytest.approx(by_network, abs=1e-5)


def test_the_description_says_centred_only_where_it_is_so():
    plain = ModelSpec("densenet121", "imagenet")
    assert "centered" not in plain.to_json()
    told = ModelSpec("densenet121", "imagenet", centered=True).to_json()
    assert ModelSpec.from_json(told, "here").centered
