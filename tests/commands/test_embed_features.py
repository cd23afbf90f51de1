"""`xmir embed --features` and the index of what it wrote."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from xmir_cli.embedding import parts as parts_module
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.store.embeddings import read_embeddings

BROKEN = """
from torch import nn
from xmir_cli.model.architectures import Architecture
from xmir_cli.wire.model import Preprocessing
from xmir_cli.pictures.view import view_picture
from xmir_cli.pictures.view import to_input
class Root(nn.Module):
    def forward(self, x):
        return (x.mean(dim=(2, 3), keepdim=True) - 0.5).exp() * 66_000
def network():
    recipe = Preprocessing(input_size=32, resize=32, mean=(0,) * 3, std=(1,) * 3)
    return Architecture(Root(), channels=3, preprocessing=recipe)
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for number in range(5):
        values = np.random.default_rng(number).integers(0, 256, (36, 40), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / "data" / f"{number}.png")
    return tmp_path / "data"


@pytest.fixture
def embed(xmir, tiny_arch: str):
    def run(*arguments: object, **options: object):
        model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu", "--batch", 2)
        return xmir("embed", *model, *arguments, **options)

    return run


def stored(source: object) -> np.ndarray:
    features = read_embeddings(str(source)).features
    assert features is not None
    return np.concatenate(list(features.blocks()))


def test_the_maps_are_the_networks_and_the_rest_is_as_without(embed, images, tiny_arch):
    assert embed(images, "-o", "a.parquet", "--features").code == 0
    assert embed(images, "-o", "b.parquet").code == 0
    assert (
        pq.read_table("a.parquet").drop_columns(["feature_map"]).equals(pq.read_table("b.parquet"))
    )
    import torch

    from xmir_cli.pictures.reading import read_image

    embedder = load_embedder(resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0")))
    names = [str(images / f"{number}.png") for number in range(5)]
    inputs = torch.stack([read_image(name, embedder.recipe).input for name in names])
    expected = embedder.forward_features(inputs).cpu().numpy()
    found = stored("a.parquet")
    assert found.shape == (5, 16, 8, 8)
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


def test_resume_gives_the_bytes_of_an_undisturbed_run(embed, images, monkeypatch):
    embed(images, "-o", "whole.parquet", "--features")
    with monkeypatch.context() as patched:  # as if killed after its last part
        patched.setattr(parts_module, "PART_SECONDS", 0.0)
        patched.setattr(parts_module.Parts, "remove", lambda _: None)
        embed(images, "-o", "a.parquet", "--features")
    Path("a.parquet").unlink()
    assert list(Path("a.parquet.parts").iterdir())
    result = embed(images, "-o", "a.parquet", "--features", "--resume")
    assert result.stderr == "xmir: note: 5 images of this model are there already\n"
    assert Path("a.parquet").read_bytes() == Path("whole.parquet").read_bytes()
    assert not Path("a.parquet.parts").exists()


def test_resume_makes_the_maps_of_a_file_without_and_drops_those_not_asked_for(embed, images):
    embed(images, "-o", "with.parquet", "--features")
    embed(images, "-o", "a.parquet")
    without = Path("a.parquet").read_bytes()
    result = embed(images, "-o", "a.parquet", "--features", "--resume")
    assert result.stderr == "xmir: note: 0 images of this model are there already\n"
    assert Path("a.parquet").read_bytes() == Path("with.parquet").read_bytes()
    result = embed(images, "-o", "a.parquet", "--resume")
    assert result.stderr == "xmir: note: 5 images of this model are there already\n"
    assert Path("a.parquet").read_bytes() == without


def test_an_image_whose_map_is_beyond_float16_is_left_out(embed, images):
    Image.new("L", (40, 36), 0).save(images / "0.png")  # the others are brighter
    Path("net.py").write_text(BROKEN)
    result = embed(images, "-o", "a.parquet", "--arch", "net.py:network", "--features")
    assert result.code == 3
    assert result.stderr.count("bad-features: a value of the feature map is beyond float16") == 4
    assert stored("a.parquet").shape == (1, 3, 1, 1)
    assert embed(images, "-o", "b.parquet", "--arch", "net.py:network").code == 0


def test_a_bare_matrix_has_no_place_for_them(embed, images):
    result = embed(images, "-o", "a.npy", "--file-format", "npy", "--features")
    assert result.code == 2
    assert result.stderr.splitlines()[0] == "xmir: error: --features: a bare matrix holds none"


@pytest.mark.parametrize("way", ["file", "pipe"])
def test_an_index_maps_them_from_the_disk_and_info_tells(xmir, embed, images, way):
    embed(images, "-o", "a.parquet", "--features")
    if way == "file":
        assert xmir("index", "a.parquet", "-o", "a.xmir").code == 0
    else:
        stream = embed(images, "--features").stdout_bytes
        assert xmir("index", "-", "-o", "a.xmir", stdin=stream).code == 0
    found = np.load("a.xmir/features.npy", mmap_mode="r")
    assert found.dtype == np.float16
    assert np.array_equal(found, stored("a.parquet"))
    (about,) = xmir("info", "a.xmir").records()
    sha256 = hashlib.sha256(Path("a.xmir/features.npy").read_bytes()).hexdigest()
    assert about["files"]["features.npy"]["sha256"] == sha256
    assert about["features"] == [16, 8, 8]
    assert xmir("info", "a.parquet").records()[0]["features"] == [16, 8, 8]


def test_an_index_leaves_out_the_maps_of_rows_that_it_leaves_out(xmir, embed, images):
    embed(images, "-o", "a.parquet", "--features")
    table = pq.read_table("a.parquet")
    vectors = table["embedding"].to_pylist()
    vectors[1] = [0.0] * 16
    place = table.column_names.index("embedding")
    field = table.field("embedding")
    changed = table.set_column(place, field, pa.array(vectors, field.type))
    pq.write_table(changed, "b.parquet", compression="none", use_dictionary=False)
    assert xmir("index", "b.parquet", "-o", "b.xmir").code == 3
    kept = stored("a.parquet")[[0, 2, 3, 4]]
    assert np.array_equal(np.load("b.xmir/features.npy"), kept)


def test_an_index_without_them_says_nothing_of_them(xmir, embed, images):
    embed(images, "-o", "a.parquet")
    xmir("index", "a.parquet", "-o", "a.xmir")
    (about,) = xmir("info", "a.xmir").records()
    assert "features" not in about
    assert sorted(about["files"]) == ["items.parquet", "vectors.npy"]
