"""`xmir saliency`: what goes beyond one map of one pair."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def images():
    names = []
    for seed, name in enumerate(("a.png", "b.png", "c.png", "d.png")):
        coarse = np.random.default_rng(seed).integers(0, 255, (5, 6), dtype=np.uint8)
        Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC).save(name)
        names.append(name)
    return names


@pytest.fixture
def network(tiny_arch):
    return ("--arch", tiny_arch, "--weights", "random:1")


@pytest.fixture
def ranking(xmir, images, network):
    """Records as `xmir query` writes them: b, c and d for the query a."""
    flags = [part for image in images[1:] for part in ("--image", image)]
    found = xmir("saliency", "--query", images[0], *flags, *network, "--method", "uniform")
    kept = ("query", "retrieved", "similarity", "model")
    labels = ("flu", "flu", "normal")
    return [
        {**{key: record[key] for key in kept}, "rank": rank, "retrieved_label": label}
        for rank, (record, label) in enumerate(zip(found.records(), labels, strict=True), 1)
    ]


def jsonl(records):
    return "".join(f"{json.dumps(record)}\n" for record in records)


def cell_sum(record):
    return float(np.load(record["saliency"]).astype(np.float64).mean()) * 64


def test_contrast_with_the_next_result_sums_to_the_difference_of_similarities(xmir, ranking):
    result = xmir(
        "saliency", "--method", "activation", "--on", "query", "--contrast", "next",
        stdin=jsonl(ranking),
    )  # fmt: skip
    assert result.code == 3
    assert "no-contrast: no result of this query comes after it" in result.stderr
    similarities = [record["similarity"] for record in ranking]
    for place, record in enumerate(result.records()):
        assert record["contrast"] == ranking[place + 1]["retrieved"]
        gap = similarities[place] - similarities[place + 1]
        assert cell_sum(record) == pytest.approx(gap, abs=1e-5)
        assert len(record["settings"]["contrast"]) == 64


def test_contrast_with_another_label_and_with_a_file(xmir, ranking, images):
    line = jsonl(ranking)
    flags = ("saliency", "--method", "activation", "--contrast")
    by_label = xmir(*flags, "label", stdin=line).records()
    assert [record["contrast"] for record in by_label] == [
        ranking[place]["retrieved"] for place in (2, 2, 0)
    ]
    by_file = xmir(*flags, images[3], stdin=line).records()
    assert [record["contrast"] for record in by_file] == ["d.png"] * 3
    np.testing.assert_array_equal(np.load(by_file[0]["saliency"]), np.load(by_label[0]["saliency"]))
    for record in by_file:
        gap = record["similarity"] - record["details"]["contrast_similarity"]
        assert cell_sum(record) == pytest.approx(gap, abs=1e-5)


def test_a_hit_on_the_query_itself_is_contrasted_with_the_others(xmir, ranking, images):
    itself = {**ranking[0], "retrieved": ranking[0]["query"], "rank": 1, "similarity": 1.0}
    records = jsonl([{**itself, "retrieved_label": "flu"}, *ranking])
    for which, place in (("next", 0), ("label", 2)):
        flags = ("saliency", "--method", "activation", "--contrast", which)
        first, *others = xmir(*flags, stdin=records).records()
        assert (first["query"], first["contrast"]) == (images[0], ranking[place]["retrieved"])
        assert cell_sum(first) == pytest.approx(1 - ranking[place]["similarity"], abs=1e-5)
        assert len(others) == (2 if which == "next" else 3)


def test_maps_of_scored_records_carry_nothing_of_earlier_stages(xmir, ranking):
    flags = ("saliency", "--method", "activation")
    earlier = xmir(*flags, "--contrast", "label", "--matches", "2", stdin=jsonl(ranking)).stdout
    scored = xmir("causal-metric", "--control", "center", "--curves", "c", stdin=earlier).stdout
    again = xmir(*flags, stdin=scored).records()
    fresh = xmir(*flags, stdin=jsonl(ranking)).records()
    for one, other in zip(again, fresh, strict=True):
        identities = {"query_identity", "retrieved_identity"}
        assert one.keys() - identities == other.keys() - identities
        assert (one["settings"], one["details"]) == (other["settings"], other["details"])


def test_contrast_sees_a_whole_ranking_whatever_the_batch(xmir, ranking):
    flags = ("saliency", "--method", "activation", "--contrast", "label", "--batch", "1")
    assert len(xmir(*flags, stdin=jsonl(ranking)).records()) == 3


def test_unreadable_contrast_is_named(xmir, ranking):
    result = xmir(
        "saliency", "--method", "center", "--contrast", "gone.png", stdin=jsonl(ranking[:1])
    )
    assert result.code == 5
    assert "skipped line 1: missing: no such file (contrast gone.png)" in result.stderr


def test_matches_are_in_the_record_and_on_both_pictures(xmir, ranking):
    flags = ("saliency", "--method", "activation", "--on", "both")
    line = jsonl(ranking[:1])
    plain = xmir(*flags, stdin=line).records()
    records = xmir(*flags, "--matches", "3", stdin=line).records()
    first, second = (record["details"]["matches"] for record in records)
    assert [(each["query"], each["retrieved"]) for each in first] == [
        (each["query"], each["retrieved"]) for each in second
    ]
    assert len(first) == 3
    for match in first:
        assert match["share"] <= first[0]["share"]
        for box in (match["query"], match["retrieved"]):
            # about 80 of 96 x 80 pixels are seen, on an 8 x 8 grid
            assert box[2:] == pytest.approx([10, 10], abs=0.2)
    for record, without in zip(records, plain, strict=True):
        np.testing.assert_array_equal(np.load(record["saliency"]), np.load(without["saliency"]))
        assert Path(record["overlay"]).read_bytes() != Path(without["overlay"]).read_bytes()


def test_lost_overlay_gets_its_boxes_again(xmir, ranking):
    flags = ("saliency", "--method", "activation", "--matches", "2")
    [first] = xmir(*flags, stdin=jsonl(ranking[:1])).records()
    drawn = Path(first["overlay"]).read_bytes()
    Path(first["overlay"]).unlink()
    [again] = xmir(*flags, stdin=jsonl(ranking[:1])).records()
    assert again == first
    assert Path(first["overlay"]).read_bytes() == drawn


def test_point_is_a_pixel_of_the_query_on_disk(xmir, ranking):
    flags = ("saliency", "--method", "activation")
    line = jsonl(ranking[:1])
    whole = cell_sum(xmir(*flags, stdin=line).records()[0])
    # the middles of the 8 x 8 cells of the 80 x 80 pixels that are seen
    shares = [
        xmir(*flags, "--point", f"{x:g},{y:g}", stdin=line).records()[0]["details"]["share"]
        for x in np.arange(8) * 10 + 12.5
        for y in (4.5, 74.5)
    ]
    assert 0 < sum(shares) < whole
    result = xmir(*flags, "--point", "2,40", stdin=line)
    assert result.code == 2
    assert "--point 2,40: outside what the network sees of the image" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            "--method activation --point 1,2",
            "--contrast: a --point of one image is nowhere in another",
        ),
        (
            "--method attention --tuple triplet --negative a.png",
            "--contrast: a contrast has no negatives",
        ),
    ],
)
def test_contrast_with_what_cannot_be_contrasted_is_refused(xmir, flags, message):
    result = xmir("saliency", "--contrast", "next", *flags.split(), stdin="a.png\n")
    assert result.code == 2
    assert message in result.stderr


def test_new_methods_go_through_the_front_door(xmir, ranking):
    methods = "gradcam,rise,integrated-gradients"
    result = xmir(
        "saliency",
        "--method",
        methods,
        "--masks",
        "20",
        "--path-steps",
        "4",
        stdin=jsonl(ranking[:1]),
    )
    assert result.code == 0, result.stderr
    assert [record["method"] for record in result.records()] == methods.split(",")
    assert [record["evaluations"] for record in result.records()] == [0, 20, 5]
