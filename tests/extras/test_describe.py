"""Terms of images, and terms that two images share, on a model whose answer is known."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("open_clip", reason="needs the extra clip")
pytest.importorskip("transformers", reason="needs the extra hf")

from tests.extras.towers import write_sides

BRIGHT = {"left": (200, 20), "right": (20, 200), "both": (200, 200)}
TERMS = ("left", "right lung", "both")
SIDES = {"left": (1, 0), "right lung": (0, 1), "both": (1, 1)}


@pytest.fixture
def index(xmir, tmp_path):
    write_sides(tmp_path / "sides")
    for name, (left, right) in BRIGHT.items():
        pixels = np.full((32, 32), left, np.uint8)
        pixels[:, 16:] = right
        Image.fromarray(pixels).save(f"{name}.png")
    Path("terms.txt").write_text("\n".join([*TERMS, "", "left"]))
    names = [f"{name}.png" for name in BRIGHT]
    assert xmir("embed", *names, "--arch", "sides", "-o", "e.parquet").code == 0
    assert xmir("index", "e.parquet", "-o", "i.xmir").code == 0
    return "i.xmir"


def cosine(term, image):
    first, second = np.array(SIDES[term]), np.array(BRIGHT[image])
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


@pytest.mark.parametrize("model", [("--arch", "sides"), ("--index", "i.xmir"), ()])
@pytest.mark.usefixtures("index")
def test_the_nearest_terms_of_an_image_come_first(model, xmir):
    asked = ("describe", "left.png", "both.png", "--terms", "terms.txt", *model)
    result = xmir(*asked, "--top", "2")
    assert result.code == 0
    found = [(Path(r["retrieved"]).stem, r["rank"], r["query_text"]) for r in result.records()]
    assert found == [
        ("left", 1, "left"),
        ("left", 2, "both"),
        ("both", 1, "both"),
        ("both", 2, found[3][2]),  # left or right: rounding tells
    ]
    for record in result.records():
        expected = cosine(record["query_text"], Path(record["retrieved"]).stem)
        assert record["similarity"] == pytest.approx(expected, abs=1e-4)
        assert record["score"] == record["similarity"] <= 1
        assert record["schema"] == "xmir.description/1"
        assert "shared_with" not in record


def test_a_folder_that_moved_is_named_by_model(xmir, index):
    terms = ("--terms", "terms.txt", "--top", "1")
    expected = [
        r["query_text"] for r in xmir("describe", "left.png", "-i", index, *terms).records()
    ]
    records = xmir("query", "left.png", "-i", index, "--top", "1").stdout
    Path("r.jsonl").write_text(records)
    Path("sides").rename("moved")
    result = xmir("describe", "left.png", "-i", index, *terms)
    assert (result.code, "--model FOLDER" in result.stderr) == (6, True)
    for asked in (["left.png", "-i", index], ["left.png"], ["r.jsonl"]):
        found = xmir("describe", *asked, "--model", "moved", *terms)
        assert [r["query_text"] for r in found.records()] == expected


def test_a_pair_shares_what_both_of_its_images_show(xmir, index):
    hits = xmir("query", "left.png", "--top", "3", "--no-self", "-i", index)
    result = xmir("describe", "-", "--terms", "terms.txt", "--top", "3", stdin=hits.stdout)
    assert result.code == 0
    for hit in ("both", "right"):
        rows = [r for r in result.records() if Path(r["retrieved"]).stem == hit]
        scores = {term: min(cosine(term, "left"), cosine(term, hit)) for term in TERMS}
        assert {r["query_text"]: pytest.approx(r["score"], abs=1e-4) for r in rows} == scores
        assert [r["score"] for r in rows] == sorted((r["score"] for r in rows), reverse=True)
        for row in rows:
            term = row["query_text"]
            assert row["similarity"] == pytest.approx(cosine(term, hit), abs=1e-4)
            assert row["shared_similarity"] == pytest.approx(cosine(term, "left"), abs=1e-4)
            assert (row["shared_with"], row["index"]) == ("left.png", str(Path(index).absolute()))
    Path("hits.jsonl").write_text(hits.stdout)
    again = xmir("describe", "hits.jsonl", "--terms", "terms.txt", "--top", "3")
    assert [r["score"] for r in again.records()] == [r["score"] for r in result.records()]


def test_maps_of_a_shared_term_lie_in_both_images_where_it_is(xmir, index):
    hits = xmir("query", "left.png", "--top", "1", "--no-self", "-i", index).stdout
    asked = (
        "describe",
        "-",
        "--terms",
        "terms.txt",
        "--top",
        "3",
        "--maps",
        "occlusion,activation",
    )
    result = xmir(*asked, "--window-size", "8", "--stride", "8", stdin=hits)
    assert result.code == 0
    records = result.records()
    assert len(records) == 3 * 2 * 2  # terms, images, methods
    for record in records:
        saliency = np.load(record["saliency"]).clip(min=0)
        assert Path(record["overlay"]).is_file()
        if Path(record["retrieved"]).stem == "both" and record["query_text"] != "both":
            share = saliency[:, :16].sum() / saliency.sum()
            assert (share > 0.9) == (record["query_text"] == "left")
    images = {(record["query_text"], Path(record["retrieved"]).stem) for record in records}
    assert images == {(term, image) for term in TERMS for image in ("both", "left")}
    scores = [record["score"] for record in records if record["query_text"] == "left"]
    assert scores == pytest.approx([cosine("left", "both")] * 4, abs=1e-4)


@pytest.mark.usefixtures("index")
def test_terms_go_on_through_the_pipe(xmir):
    told = xmir("describe", "left.png", "--terms", "terms.txt", "--top", "1").stdout
    maps = xmir("saliency", "-", "--method", "occlusion", "--window-size", "8", stdin=told)
    assert maps.code == 0
    assert xmir("causal-metric", "-", "--curve-steps", "8", stdin=maps.stdout).code == 0
    assert xmir("montage", "-", "-o", "page.png", stdin=maps.stdout).code == 0


def test_a_query_in_words_has_the_terms_of_its_answer(xmir, index):
    hits = xmir("query", "--text", "right", "--top", "1", "-i", index).stdout
    records = xmir("describe", "-", "--terms", "terms.txt", "--top", "1", stdin=hits).records()
    assert [(Path(r["retrieved"]).stem, r["query_text"]) for r in records] == [
        ("right", "right lung")
    ]


@pytest.mark.usefixtures("index")
def test_templates_stand_around_the_terms(xmir):
    asked = ("describe", "left.png", "--terms", "terms.txt", "--template", "right {}", "--top", "1")
    (record,) = xmir(*asked).records()
    assert record["query_templates"] == ["right {}"]
    assert record["similarity"] == pytest.approx(cosine("right lung", "left"), abs=1e-4)


def test_what_cannot_be_described_is_left_out(xmir, index):
    hits = xmir("query", "left.png", "--top", "1", "--no-self", "-i", index).records()[0]
    lines = [
        json.dumps({**hits, "retrieved": "gone.png"}),
        json.dumps({**hits, "query_identity": "0" * 64}),
        "{}",
        json.dumps(hits),
    ]
    result = xmir("describe", "-", "--terms", "terms.txt", "--top", "1", stdin="\n".join(lines))
    assert (result.code, len(result.records())) == (3, 1)
    for cause in ("missing", "changed", "bad-record"):
        assert cause in result.stderr
    alone = xmir("describe", "gone.png", "--terms", "terms.txt")
    assert alone.code == 5
    assert "none of 1 inputs could be described" in alone.stderr


@pytest.mark.usefixtures("index")
def test_a_method_that_takes_no_words_is_named_by_the_flag(xmir):
    result = xmir("describe", "left.png", "--terms", "terms.txt", "--maps", "bilrp")
    assert result.code == 2
    error, hint = result.stderr.splitlines()
    assert error.startswith("xmir: error: --maps: bilrp pairs the regions of two images")
    assert hint == "xmir: hint: Use --maps occlusion or rise, which take an embedding alone."


def test_words_beside_an_image_are_said_to_be_left_out_once(xmir, index):
    asked = ("query", "left.png", "-i", index, "--text", "right lung", "--top", "2")
    records = xmir(*asked).stdout
    result = xmir("describe", "-", "--terms", "terms.txt", "--top", "1", stdin=records)
    plain = xmir("query", "left.png", "-i", index, "--top", "3").stdout
    alone = xmir("describe", "-", "--terms", "terms.txt", "--top", "1", stdin=plain)
    assert (result.code, alone.code, alone.stderr) == (0, 0, "")
    assert result.stderr == (
        "xmir: note: line 1: an image and words asked together; the terms are those that the two "
        "images share, whatever the words were\n"
    )
    found = {each["retrieved"]: each["score"] for each in result.records()}
    known = {each["retrieved"]: each["score"] for each in alone.records()}
    assert found
    assert all(score == pytest.approx(known[path]) for path, score in found.items())


def test_a_method_that_words_refuse_leaves_the_others_their_maps(xmir, index):
    asked = ("describe", "left.png", "--terms", "terms.txt", "--top", "2", "-i", index)
    result = xmir(*asked, "--maps", "activation,bilrp", "-o", "maps")
    assert result.code == 3
    assert [each["method"] for each in result.records()] == ["activation"] * 2
    warned, counted = result.stderr.splitlines()[-2:]
    reason = "bilrp pairs the regions of two images; words and concepts have none"
    assert warned == f"xmir: warning: bilrp is left out: {reason}"
    assert counted == "xmir: note: 1 described, 2 skipped (2 refused)"
