"""Exact shares on networks that no plain pooling ends: as records, regions and averages."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NETWORKS = Path(__file__).parents[1] / "networks"
PLACES = {
    f"{NETWORKS / 'tokens.py'}:class_token": ("attention, deviations, gates", "tokens 4x4"),
    f"{NETWORKS / 'tokens.py'}:after_pooling": ("deviations, gates", "map 8x8"),
}
PARTS = ("places", "prefix", "rest", "residual")


@pytest.fixture(params=PLACES, ids=["tokens", "map"])
def network(request, xmir):
    """Six pictures of three labels, and their index e.xmir with feature maps."""
    lines = ["path,label"]
    for seed, name in enumerate("abcdef"):
        coarse = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(f"{name}.png")
        lines.append(f"{name}.png,{'xyz'[seed % 3]}")
    Path("labels.csv").write_text("\n".join(lines) + "\n")
    model = ["--arch", request.param, "--weights", "random:1", "--features", "--device", "cpu"]
    assert xmir("embed", "labels.csv", *model, "-o", "e.parquet").code == 0
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    return request.param


def hits(xmir, *more):
    return xmir("query", "a.png", "--index", "e.xmir", "--top", "3", *more)


def explain(xmir, *flags):
    result = xmir("saliency", *flags, "--no-overlay", stdin=hits(xmir).stdout)
    assert result.code == 0, result.stderr
    return result.records()


def test_records_say_what_the_similarity_is_made_of(xmir, network):
    for record in explain(xmir):  # without a method it is activation
        details = record["details"]
        assert (details["held"], details["layer"]) == PLACES[network]
        whole = sum(details[part] for part in PARTS)
        assert whole == pytest.approx(record["similarity_check"], abs=1e-6)
        grid = int(details["layer"].partition("x")[2])
        made = json.loads(Path(record["saliency"]).with_suffix(".json").read_text())["made_of"]
        stored = "stored_features" in made
        assert stored == ("map" in details["layer"])
        assert abs(details["residual"]) < (1e-3 if stored else 1e-5)
        assert np.load(record["saliency"]).mean(dtype=float) * grid**2 == pytest.approx(
            details["places"], abs=1e-5
        )


def test_tokens_ask_for_the_image_whatever_the_index_stores(xmir, network):
    plain = explain(xmir, "--method", "activation,weight-transfer")
    lines = hits(xmir).stdout
    for name in "bcdef":
        Path(f"{name}.png").unlink()
    later = xmir("saliency", "--force", "--no-overlay", stdin=lines)
    assert (later.code, len(later.records())) == ((0, 3) if "after" in network else (3, 1))
    assert len(plain) == 6


@pytest.mark.usefixtures("network")
def test_a_contrast_sums_to_the_difference(xmir):
    result = xmir("saliency", "--contrast", "next", "--no-overlay", stdin=hits(xmir).stdout)
    assert result.code == 3  # the last has no next
    for record in result.records():
        details = record["details"]
        for which in ("", "contrast_"):
            whole = sum(details[which + part] for part in PARTS)
            key = "contrast_similarity"
            expected = details[key] if which else record["similarity_check"]
            assert whole == pytest.approx(expected, abs=1e-6)


def test_points_share_out_the_places_of_the_other_image(xmir, network):
    whole = explain(xmir, "--bias", "drop")[1]["details"]["places"]
    cells = 4 if "class" in network else 8
    side = 64 // cells
    points = [
        explain(xmir, "--point", f"{side * x + side // 2},{side * y + side // 2}")[1]
        for x, y in ((0, 0), (1, 2))
    ]
    shares = [record["details"]["share"] for record in points]
    pairs = explain(xmir, "--matches", "1")[1]["details"]["matches"]
    assert pairs[0]["share"] > 0
    assert all(abs(share) < 10 * abs(whole) for share in shares)
    assert shares[0] != pytest.approx(shares[1], abs=1e-7)


@pytest.mark.usefixtures("network")
def test_regions_add_up_to_what_all_places_write(xmir):
    def relevance(region):
        records = hits(xmir, "--region", region).records()
        return {record["retrieved"]: record["relevance"] for record in records}

    left, right, both = (relevance(each) for each in ("0,0,32,64", "32,0,32,64", "0,0,64,64"))
    for name in left.keys() & right.keys() & both.keys():
        assert left[name] + right[name] == pytest.approx(both[name], abs=1e-6)
    assert left.keys() & right.keys() & both.keys()


def test_the_usual_average_of_classes_is_of_shares(xmir, network):
    result = xmir("diff-saliency", "labels.csv", "--arch", network, "--weights", "random:1")
    assert result.code == 0, result.stderr
    assert [record["method"] for record in result.records()] == ["activation"] * 3


def test_a_cache_keeps_what_places_write(xmir, network, monkeypatch):
    flags = ["--method", "bilrp", "--matches", "2", "--cache", "kept"]
    first = explain(xmir, *flags)
    if "after" in network:  # whose stored maps pass the head alone
        return
    monkeypatch.setattr("xmir_cli.affine.form.AffineForm.written", None)
    again = explain(xmir, *flags, "--force")
    assert again == first


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--layer", "5x5"], "--layer 5x5: no map of that size; there are "),
        (["--layer", "five"], "--layer: expected HxW such as 14x14, found five"),
        (["--path", "wide"], "--path: expected hops or direct, found wide"),
    ],
)
@pytest.mark.usefixtures("network")
def test_what_a_network_has_not_is_one_line(xmir, flags, error):
    result = xmir("saliency", "--no-overlay", *flags, stdin=hits(xmir).stdout)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"xmir: error: {error}")


def test_direct_writes_are_of_tokens_alone(xmir, network):
    result = xmir("saliency", "--no-overlay", "--path", "direct", stdin=hits(xmir).stdout)
    if "class" in network:
        details = result.records()[0]["details"]
        assert details["held"] == "attention, deviations"
        assert sum(details[part] for part in PARTS) == pytest.approx(1, abs=1e-6)
    else:
        assert result.stderr.startswith("xmir: error: --path direct: nothing is written directly")
        assert result.stderr.endswith("xmir: hint: Use --path hops.\n")


def test_an_earlier_map_shares_out_the_same(xmir, network):
    if "after" in network:
        for record in explain(xmir, "--layer", "16x16"):
            assert record["details"]["layer"] == "map 16x16"
            whole = sum(record["details"][part] for part in PARTS)
            assert whole == pytest.approx(record["similarity_check"], abs=1e-6)
            assert abs(record["details"]["residual"]) < 1e-5
