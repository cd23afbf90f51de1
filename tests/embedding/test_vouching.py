"""Through the front door: embeddings without metadata come back in by the model that made them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


@pytest.fixture
def model(tiny_arch: str) -> list[str]:
    return ["--arch", tiny_arch, "--weights", "random:0"]


@pytest.fixture
def bare(xmir, model) -> Path:
    """Embeddings of four images that lost all of their metadata."""
    rng = np.random.default_rng(0)
    Path("img").mkdir()
    for number in range(4):
        pixels = rng.integers(0, 255, (40, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(f"img/{number}.png")
    Path("m.csv").write_text("path,label\n" + "".join(f"img/{n}.png,{n % 2}\n" for n in range(4)))
    assert xmir("embed", "m.csv", *model, "-o", "e.parquet").code == 0
    pq.write_table(pq.read_table("e.parquet").replace_schema_metadata(None), "bare.parquet")
    return Path("bare.parquet")


def index(xmir, source: str, output: str, *flags: str):
    result = xmir("index", source, "-o", output, *flags)
    return result, {path.name: path.read_bytes() for path in Path(output).glob("*")}


def test_the_model_that_is_named_is_proved_by_images(xmir, bare, model):
    _, expected = index(xmir, "e.parquet", "e.xmir")
    result, found = index(xmir, str(bare), "bare.xmir", *model)
    assert (result.code, found) == (0, expected)
    assert "makes the same vectors of 4 of its images" in result.stderr
    scored = [
        xmir("retrieval-metric", "e.parquet").records()[0],
        xmir("retrieval-metric", str(bare), *model).records()[0],
    ]
    assert scored[0]["map"] == scored[1]["map"]
    assert scored[0]["model"] == scored[1]["model"]


def test_without_a_name_the_reason_and_the_flags_are_said(xmir, bare):
    result = xmir("index", bare, "-o", "bare.xmir")
    assert result.code == 5
    assert "which model made its vectors is lost" in result.stderr
    assert "Say which one it was with --model or --arch." in result.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ["--weights", "random:1"],
        ["--weights", "random:0", "--view", "squash", "--resize", "64"],
        ["--weights", "random:0", "--mean", "0.1"],
    ],
)
def test_another_model_or_preprocessing_is_refused(xmir, bare, tiny_arch: str, flags: list[str]):
    result = xmir("index", bare, "-o", "bare.xmir", "--arch", tiny_arch, *flags)
    assert result.code == 5
    assert "makes another vector of" in result.stderr
    assert not Path("bare.xmir").exists()


def test_a_file_that_names_another_model_and_vectors_of_another_length_are_refused(
    xmir, bare, tiny_arch: str, model
):
    result = xmir(
        "index", "e.parquet", "-o", "x.xmir", "--arch", tiny_arch, "--weights", "random:1"
    )
    assert result.code == 6
    assert "e.parquet: made by" in result.stderr
    result = xmir("index", bare, "-o", "x.xmir", *model, "--head", 3)
    assert result.code == 6
    assert "bare.parquet: vectors of 16 numbers; " in result.stderr


def test_where_no_image_is_left_the_word_is_taken_and_this_is_said(xmir, bare, model):
    for path in Path("img").iterdir():
        path.write_bytes(b"")
    result = xmir("index", bare, "-o", "x.xmir", *model)
    assert result.code == 0
    assert "warning: bare.parquet: none of its images is here to prove that" in result.stderr
    spec = json.loads((Path("x.xmir") / "manifest.json").read_text())["model"]
    assert spec["weights"] == "random:0"


def test_the_images_that_prove_it_come_from_all_over_the_file(xmir, bare, model):
    """Two files of two models in one have the first's vectors in front."""
    other = xmir("embed", "m.csv", *model, "--weights", "random:1", "-o", "other.parquet")
    assert other.code == 0
    first, second = pq.read_table(bare), pq.read_table("other.parquet").replace_schema_metadata()
    pq.write_table(pa.concat_tables([first.slice(0, 3), second.slice(3)]), "both.parquet")
    result, found = index(xmir, "both.parquet", "both.xmir", *model)
    assert (result.code, found) == (5, {})
    assert "makes another vector of" in result.stderr


def test_a_table_without_rows_proves_nothing_and_is_none(xmir, bare, model):
    pq.write_table(pq.read_table(bare).slice(0, 0), "none.parquet")
    result, found = index(xmir, "none.parquet", "none.xmir", *model)
    assert (result.code, found) == (5, {})
    assert "no usable rows among 0" in result.stderr
