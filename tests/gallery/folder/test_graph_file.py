"""A graph that was forged, with the right checksum perhaps, never reaches hnswlib."""

import multiprocessing
import struct
from pathlib import Path

import numpy as np
import pytest

from xmir_cli.errors import DataError
from xmir_cli.gallery.folder.graph_file import check_graph_file
from xmir_cli.gallery.folder.hnsw import build_graph, load_graph, save_graph
from xmir_cli.gallery.protocol import GraphSettings

ROWS, DIM, M = 300, 8, 4
SETTINGS = GraphSettings(m=M)
HEADER = 96  # bytes
ITEM = 4 * (1 + 2 * M) + 4 * DIM + 8
UPPER = HEADER + ROWS * ITEM
LABEL = HEADER + ITEM - 8  # of the first item


def make(rows: int = ROWS) -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(rows, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("graph") / "graph.hnsw"
    save_graph(build_graph(make(), SETTINGS), path)
    return path.read_bytes()


def upper_item(data: bytes) -> tuple[int, int, int]:
    """Of the first item above the lowest level: where its size lies, its number, its levels."""
    place, item = UPPER, 0
    while not (size := struct.unpack_from("<I", data, place)[0]):
        place, item = place + 4, item + 1
    return place, item, size // (4 * (1 + M))


def low_item(data: bytes) -> int:
    """An item that is on the lowest level alone."""
    place, item = UPPER, 0
    while size := struct.unpack_from("<I", data, place)[0]:
        place, item = place + 4 + size, item + 1
    return item


@pytest.mark.parametrize("rows", [1, 2, 3, 50, ROWS])
@pytest.mark.parametrize("m", [2, M, 48])
def test_what_was_built_is_loaded(tmp_path: Path, rows: int, m: int):
    settings = GraphSettings(m=m)
    save_graph(build_graph(make(rows), settings), tmp_path / "g")
    graph = load_graph(tmp_path / "g", rows, DIM, settings)
    assert graph.index.get_current_count() == rows


def header(place: int, value: int | float, form: str = "<Q"):
    return lambda data: struct.pack_into(form, data, place, value)


FORGED = {
    "offset of links": header(0, 8),
    "capacity": header(8, ROWS + 1),
    "capacity of nothing": header(8, 0),
    "items": header(16, ROWS - 1),
    "many items": header(16, 2**60),
    "size of an item": header(24, ITEM + 8),
    "offset of labels": header(32, 2**63),
    "offset of vectors": header(40, 0),
    "top level": header(48, 40, "<i"),
    "level below the lowest": header(48, -1, "<i"),
    "entry": header(52, ROWS, "<I"),
    "entry far away": header(52, 2**32 - 1, "<I"),
    "links": header(56, 2**40),
    "links of the lowest level": header(64, 2 * M + 1),
    "m": header(72, 0),
    "count": header(HEADER, 2 * M + 1, "<I"),
    "largest count": header(HEADER, 65_535, "<H"),
    "deleted": header(HEADER + 2, 1, "<B"),
    "link": header(HEADER + 4, ROWS, "<I"),
    "link far away": header(HEADER + 3 * ITEM + 4, 2**32 - 1, "<I"),
    "label": header(LABEL, ROWS),
    "label far away": header(LABEL, 2**64 - 1),
    "label twice": header(LABEL, 1),
    "upper size": lambda data: struct.pack_into("<I", data, upper_item(data)[0], 4),
    "upper size too large": lambda data: struct.pack_into("<I", data, upper_item(data)[0], 2**31),
    "upper size of nothing": lambda data: struct.pack_into("<I", data, upper_item(data)[0], 0),
    "upper count": lambda data: struct.pack_into("<I", data, upper_item(data)[0] + 4, M + 1),
    "upper link": lambda data: struct.pack_into("<II", data, upper_item(data)[0] + 4, 1, ROWS),
    "upper link to an item below": lambda data: struct.pack_into(
        "<II", data, upper_item(data)[0] + 4, 1, low_item(data)
    ),
    "cut": lambda data: data.__delitem__(slice(-1, None)),
    "cut by a word": lambda data: data.__delitem__(slice(-4, None)),
    "cut in the items": lambda data: data.__delitem__(slice(UPPER - 9, None)),
    "cut in the header": lambda data: data.__delitem__(slice(50, None)),
    "empty": lambda data: data.clear(),
    "longer": lambda data: data.extend(b"\0\0\0\0"),
}  # fmt: skip


@pytest.mark.parametrize("change", FORGED)
def test_a_forged_graph_is_refused(tmp_path: Path, whole: bytes, change: str):
    data = bytearray(whole)
    FORGED[change](data)
    assert data != whole
    (tmp_path / "g").write_bytes(data)
    with pytest.raises(DataError, match=r"g: (not a graph of hnswlib|expected 300 items)"):
        check_graph_file(tmp_path / "g", ROWS, DIM, M)


@pytest.mark.parametrize(("dim", "m"), [(9, M), (DIM, 8)])
def test_a_graph_of_another_index_is_refused(tmp_path: Path, whole: bytes, dim: int, m: int):
    (tmp_path / "g").write_bytes(whole)
    with pytest.raises(DataError, match="g: not a graph of hnswlib"):
        check_graph_file(tmp_path / "g", ROWS, dim, m)


def _survive(path: str, whole: bytes, rounds: int, seed: int) -> None:
    """Change bytes and search what is still taken for a graph; a crash ends the process."""
    generator, vectors = np.random.default_rng(seed), make()
    for _ in range(rounds):
        data = np.frombuffer(bytearray(whole), np.uint8)
        regions = [(0, HEADER), (HEADER, UPPER), (UPPER, len(whole))]
        low, high = regions[generator.integers(3)]
        places = generator.integers(low, high, generator.integers(1, 4))
        data[places] = generator.integers(0, 256, len(places))
        Path(path).write_bytes(data.tobytes())
        try:
            graph = load_graph(Path(path), ROWS, DIM, SETTINGS)
        except DataError:
            continue
        graph.search(vectors, vectors, 10)


def test_no_changed_bytes_crash_hnswlib(tmp_path: Path, whole: bytes):
    job = multiprocessing.get_context("fork").Process(
        target=_survive, args=(str(tmp_path / "g"), whole, 200, 0)
    )
    job.start()
    job.join()
    assert job.exitcode == 0
