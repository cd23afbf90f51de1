"""16-bit pictures that their values put on different scales: said once, made one by `--window`."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

MIXED = (
    "xmir: warning: deep pictures are on different scales: 0..4095, 0..65535. Their own values "
    "suggest them; if one fits all, embed with it, such as --window bits:12\n"
)


@pytest.fixture
def folder() -> Path:
    """Pictures of 12 bits in 16, one of them with one value too large."""
    values = np.random.default_rng(0).integers(0, 4096, (40, 36)).astype(np.uint16)
    place = Path("d")
    place.mkdir()
    for number, form in enumerate(("png", "tif", "png", "tif")):
        deep = np.roll(values, 5 * number, axis=1)
        Image.fromarray(deep).save(place / f"{number}.{form}")
    deep = np.roll(values, 3, axis=0)
    deep[0, 0] = 4096
    Image.fromarray(deep).save(place / "outlier.png")
    return place


@pytest.fixture
def embed(xmir, tiny_arch: str):
    def run(*arguments: object):
        model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")
        return xmir("embed", *arguments, *model)

    return run


def test_a_run_that_meets_two_scales_says_so_once(xmir, embed, folder: Path):
    found = embed(folder, "-o", "a.parquet")
    assert (found.code, found.stderr) == (0, MIXED)
    resumed = embed(folder, "-o", "a.parquet", "--resume")
    assert resumed.stderr.count("different scales") == 1  # though nothing is decoded again
    usual = [folder / name for name in ("0.png", "1.tif", "2.png", "3.tif")]
    assert embed(*usual, "-o", "b.parquet").stderr == ""
    assert xmir("info", *usual, folder / "outlier.png").stderr == MIXED
    # the index's own pictures count as well
    xmir("index", "b.parquet", "-o", "b.xmir")
    assert xmir("query", "-i", "b.xmir", usual[0], "--device", "cpu").stderr == ""
    asked = xmir("query", "-i", "b.xmir", folder / "outlier.png", "--device", "cpu")
    assert asked.stderr == MIXED


def test_scales_of_an_index_are_known_without_its_vectors(xmir, embed, folder: Path, monkeypatch):
    embed(folder / "0.png", "-o", "b.parquet")
    xmir("index", "b.parquet", "-o", "b.xmir")
    monkeypatch.delattr("xmir_cli.gallery.folder.gallery.FolderGallery.iterate")
    asked = xmir("query", "-i", "b.xmir", folder / "outlier.png", "--device", "cpu")
    assert (asked.code, asked.stderr) == (0, MIXED)


def test_one_scale_for_all_travels_with_the_model(xmir, embed, folder: Path):
    found = embed(folder, "-o", "a.parquet", "--window", "bits:12")
    assert (found.code, found.stderr) == (0, "")
    said = pq.read_table("a.parquet")["decoded"].to_pylist()
    assert said == ["window 0..4095"] * 4 + ["window 0..4095, clipped"]
    xmir("index", "a.parquet", "-o", "a.xmir")
    asked = xmir("query", "-i", "a.xmir", folder / "outlier.png", "-k", 1, "--device", "cpu")
    assert asked.stderr == ""
    (hit,) = asked.records()
    assert hit["similarity"] == pytest.approx(1, abs=1e-5)
    assert hit["model"]["preprocessing"]["window"] == "bits:12"


@pytest.mark.parametrize("command", ["saliency", "diff-saliency"])
def test_a_scale_may_be_chosen_where_images_are_explained(xmir, tiny_arch, folder: Path, command):
    table = Path("t.csv")
    rows = [f"{place},{'a' if place.stem in '02' else 'b'}" for place in sorted(folder.iterdir())]
    table.write_text("\n".join(["path,label", *rows]))
    images = {
        "saliency": [
            "--method",
            "activation",
            "--query",
            folder / "outlier.png",
            "--image",
            folder / "0.png",
        ],
        "diff-saliency": [table],
    }[command]
    model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")
    for window, warned in (("auto", True), ("bits:12", False)):
        found = xmir(command, *images, *model, "--window", window, "-o", window[:4])
        assert found.code == 0
        assert ("different scales" in found.stderr) == warned


def test_scales_that_the_files_declare_may_differ(embed):
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    Path("d").mkdir()
    for top in (1023, 16383):
        tags = ImageFileDirectory_v2()
        tags[281] = top  # MaxSampleValue
        deep = (np.random.default_rng(0).random((40, 36)) * top).astype(np.uint16)
        Image.fromarray(deep).save(f"d/{top}.tif", tiffinfo=tags)
    assert embed("d", "-o", "a.parquet").stderr == ""
    said = pq.read_table("a.parquet")["decoded"].to_pylist()
    assert said == [f"scaled from 0..{top} as declared" for top in (1023, 16383)]


@pytest.mark.parametrize(
    ("window", "problem"),
    [
        ("bits:8", "expected 9 to 32 bits"),
        ("bits:x", "expected auto, minmax, CENTRE,WIDTH, pLOW,HIGH or bits:N"),
    ],
)
def test_a_scale_that_cannot_be_is_a_usage_error(embed, folder: Path, window: str, problem: str):
    refused = embed(folder, "-o", "a.parquet", "--window", window)
    assert refused.code == 2
    assert refused.stderr == f"xmir: error: --window: {problem}, found {window}\n"
