"""xmir atlas --method umap, by the library itself."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("umap")

from tests.atlas.test_axes import unit_vectors
from tests.commands.test_atlas import write


@pytest.mark.slow
@pytest.mark.parametrize("count", [5, 12, 60])
def test_umap_keeps_clusters_together_and_its_seed_gives_the_same_picture(xmir, count):
    centres = np.repeat(unit_vectors(3, 8, seed=4), -(-count // 3), axis=0)[:count]
    write(vectors=(centres + 0.02 * unit_vectors(count, 8)).astype(np.float32), pictures=False)
    for name in ("a.parquet", "b.parquet"):
        result = xmir("atlas", "e.parquet", "-o", name, "--method", "umap", "--seed", "3")
        assert (result.code, result.stderr) == (0, "")
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()
    (record,) = result.records()
    assert record["settings"] == {
        "seed": 3,
        "axes": 8,
        "kept": pytest.approx(1),
        "neighbors": min(15, count - 1),
    }
    table = pq.read_table("a.parquet")
    places = np.stack([table["x"], table["y"]], axis=1)
    assert np.isfinite(places).all()
    if count == 60:
        near = places.reshape(3, 20, 2)
        spread = np.linalg.norm(near - near.mean(axis=1, keepdims=True), axis=2).mean()
        middles = near.mean(axis=1)
        assert np.linalg.norm(middles[[0, 0, 1]] - middles[[1, 2, 2]], axis=1).min() > spread
