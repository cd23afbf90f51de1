"""`xmir saliency` with the feature maps of the records' index: no network, no files."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.model.embedder import Embedder

METHODS = "activation,attention,gradcam,bilrp,weight-transfer,center,uniform"
NAMES = "abcdef"
SIZES = [(96, 80), (40, 77), (33, 32), (64, 64), (50, 120), (32, 90)]


def picture(name: str, seed: int, size: tuple[int, int]) -> None:
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 6), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6 if name == "e" else 1  # displayed a quarter turn to the right
    image.save(f"{name}.png", exif=turned)


@pytest.fixture(params=[None, 4], ids=["pooled", "head"])
def indexes(request, xmir, tiny_arch):
    """with.xmir has feature maps, without.xmir has none; both hold six images of three labels."""
    lines = ["path,label"]
    for seed, (name, size) in enumerate(zip(NAMES, SIZES, strict=True)):
        picture(name, seed, size)
        lines.append(f"{name}.png,{'xyz'[seed % 3]}")
    Path("labels.csv").write_text("\n".join(lines) + "\n")
    model = ["--arch", tiny_arch, "--weights", "random:1"]
    model += ["--head", request.param] if request.param else []
    for name, flags in (("with", ["--features"]), ("without", [])):
        assert xmir("embed", "labels.csv", *model, *flags, "-o", f"{name}.parquet").code == 0
        assert xmir("index", f"{name}.parquet", "-o", f"{name}.xmir").code == 0


@pytest.fixture
def seen(monkeypatch):
    """How many images the network saw in each pass."""
    sizes = []
    plain = Embedder.forward_features

    def counted(self, images, job):
        sizes.append(len(images))
        return plain(self, images, job)

    monkeypatch.setattr(Embedder, "forward_features", counted)
    return sizes


def query(xmir, index, *what):
    return xmir("query", *(what or ["--all"]), "--index", f"{index}.xmir", "--top", 3).stdout


def close(first, second):
    one, other = np.load(first["saliency"]), np.load(second["saliency"])
    assert np.abs(one - other).max() <= 2e-3 * np.abs(other).max() + 1e-6


def made_of(record):
    return json.loads(Path(record["saliency"]).with_suffix(".json").read_text())["made_of"]


@pytest.mark.usefixtures("indexes")
def test_maps_are_those_of_the_network_but_for_float16(xmir, seen):
    flags = ("saliency", "--method", METHODS, "--on", "both")
    stored = xmir(*flags, stdin=query(xmir, "with"))
    assert (stored.code, seen) == (0, [])
    network = xmir(*flags, stdin=query(xmir, "without"))
    assert (network.code, sum(seen) > 0) == (0, True)
    pairs = list(zip(stored.records(), network.records(), strict=True))
    assert len(pairs) > 6 * 3 * 7
    for one, other in pairs:
        assert one["saliency"] != other["saliency"]  # the two kinds are never mixed up
        close(one, other)
        for key in ("roi", "image_size", "method", "explains", "retrieved"):
            assert one[key] == other[key]
        assert one["similarity_check"] == pytest.approx(other["similarity_check"], abs=1e-6)
        assert Path(one["overlay"]).is_file()
        assert made_of(one)["stored_features"] == ["query", "retrieved"]
        assert "stored_features" not in made_of(other)


@pytest.mark.usefixtures("indexes")
def test_activation_sums_to_the_similarity_and_says_by_how_much_not(xmir):
    for record in xmir("saliency", "--method", "activation", stdin=query(xmir, "with")).records():
        total = float(np.load(record["saliency"]).astype(np.float64).mean()) * 64
        assert total == pytest.approx(record["similarity"], abs=1e-3)
        residual = record["similarity_check"] - total
        assert record["details"]["residual"] == pytest.approx(residual, abs=1e-6)


@pytest.mark.usefixtures("indexes")
def test_without_overlays_the_files_may_be_gone(xmir, seen):
    records = query(xmir, "with")
    flags = ("saliency", "--method", "activation")
    drawn = xmir(*flags, "-o", "drawn", stdin=records).records()
    for name in NAMES:
        Path(f"{name}.png").unlink()
    refused = xmir(*flags, "-o", "bare", stdin=records)
    assert refused.code == 5
    assert "no such file; the index has its map: try without overlays" in refused.stderr
    found = xmir(*flags, "-o", "bare", "--no-overlay", stdin=records)
    assert (found.code, found.stderr, seen) == (0, "", [])
    assert {path.suffix for path in Path("bare").iterdir()} == {".npy", ".json"}
    for one, other in zip(found.records(), drawn, strict=True):
        assert one["overlay"] is None
        assert Path(one["saliency"]).read_bytes() == Path(other["saliency"]).read_bytes()
    paths = xmir(*flags, "-o", "bare", "--no-overlay", "--format", "paths", stdin=records).stdout
    assert paths.splitlines() == [record["saliency"] for record in found.records()]
    gone = xmir(*flags, "-o", "other", stdin=records)
    assert gone.code == 5
    assert "missing: no such file" in gone.stderr


@pytest.mark.usefixtures("indexes")
def test_overlays_are_added_to_maps_that_are_there(xmir):
    flags = ("saliency", "--method", "activation", "-o", "maps")
    records = query(xmir, "with")
    xmir(*flags, "--no-overlay", stdin=records)
    before = {path: path.stat().st_mtime_ns for path in Path("maps").iterdir()}
    drawn = xmir(*flags, stdin=records).records()
    assert all(Path(record["overlay"]).is_file() for record in drawn)
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())


@pytest.mark.usefixtures("indexes")
def test_a_new_query_passes_the_network_once_for_all_its_hits(xmir, seen):
    picture("new", 9, (70, 60))
    records = query(xmir, "with", "new.png")
    seen.clear()
    found = xmir("saliency", "--method", "activation,gradcam", "--on", "both", stdin=records)
    assert (found.code, seen) == (0, [1])
    assert {tuple(made_of(record)["stored_features"]) for record in found.records()} == {
        ("retrieved",)
    }


@pytest.mark.usefixtures("indexes")
def test_a_file_that_changed_is_read_anew_where_it_is_drawn_on(xmir, seen):
    records = query(xmir, "with", "--id", "a.png")
    picture("a", 77, SIZES[0])
    found = xmir("saliency", "--method", "activation", stdin=records)
    assert (found.code, seen) == (5, [1])
    assert "changed: another image" in found.stderr


@pytest.mark.usefixtures("indexes")
def test_beside_a_method_that_needs_pixels_all_come_from_the_network(xmir, seen):
    records = query(xmir, "with", "--id", "a.png")
    both = xmir("saliency", "--method", "activation,edges", stdin=records).records()
    assert sum(seen) == 3
    assert all("stored_features" not in made_of(record) for record in both)


@pytest.mark.usefixtures("indexes")
def test_negatives_and_contrasts_come_from_the_index_too(xmir, seen):
    triplet = ("saliency", "--method", "attention", "--tuple", "triplet", "--negative", "auto")
    contrast = ("saliency", "--method", "activation", "--contrast", "next", "--on", "query")
    for flags, named in ((triplet, "negatives"), (contrast, "contrast")):
        result = xmir(*flags, stdin=query(xmir, "with", "--all", "--no-self"))
        assert (result.code, seen) == (3 if named == "contrast" else 0, [])
        stored = result.records()
        network = xmir(*flags, stdin=query(xmir, "without", "--all", "--no-self")).records()
        assert len(stored) >= 6
        for one, other in zip(stored, network, strict=True):
            assert one[named] == other[named]
            assert named in made_of(one)["stored_features"]
            close(one, other)
        seen.clear()


@pytest.mark.usefixtures("indexes")
def test_places_and_matches_are_pixels_of_the_file(xmir, seen):
    for flags in (["--point", "30,25"], ["--matches", "2"]):
        flags = ["saliency", "--method", "activation", *flags]
        ask = ("--id", "a.png")
        stored = xmir(*flags, stdin=query(xmir, "with", *ask)).records()
        assert seen == []
        network = xmir(*flags, stdin=query(xmir, "without", *ask)).records()
        for one, other in zip(stored, network, strict=True):
            close(one, other)
            boxes, others = one["details"].get("matches"), other["details"].get("matches")
            assert [match["query"] for match in boxes or []] == [
                match["query"] for match in others or []
            ]
        seen.clear()


@pytest.mark.usefixtures("indexes")
def test_damaged_feature_maps_are_refused(xmir):
    records = query(xmir, "with")
    data = bytearray(Path("with.xmir/features.npy").read_bytes())
    data[-1] ^= 1
    Path("with.xmir/features.npy").write_bytes(data)
    result = xmir("saliency", "--method", "activation", "--no-overlay", stdin=records)
    assert result.code == 5
    assert "features.npy: damaged index (checksum)" in result.stderr
