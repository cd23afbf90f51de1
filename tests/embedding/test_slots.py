"""Fixed slots: what shares a batch depends on the order of the inputs alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli.embedding.known import KnownRow
from xmir_cli.embedding.parts import EmbeddedRow
from xmir_cli.embedding.slots import embed_slots, slot_size
from xmir_cli.errors import DataError, ItemError
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder
from xmir_cli.store.hashes import sha256_file
from xmir_cli.wire.model import ModelSpec, Preprocessing


@pytest.fixture
def embedder(tiny_arch: str):
    recipe = Preprocessing(input_size=32, resize=32)
    return load_embedder(ModelSpec(tiny_arch, "random:0", None, recipe), "cpu")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    generator = np.random.default_rng(0)
    for number in range(5):
        pixels = generator.integers(0, 256, (40, 36), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return [str(tmp_path / f"{number}.png") for number in range(5)]


def nothing(path: str) -> None:
    del path


def known(path: str) -> KnownRow:
    return KnownRow(sha256_file(Path(path)), 7)


def test_rows_equal_embedding_each_image_alone(embedder, paths: list[str]):
    slots = list(embed_slots(embedder, paths, 2, 5, nothing, 2))
    assert [len(slot) for slot in slots] == [2, 2, 1]
    for path, row in zip(paths, [row for slot in slots for row in slot], strict=True):
        assert isinstance(row, EmbeddedRow)
        from xmir_cli.pictures.reading import read_image

        image = read_image(path, embedder.recipe).input
        alone = embedder.embed(image[None])[0].numpy()
        assert np.allclose(row.vector, alone, atol=1e-6)
        assert (row.width, row.height, len(row.sha256)) == (36, 40, 64)


def test_errors_stand_in_their_place(embedder, paths: list[str]):
    Path(paths[1]).write_bytes(b"")
    (first, second) = embed_slots(embedder, paths[:4], 2, 4, nothing, 2)
    assert isinstance(first[0], EmbeddedRow)
    assert isinstance(first[1], ItemError)
    assert all(isinstance(row, EmbeddedRow) for row in second)
    Path(paths[0]).unlink()
    (first,) = embed_slots(embedder, paths[:2], 2, 2, nothing, 2)
    assert [row.reason.split(":")[0] for row in first] == ["missing", "empty"]


def test_a_slot_is_known_or_made_as_a_whole(embedder, paths: list[str]):
    fresh = [row for slot in embed_slots(embedder, paths, 2, 5, nothing, 2) for row in slot]

    def some(path: str) -> KnownRow | None:
        return known(path) if path in paths[:3] else None

    rows = [row for slot in embed_slots(embedder, paths, 2, 5, some, 2) for row in slot]
    assert rows[:2] == [known(path) for path in paths[:2]]
    for row, expected in zip(rows[2:], fresh[2:], strict=True):  # 2.png is made again beside 3.png
        assert np.array_equal(row.vector, expected.vector)


def test_a_row_of_another_file_under_the_same_path_is_not_known(embedder, paths: list[str]):
    (slot,) = embed_slots(embedder, paths[:1], 2, 1, lambda _: KnownRow("0" * 64, 7), 2)
    assert isinstance(slot[0], EmbeddedRow)


def test_the_same_slots_made_apart_have_the_same_bits(embedder, tmp_path: Path):
    paths = []
    for number in range(120):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 36), dtype=np.uint8)
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(pixels).save(paths[-1])
    whole = [row for slot in embed_slots(embedder, paths, 8, 120, nothing, 2) for row in slot]
    halves = [paths[:64], paths[64:]]
    apart = [
        row
        for half in halves
        for slot in embed_slots(embedder, half, 8, 120, nothing, 1)
        for row in slot
    ]
    assert all(np.array_equal(a.vector, b.vector) for a, b in zip(whole, apart, strict=True))


def test_nan_names_the_image_and_a_way_out(embedder, paths: list[str]):
    embedder.embed = lambda images, _: torch.full((len(images), 16), torch.nan)
    with pytest.raises(DataError, match=r"0\.png: the network gave NaN") as caught:
        list(embed_slots(embedder, paths, 2, 5, nothing, 2))
    assert "preprocessing" in caught.value.hint
    embedder.precision = "fp16"
    with pytest.raises(DataError) as caught:
        list(embed_slots(embedder, paths, 2, 5, nothing, 2))
    assert caught.value.hint == "Try `precision` fp32."


def test_a_slot_has_parts_for_as_many_threads_whatever_their_size(embedder, monkeypatch):
    assert slot_size(embedder) == 4 * embedder.batch
    monkeypatch.setattr(Embedder, "part", 8)
    assert slot_size(embedder) == 8 * embedder.batch


def test_nothing_gives_no_slots(embedder):
    assert list(embed_slots(embedder, [], 2, 0, nothing, None)) == []
