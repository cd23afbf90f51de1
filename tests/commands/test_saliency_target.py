"""`xmir saliency --target`: maps of a concept, and what scores them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.model.loader import load_embedder
from xmir_cli.pictures.reading import read_image
from xmir_cli.store.concepts import read_concept, write_concept

TOKENS = Path(__file__).parents[1] / "networks" / "tokens.py"
SIDE, MARK = 64, 16


def _draw(path, mark=None, seed=0):
    """Noise, with a bright square of 16 pixels at (left, top) if there is one."""
    pixels = np.random.default_rng(seed).integers(40, 90, (SIDE, SIDE), np.uint8)
    if mark is not None:
        left, top = mark
        pixels[top : top + MARK, left : left + MARK] = 250
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def _place(seed):
    left, top = np.random.default_rng(seed).integers(0, 4, 2)
    return int(left) * MARK, int(top) * MARK


@pytest.fixture
def fit(xmir):
    def run(architecture, size):
        """Twelve pictures of each kind, and mark.npy."""
        for seed in range(12):
            _draw(Path(f"mark/{seed}.png"), _place(seed), seed)
            _draw(Path(f"none/{seed}.png"), None, 100 + seed)
        flags = ["--arch", architecture, "--weights", "random:3", "--device", "cpu"]
        flags += ["--input-size", size, "--permutations", 19]
        both = ["--positive", "mark", "--negative", "none"]
        result = xmir("concept", "fit", *both, *flags, "-o", "mark.npy")
        assert result.code == 0, result.stderr
        return result.records()[0]

    return run


@pytest.mark.parametrize("network", ["cnn", "vit"])
def test_the_map_of_a_planted_mark_lights_up_where_it_is(xmir, fit, tiny_arch, network):
    """New pictures: the peak lies in the mark, which has a sixteenth of the area, in most."""
    size = 64 if network == "cnn" else 32
    fit(tiny_arch if network == "cnn" else f"{TOKENS}:class_token", size)
    hits = []
    for seed in range(20, 32):
        name = Path(f"new/{seed}.png")
        _draw(name, _place(seed), seed)
        result = xmir("saliency", "--target", "mark.npy", "--device", "cpu", stdin=f"{name}\n")
        assert (result.code, result.stderr) == (0, "")
        (record,) = result.records()
        saliency = np.load(record["saliency"])
        top, left = np.array(np.unravel_index(saliency.argmax(), saliency.shape)) * (SIDE // size)
        x, y = _place(seed)
        hits.append(x <= left < x + MARK and y <= top < y + MARK)
    assert np.mean(hits) > 0.6, hits


def test_a_map_shares_out_how_far_along_the_concept_an_image_lies(xmir, fit, tiny_arch):
    model = fit(tiny_arch, 64)["model"]
    _draw(Path("a.png"), (16, 16), 5)
    (record,) = xmir(
        "saliency", "--target", "mark.npy", "--device", "cpu", stdin="a.png\n"
    ).records()
    concept = read_concept("mark.npy")
    embedder = load_embedder(concept.model, "cpu")
    own = embedder.embed(read_image("a.png", embedder.recipe).input[None])[0].numpy()
    along = float(own.astype(np.float64) @ concept.direction)
    assert record["target_similarity"] == pytest.approx(along, abs=1e-6)
    assert abs(record["details"]["residual"]) < 1e-5
    assert record["target"] == str(Path("mark.npy").absolute())
    assert record["settings"]["concept"] == f"mark:{concept.sha256}"
    assert record["model"] == model
    assert record["similarity"] == pytest.approx(1)  # of the pair, which is the image with itself


@pytest.fixture
def hits(xmir, fit, tiny_arch):
    fit(tiny_arch, 32)
    flags = ["--arch", tiny_arch, "--weights", "random:3", "--device", "cpu"]
    xmir("embed", "mark", "none", *flags, "-o", "e.parquet")
    xmir("index", "e.parquet", "-o", "e.xmir")
    return xmir("query", "--id", "mark/0.png", "--top", "2", "--no-self").stdout


def test_records_are_mapped_for_the_concept_and_scored_for_it(xmir, hits):
    result = xmir("saliency", "--target", "mark.npy", "--on", "both", stdin=hits)
    assert (result.code, len(result.records())) == (0, 4)
    plain = xmir("saliency", stdin=hits).records()
    assert plain[0]["saliency"] != result.records()[0]["saliency"]
    scored = xmir("causal-metric", "--curve-steps", "4", stdin=result.stdout)
    assert (scored.code, scored.stderr) == (0, "")
    for record in scored.records():
        start = record["deletion_curve"]
        first = start[0][1] if isinstance(start[0], list) else start[0]
        assert first == pytest.approx(record["target_similarity"], abs=1e-4)
    drawn = xmir("montage", "-o", "m.png", stdin=result.stdout)
    assert drawn.code == 0
    Path("mark.json").unlink()
    lost = xmir("causal-metric", stdin=result.stdout)
    assert lost.code == 5
    assert "mark.json is not beside it" in lost.stderr


def _turn(sign, noise=0.0):
    """Fit mark.npy again: its direction the other way round, or another one."""
    concept = read_concept("mark.npy")
    direction = sign * concept.direction + noise * np.eye(len(concept.direction))[0]
    direction = (direction / np.linalg.norm(direction)).astype(np.float32)
    write_concept(Path("mark.npy"), direction, concept.read_shuffled(), concept.model, {})


def test_maps_of_a_concept_that_was_fitted_again_are_compared_and_it_is_said(xmir, hits):
    old = xmir("saliency", "--target", "mark.npy", stdin=hits).stdout
    asked = ("causal-metric", "--curve-steps", "4")
    before = xmir(*asked, stdin=old).stdout
    Path("before.jsonl").write_text(before)
    _turn(1, noise=0.1)
    new = xmir("saliency", "--target", "mark.npy", stdin=hits).stdout
    done = xmir(*asked, "--baseline", "before.jsonl", "--tolerance", "9", stdin=new)
    assert (done.code, len(done.records())) == (0, 2), done.stderr
    assert done.stderr == (
        "xmir: note: before.jsonl: the concept mark was another one, of the same name\n"
    )
    Path("after.jsonl").write_text(done.stdout)
    both = xmir("compare", "before.jsonl", "after.jsonl", "--summary")
    assert (both.code, both.records()[0]["compared"]) == (0, 2)
    assert "note: 2 maps are of concepts that have one name, and are not the same" in both.stderr
    assert "other settings" not in both.stderr
    for end in ("npy", "json", "shuffled.npy"):
        if Path(f"mark.{end}").exists():
            Path(f"mark.{end}").rename(f"sign.{end}")
    other = xmir("saliency", "--target", "sign.npy", stdin=hits).stdout
    strange = xmir(*asked, "--baseline", "before.jsonl", stdin=other)
    assert (strange.code, "the name of a concept's file" in strange.stderr) == (5, True)
    Path("other.jsonl").write_text(xmir(*asked, stdin=other).stdout)
    none = xmir("compare", "before.jsonl", "other.jsonl")
    assert (none.code, "the name of a concept's file" in none.stderr) == (5, True)


def test_maps_of_two_concepts_are_compared_each_with_its_own(xmir, hits):
    concept = read_concept("mark.npy")
    runs = []
    for run, noise in (("old", 0), ("new", 0.1)):
        maps = ""
        for name, axis in (("mark", 0), ("other", 1)):
            direction = np.roll(concept.direction, axis) + noise
            unit = (direction / np.linalg.norm(direction)).astype(np.float32)
            write_concept(Path(f"{name}.npy"), unit, concept.read_shuffled(), concept.model, {})
            maps += xmir("saliency", "--target", f"{name}.npy", stdin=hits).stdout
        Path(f"{run}.jsonl").write_text(maps)
        runs.append([json.loads(line)["target_sha256"] for line in maps.splitlines()])
    assert not {*runs[0]} & {*runs[1]}
    both = xmir("compare", "old.jsonl", "new.jsonl", "--summary")
    assert both.code == 0
    rows = [(row["variant"], row["compared"], row["only_old"]) for row in both.records()]
    assert rows == [("concept mark", 2, 0), ("concept other", 2, 0)]


def test_a_map_without_any_similarity_to_lose_is_warned_of(xmir, hits):
    _turn(-1)
    maps = xmir("saliency", "--target", "mark.npy", stdin=hits)
    below = [record["target_similarity"] < 0 for record in maps.records()]
    assert all(below)
    for flags in ((), ("--summary",)):
        flags = (*flags, "--curve-steps", "4", "--max", "deletion=0.1")
        scored = xmir("causal-metric", *flags, stdin=maps.stdout)
        assert scored.code == 0
        assert scored.stderr == (
            "xmir: warning: 2 of 2 maps explain a similarity that is not above 0, which counts as "
            "0: a deletion of 0 says nothing of them\n"
        )


def test_hits_in_the_order_of_a_concept_are_said_to_be_explained_by_their_similarity(xmir, hits):
    flags = ["--id", "mark/0.png", "--top", "2", "--no-self", "--toward", "mark.npy:1"]
    moved = xmir("query", *flags).stdout
    result = xmir("saliency", stdin=moved)
    assert result.code == 0
    assert result.stderr.count("the maps explain similarity") == 1
    assert "--target FILE.npy maps where an image shows the concept" in result.stderr
    assert result.records()[0]["toward"] == ["mark.npy:1"]
    assert "explain" not in xmir("saliency", "--target", "mark.npy", stdin=moved).stderr
    assert "explain" not in xmir("saliency", stdin=hits).stderr


def test_what_has_no_map_of_a_concept_is_refused_in_one_line(xmir, hits):
    def refused(*flags):
        result = xmir("saliency", "--target", "mark.npy", *flags, stdin=hits)
        assert result.stdout == ""
        return result.code, result.stderr.splitlines()[0].removeprefix("xmir: error: ")

    alone = "with --target a concept is no image"
    assert refused("--center") == (2, f"--center: {alone}")
    assert refused("--contrast", "next") == (2, f"--contrast: {alone}")
    assert refused("--point", "1,1") == (2, f"--point: {alone}")
    old = xmir("saliency", "--target", "cosine", "--method", "gradcam", stdin=hits)
    assert "--target cosine: it is --gradient-of now" in old.stderr
    concept = read_concept("mark.npy")
    other = concept.model.__class__("tiny", "random:1", weights_sha256="cd" * 32)
    write_concept(Path("mark.npy"), concept.direction, concept.read_shuffled(), other, {})
    assert refused() == (
        5,
        "mark.npy: a concept of another model than that of the images",
    )
