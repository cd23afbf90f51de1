"""Where the images of an atlas lie, as a Parquet table."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.atlas.scene import Scene
from xmir_cli.store.atomic import atomic_file

_FIRST = ("id", "path", "label")
_OWN = ("x", "y", "unlike", "outlier", "duplicates", "nearest_to_mean")


def write_coordinates(path: Path, scene: Scene) -> None:
    """Write a row for each image: what it is, x and y, its column of colours, what is ringed.

    Columns of colours that are called as one of those come under `color_`.
    """
    table = scene.items.select([name for name in _FIRST if name in scene.items.column_names])
    for name, values in (
        ("x", scene.places[:, 0]),
        ("y", scene.places[:, 1]),
        ("unlike", pa.array(scene.unlike, from_pandas=True)),
        ("outlier", scene.outliers),
        ("duplicates", pa.array(scene.groups, mask=scene.groups == 0)),
        ("nearest_to_mean", _stars(scene)),
    ):
        table = table.append_column(name, pa.array(values))
    for coloring in scene.colorings:
        if coloring.column not in _FIRST:
            name = f"color_{coloring.column}" if coloring.column in _OWN else coloring.column
            table = table.append_column(name, scene.items[coloring.column])
    with atomic_file(path) as file:
        pq.write_table(table.replace_schema_metadata({"xmir.atlas": scene.method}), file)


def _stars(scene: Scene) -> np.ndarray:
    stars = np.zeros(len(scene.places), dtype=bool)
    stars[scene.stars] = True
    return stars
