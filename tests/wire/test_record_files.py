"""A folder with records and the files they name can be moved."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def study(xmir, tiny_arch, monkeypatch) -> Path:
    """A folder `study` with images, an index, maps and records of them, made in that folder."""
    folder = Path("study").absolute()
    (folder / "images").mkdir(parents=True)
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"images/{seed}.png")
    with monkeypatch.context() as inside:
        inside.chdir(folder)
        network = ["--arch", tiny_arch, "--weights", "random:0"]
        assert xmir("embed", "images", *network, "-o", "a.parquet").code == 0
        assert xmir("index", "a.parquet", "-o", "a.xmir").code == 0
        asked = xmir("query", "images/0.png", "-i", "a.xmir", "--top", 2)
        # a table of one's own, whose paths start at its folder
        hits = [
            {**hit, "retrieved": f"images/{Path(hit['retrieved']).name}"} for hit in asked.records()
        ]
        Path("hits.jsonl").write_text("".join(json.dumps(hit) + "\n" for hit in hits))
        made = xmir("saliency", "hits.jsonl", "--method", "activation", "-o", "maps")
        assert made.code == 0, made.stderr
        Path("maps.jsonl").write_text(made.stdout)
    return folder


def test_records_are_scored_and_drawn_where_they_were_moved_to(xmir, study: Path):
    before = xmir("causal-metric", study / "maps.jsonl", "--curve-steps", 4).records()
    moved = Path("elsewhere/deep")
    moved.parent.mkdir()
    shutil.move(study, moved)
    after = xmir("causal-metric", moved / "maps.jsonl", "--curve-steps", 4)
    assert after.code == 0, after.stderr
    scored = [record["insertion"] for record in after.records()]
    assert scored == [record["insertion"] for record in before]
    assert {record["retrieved"] for record in after.records()} <= {
        f"{moved}/images/{number}.png" for number in range(3)
    }
    page = xmir(
        "montage", "-o", "page.png", stdin=after.stdout
    )  # what goes on fits the folder here
    assert (page.code, page.stderr.count("skipped")) == (0, 0)


def test_a_baseline_is_met_by_what_the_images_are_and_not_by_their_paths(xmir, study: Path):
    scored = xmir("causal-metric", study / "maps.jsonl", "--curve-steps", 4)
    Path("before.jsonl").write_text(scored.stdout)
    renamed = Path("renamed")
    shutil.move(study, renamed)
    for number in range(3):
        (renamed / f"images/{number}.png").rename(renamed / f"images/case-{number}.png")
    text = (renamed / "maps.jsonl").read_text().replace("images/", "images/case-")
    (renamed / "maps.jsonl").write_text(text)
    again = xmir(
        "causal-metric", renamed / "maps.jsonl", "--curve-steps", 4, "--baseline", "before.jsonl"
    )
    assert (again.code, "not met" in again.stderr) == (0, False), again.stderr


def test_a_baseline_of_an_earlier_xmir_says_what_it_lacks(xmir, study: Path):
    scored = xmir("causal-metric", study / "maps.jsonl", "--curve-steps", 4).records()
    for record in scored:
        del record["query_identity"]
    Path("before.jsonl").write_text("".join(json.dumps(record) + "\n" for record in scored))
    again = xmir(
        "causal-metric", study / "maps.jsonl", "--curve-steps", 4, "--baseline", "before.jsonl"
    )
    assert again.code == 5
    assert again.stderr.startswith(
        "xmir: error: before.jsonl: line 1: query_identity, retrieved_identity: expected the "
        "hashes of the images, found nothing\n"
    )
