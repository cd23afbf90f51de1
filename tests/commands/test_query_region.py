"""`xmir query --region`: a part of the image asks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.gallery.engines import open_gallery
from xmir_cli.gallery.folder.manifest import read_index_manifest
from xmir_cli.model.loader import load_embedder
from xmir_cli.pictures.reading import read_image
from xmir_cli.pictures.view import to_input
from xmir_cli.retrieval.region import cell_shares

NETWORKS = Path(__file__).parents[1] / "networks" / "pooled.py"
WIDTH, HEIGHT = 60, 44
WHOLE = f"0,0,{WIDTH},{HEIGHT}"


def _draw(name, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
    image = Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)
    image.save(f"{name}.png")


@pytest.fixture
def make_index(xmir):
    def make(network, head=None):
        """Five pictures and their index e.xmir."""
        for seed, name in enumerate("abcde"):
            _draw(name, seed)
        flags = ["--arch", f"{NETWORKS}:{network}", "--weights", "random:3", "--device", "cpu"]
        heads = [] if head is None else ["--head", head]
        done = xmir("embed", *(f"{n}.png" for n in "abcde"), *flags, *heads, "-o", "e.parquet")
        assert (done.code, done.stderr) == (0, "")
        assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
        return read_index_manifest(Path("e.xmir")).model

    return make


def _by_id(records):
    return {record["meta"]["id"]: record for record in records}


@pytest.mark.parametrize("head", [None, 5])
@pytest.mark.parametrize("network", ["average", "largest", "generalised", "padded"])
def test_the_parts_of_an_image_add_up_to_its_similarities(xmir, make_index, network, head):
    make_index(network, head)
    plain = xmir("query", "a.png").records()
    whole = xmir("query", "a.png", "--region", WHOLE).records()
    assert [r["retrieved"] for r in whole] == [r["retrieved"] for r in plain]
    for record, known in zip(whole, plain, strict=True):
        assert record["similarity"] == pytest.approx(known["similarity"], abs=1e-6)
        assert record["relevance"] == pytest.approx(known["similarity"], abs=1e-5)
        assert record["share"] == pytest.approx(1, abs=1e-5)
    halves = [
        _by_id(xmir("query", "a.png", "--region", region).records())
        for region in (f"0,0,23,{HEIGHT}", f"23,0,{WIDTH - 23},{HEIGHT}")
    ]
    for record in plain:
        total = sum(half[record["meta"]["id"]]["relevance"] for half in halves)
        assert total == pytest.approx(record["similarity"], abs=1e-5)


def test_relevance_is_the_sum_over_the_cells_in_the_region(xmir, make_index):
    spec = make_index("average", 5)
    records = xmir("query", "a.png", "--region", "10,5,21.5,30").records()

    embedder = load_embedder(spec, "cpu")
    view = read_image("a.png", embedder.recipe).view
    left, top, width, height = view.crop.roi
    with torch.no_grad():
        features = embedder.forward_features(to_input(view, embedder.recipe)[None])
        cells = embedder.cells(features)[0].double() / embedder.project(features).norm()
    part = torch.zeros(5, dtype=torch.float64)
    for place, cell in enumerate(cells):
        row, column = divmod(place, 8)
        x, y = left + column * width / 8, top + row * height / 8
        wide = max(0, min(x + width / 8, 31.5) - max(x, 10))
        high = max(0, min(y + height / 8, 35) - max(y, 5))
        part += cell * wide * high / (width / 8 * height / 8)
    for record in records:
        other = read_image(record["retrieved"], embedder.recipe).input
        expected = float(part @ embedder.embed(other[None])[0].double())
        assert record["relevance"] == pytest.approx(expected, abs=1e-6)
        assert record["share"] == record["relevance"] / record["similarity"]
        assert record["region"] == [10, 5, 21.5, 30]
    order = [record["relevance"] for record in records]
    assert order == sorted(order, reverse=True)


def test_each_half_of_a_picture_finds_the_picture_of_its_colour(xmir, make_index):
    make_index("average")
    colours = {"r": "red", "g": "lime", "b": "blue"}
    for name, colour in colours.items():
        Image.new("RGB", (WIDTH, HEIGHT), colour).save(f"{name}.png")
    flags = ["--arch", f"{NETWORKS}:average", "--weights", "random:3", "--device", "cpu"]
    xmir("embed", "r.png", "g.png", "b.png", *flags, "-o", "c.parquet")
    xmir("index", "c.parquet", "-o", "c.xmir")
    picture = Image.new("RGB", (WIDTH, HEIGHT), "red")
    picture.paste("blue", (30, 0, WIDTH, HEIGHT))
    picture.save("new.png")
    for region, found in ((f"0,0,28,{HEIGHT}", "r.png"), (f"32,0,28,{HEIGHT}", "b.png")):
        result = xmir("query", "new.png", "--region", region, "--top", "1", "--index", "c.xmir")
        assert result.records()[0]["meta"]["id"] == found


def test_several_images_are_each_asked_by_that_region_and_unfit_ones_are_skipped(xmir, make_index):
    make_index("average")
    Image.new("RGB", (30, 30), "gray").save("small.png")
    result = xmir("query", "a.png", "small.png", "b.png", "--region", "20,5,30,8", "--top", "1")
    assert result.code == 3
    assert [record["query"] for record in result.records()] == ["a.png", "b.png"]
    assert "skipped small.png: region-outside: reaches 50, the image ends at 30" in result.stderr
    result = xmir("query", "a.png", "--region", "0,0,3,9")
    assert (result.code, result.stdout) == (5, "")
    assert (
        "skipped a.png: region-not-seen: the network sees 35.5556 x 35.2 pixels from"
        in result.stderr
    )


def test_a_region_without_features_has_nothing_to_ask(xmir, make_index, monkeypatch):
    make_index("average")
    monkeypatch.setattr("xmir_cli.retrieval.image_queries.cell_shares", lambda *_: np.zeros((8, 8)))
    result = xmir("query", "a.png", "--region", WHOLE)
    assert result.code == 5
    assert "skipped a.png: region-blank" in result.stderr


def test_an_embedding_that_nothing_held_makes_affine_has_no_parts(xmir, make_index):
    make_index("waves")
    assert xmir("query", "a.png").code == 0
    result = xmir("query", "a.png", "--region", WHOLE)
    assert (result.code, result.stdout) == (6, "")
    assert result.stderr.startswith("xmir: error: --region: no exact shares of this network")
    assert "; sin is not affine, and xmir has no rule for it\n" in result.stderr
    assert result.stderr.endswith("xmir: hint: Ask with the whole image, or crop it.\n")


def test_the_parts_of_an_opaque_embedding_are_what_its_places_write(xmir, make_index):
    make_index("opaque")  # the first cell of the map, which is the picture's upper left corner
    (corner, whole), elsewhere = (
        [
            xmir("query", "a.png", "--region", region, "--top", "1").records()[0]["similarity"]
            for region in ("0,0,30,30", WHOLE)
        ],
        xmir("query", "a.png", "--region", "40,30,10,10"),
    )
    assert corner == pytest.approx(whole)
    assert "skipped a.png: region-blank" in elsewhere.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ["--id", "a"],
        ["--vector", "v.npy"],
        ["--all"],
        ["--like", "a"],
        ["a.png", "--like", "b"],
        ["a.png", "--unlike", "b"],
        ["a.png", "--id", "b"],
        ["a.png", "--region", "1,2,3"],
        ["a.png", "--region", "1,2,0,3"],
    ],
)
def test_a_region_is_of_image_files_only(xmir, flags):
    result = xmir("query", "--index", "a.xmir", "--region", WHOLE, *flags)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("xmir: error: --region")


def test_maps_are_made_of_what_a_region_found(xmir, make_index):
    make_index("average")
    asked = xmir("query", "a.png", "--region", "10,5,20,30", "--top", "2")
    mapped = xmir("saliency", "--method", "activation", "--device", "cpu", stdin=asked.stdout)
    assert (mapped.code, mapped.stderr) == (0, "")
    for before, after in zip(asked.records(), mapped.records(), strict=True):
        assert {key: after[key] for key in before if key != "schema"} == {
            key: value for key, value in before.items() if key != "schema"
        }
        assert after["similarity_check"] == pytest.approx(before["similarity"], abs=1e-5)


def test_a_table_shows_relevance_and_share(xmir, make_index):
    make_index("average")
    tsv = xmir("query", "a.png", "--region", WHOLE, "--format", "tsv").stdout.splitlines()
    assert tsv[0].split("\t")[:4] == ["rank", "relevance", "similarity", "share"]
    assert tsv[1].split("\t")[:4] == ["1", "1.0000", "1.0000", "1.0000"]
    tsv = xmir("query", "a.png", "--region", WHOLE, "--center", "--format", "tsv").stdout
    assert tsv.split("\t")[:5] == ["rank", "relevance", "similarity", "centered", "share"]


def _left(name):
    """The mean of an index, and what is left of each of its rows at length 1, in float64."""
    gallery = open_gallery(name)
    (everything,) = gallery.iterate(len(gallery), ["id"])
    rows = everything.vectors.astype(np.float64)
    left = rows - rows.mean(axis=0)
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    return rows.mean(axis=0), dict(zip(everything.columns["id"].to_pylist(), left, strict=True))


def test_a_centred_part_has_its_share_of_the_centred_similarity(xmir, make_index):
    spec = make_index("average", 5)
    mean, left = _left("e.xmir")
    region = "10,5,21.5,30"
    records = xmir("query", "a.png", "--region", region, "--center").records()
    assert len(records) == 5
    embedder = load_embedder(spec, "cpu")
    reading = read_image("a.png", embedder.recipe)
    with torch.no_grad():
        features = embedder.forward_features(reading.input[None])
        cells = embedder.cells(features)[0].double() / embedder.project(features).norm()
    crop = reading.view.crop
    box = tuple(map(float, region.split(",")))
    shares = cell_shares(box, crop.roi, crop.image_size, features.shape[2:])
    part = (shares.reshape(-1)[:, None] * cells.numpy()).sum(axis=0)
    own = embedder.embed(reading.input[None])[0].double().numpy() - mean
    size = np.linalg.norm(own)
    for record in records:
        other = left[record["meta"]["id"]]
        assert record["relevance"] == pytest.approx(float(part @ other) / size, abs=1e-5)
        assert record["centered"] == pytest.approx(float(own @ other) / size, abs=1e-5)
        assert len(record["center"]) == 64
        if record["centered"] > 0:
            assert record["share"] == record["relevance"] / record["centered"]
        else:
            assert record["share"] is None
    order = [record["relevance"] for record in records]
    assert order == sorted(order, reverse=True)
    assert max(record["centered"] for record in records) == pytest.approx(1, abs=1e-5)


def test_the_centred_parts_and_the_constant_add_up_to_the_centred_similarity(xmir, make_index):
    make_index("average")
    halves = [
        _by_id(xmir("query", "a.png", "--region", region, "--center").records())
        for region in (f"0,0,23,{HEIGHT}", f"23,0,{WIDTH - 23},{HEIGHT}")
    ]
    found = xmir("saliency", "--method", "activation", "--center", "--on", "query", "--no-overlay",
        "--device", "cpu", stdin=xmir("query", "a.png", "--region", WHOLE, "--center").stdout,
    ).records()  # fmt: skip
    for record in found:
        parts = [half[record["meta"]["id"]]["relevance"] for half in halves]
        total = sum(parts) + record["details"]["mean"]
        assert total == pytest.approx(record["centered"], abs=1e-5)
        assert record["details"]["centered"] == pytest.approx(record["centered"], abs=1e-5)
        assert record["settings"]["center"] == record["center"]


def test_a_centred_query_of_the_mean_itself_and_one_without_a_region_are_refused(xmir, make_index):
    make_index("average")
    result = xmir("query", "a.png", "--center")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[0] == "xmir: error: --center: only with --region"
    flags = ["--arch", f"{NETWORKS}:average", "--weights", "random:3", "--device", "cpu"]
    assert xmir("embed", "a.png", *flags, "-o", "one.parquet").code == 0
    assert xmir("index", "one.parquet", "-o", "one.xmir").code == 0
    result = xmir("query", "a.png", "-i", "one.xmir", "--region", WHOLE, "--center")
    assert (result.code, result.stdout) == (5, "")
    assert "skipped a.png: region-blank: the image is the mean of the index" in result.stderr
