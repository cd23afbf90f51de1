"""Records are about images: another image at the recorded path is told by every command."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COMMANDS = {
    "saliency": ("saliency", "--method", "activation", "-f"),
    "causal-metric": ("causal-metric", "--curve-steps", "4"),
    "causal-metric --model": (
        "causal-metric",
        "--curve-steps",
        "4",
        "--model",
        "other.safetensors",
    ),
    "sanity-check": ("sanity-check", "--method", "activation", "--seeds", "1"),
    "montage": ("montage", "-o", "page.png"),
}


def draw(path: str, seed: int) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def touch_one_pixel(path: str) -> None:
    image = Image.open(path)
    red, green, blue = image.getpixel((0, 0))
    image.putpixel((0, 0), ((red + 1) % 256, green, blue))
    image.save(path)


@pytest.fixture
def maps(xmir, tiny_arch: str) -> str:
    """Saliency records of a.png with b.png and c.png."""
    for seed, name in enumerate("abc"):
        draw(f"{name}.png", seed)
    network = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")
    images = ("--query", "a.png", "--image", "b.png", "--image", "c.png")
    return xmir("saliency", *network, "--method", "activation", *images, "-o", "maps").stdout


@pytest.mark.parametrize("command", [name for name in COMMANDS if "--model" not in name])
def test_an_image_with_one_other_pixel_is_changed(xmir, maps: str, command: str):
    touch_one_pixel("b.png")
    result = xmir(*COMMANDS[command], stdin=maps)
    assert result.code == 3
    assert "changed: another image than when the record was made (" in result.stderr
    assert "b.png)" in result.stderr


def test_another_network_that_scores_does_not_excuse_another_image(xmir, maps: str, tiny_arch: str):
    draw("b.png", 9)
    for seed, name in enumerate("defg"):
        draw(f"{name}.png", 20 + seed)
    Path("m.csv").write_text("path,label\nd.png,x\ne.png,x\nf.png,y\ng.png,y\n")
    train = ("train", "m.csv", "--arch", tiny_arch, "--weights", "random:0", "--per-class", "2")
    assert xmir(*train, "--epochs", "1", "-o", "other.safetensors", "--device", "cpu").code == 0
    result = xmir(*COMMANDS["causal-metric --model"], stdin=maps)
    assert result.code == 3
    assert "changed: another image" in result.stderr


def test_a_control_is_told_apart_from_the_recorded_negative_alone(xmir, maps: str, tiny_arch: str):
    assert maps
    network = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")
    asked = ("--query", "a.png", "--image", "b.png", "--negative", "c.png")
    made = xmir("saliency", *network, "--method", "attention", "--tuple", "triplet", *asked).stdout
    score = ("causal-metric", "--curve-steps", "4", "--control", "random-model", "--seed", "1")
    assert xmir(*score, stdin=made).code == 0
    touch_one_pixel("c.png")
    result = xmir(*score, stdin=made)
    assert result.code == 5
    assert "changed: another image than when the record was made (c.png)" in result.stderr


def test_another_image_beside_the_records_is_not_taken_for_the_recorded_one(xmir, maps: str):
    draw("sub/b.png", 9)
    records = [json.loads(line) for line in maps.splitlines()]
    lines = [json.dumps({**each, "retrieved": Path(each["retrieved"]).name}) for each in records]
    Path("sub/s.jsonl").write_text("\n".join(lines))
    result = xmir("causal-metric", "sub/s.jsonl", "--curve-steps", "4")
    assert result.code == 3
    assert "changed: another image than when the record was made (sub/b.png)" in result.stderr
    assert [record["retrieved"] for record in result.records()] == ["c.png"]


@pytest.mark.parametrize("fault", [touch_one_pixel, lambda path: Path(path).unlink()])
def test_a_baseline_is_not_met_when_an_image_is_lost_or_changed(xmir, maps: str, fault):
    scored = xmir("causal-metric", "--curve-steps", "4", stdin=maps)
    Path("base.jsonl").write_text(scored.stdout)
    score = ("causal-metric", "--curve-steps", "4", "--baseline", "base.jsonl")
    assert xmir(*score, stdin=maps).code == 0
    fault("b.png")
    result = xmir(*score, stdin=maps)
    assert result.code == 4
    assert "could not be scored any more" in result.stderr


@pytest.mark.parametrize("empty", [{"negatives": [""]}, {"contrast": [""]}, {"query": [""]}])
def test_an_empty_path_in_a_list_does_not_end_the_run(xmir, maps: str, empty):
    first, second = maps.splitlines()
    Path("sub").mkdir()
    Path("sub/s.jsonl").write_text(json.dumps(json.loads(first) | empty) + "\n" + second + "\n")
    result = xmir("causal-metric", "sub/s.jsonl", "--curve-steps", "4")
    assert result.code in {0, 3}
    assert json.loads(second)["retrieved"] in {each["retrieved"] for each in result.records()}


def test_records_among_their_maps_move_with_them(xmir, maps: str):
    Path("maps/s.jsonl").write_text(maps)
    Path("maps").rename("moved")
    result = xmir("causal-metric", "moved/s.jsonl", "--curve-steps", "4")
    assert result.code == 0
    assert {Path(record["saliency"]).parent.name for record in result.records()} == {"moved"}
