"""An index that is opened while others take its place is one of them, whole."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.errors import DataError
from xmir_cli.gallery.folder.build import build_gallery
from xmir_cli.gallery.folder.engine import describe_index, open_gallery
from xmir_cli.gallery.folder.opening import open_index
from xmir_cli.gallery.protocol import GraphSettings
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.store.features import FeatureMaps
from xmir_cli.wire.model import ModelSpec

WRITER = """
import sys
from pathlib import Path
from test_opening import build
for number in range(int(sys.argv[1])):
    build(Path("a.xmir"), number % 7)
"""


def build(path: Path, number: int) -> None:
    """An index whose every part tells its number."""
    vectors = np.zeros((60, 8), np.float32)
    vectors[:, number] = 1
    items = pa.table({"id": [f"{number}-{row}" for row in range(60)]})
    maps = FeatureMaps((1, 1, 1), lambda: iter([np.full((60, 1, 1, 1), number, "<f2")]))
    model = ModelSpec("tiny", f"random:{number}")
    build_gallery(
        Embeddings(items, vectors, model, {}, maps), path, "hnsw", GraphSettings(m=4, seed=number)
    )


def number_of(index: str) -> int:
    """Which index was opened; all of it has to be of the same."""
    gallery = open_gallery(index)
    number = int(gallery.model.weights.removeprefix("random:"))
    assert gallery.vectors[:, number].tolist() == [1] * 60
    assert gallery.items.table()["id"].to_pylist() == [f"{number}-{row}" for row in range(60)]
    assert gallery.features_of([0]).ravel().tolist() == [number]
    assert gallery.graph is not None
    return number


def test_readers_see_the_old_index_or_the_new_one_never_a_damaged_one():
    build(Path("a.xmir"), 0)
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r})\n{WRITER}"
    seen, opened = set(), 0
    with subprocess.Popen([sys.executable, "-c", code, "150"]) as writer:
        while writer.poll() is None:
            seen.add(number_of("a.xmir"))
            describe_index("a.xmir")
            opened += 1
    assert writer.returncode == 0
    assert len(seen) > 1
    assert opened > 5


@pytest.mark.skipif(sys.platform != "linux", reason="an open file has no name there")
def test_what_was_opened_stays_though_another_takes_its_place():
    build(Path("a.xmir"), 3)
    gallery = open_gallery("a.xmir")
    build(Path("a.xmir"), 4)
    assert gallery.features_of([0]).ravel().tolist() == [3]
    assert gallery.graph.index.get_current_count() == 60
    assert gallery.items["id"].to_pylist()[0] == "3-0"
    assert number_of("a.xmir") == 4


def test_damage_is_told_at_once():
    build(Path("a.xmir"), 1)
    Path("a.xmir/graph.hnsw").unlink()
    with pytest.raises(DataError, match=r"a\.xmir/graph\.hnsw: damaged index \(missing\)"):
        open_index(Path("a.xmir")).find("graph.hnsw")
    with pytest.raises(DataError, match="gone: not an xmir index"):
        open_index(Path("gone"))
