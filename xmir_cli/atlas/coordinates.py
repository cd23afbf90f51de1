"""Where the images of an atlas lie, as a Parquet table."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.arrays import Floats
from xmir_cli.atlas.scene import Scene
from xmir_cli.store.atomic import atomic_file

_FIRST = ("id", "path", "label")
_OWN = ("x", "y", "unlike", "outlier", "duplicates", "nearest_to_mean", "mean_x", "mean_y")


def write_coordinates(path: Path, scene: Scene) -> None:
    """Write a row for each image: what it is, x and y, its column of colours, what is ringed.

    Columns of colours that are called as one of those come under `color_`.
    """
    means = _means(scene)
    table = scene.items.select([name for name in _FIRST if name in scene.items.column_names])
    for name, values in (
        ("x", scene.places[:, 0]),
        ("y", scene.places[:, 1]),
        ("unlike", pa.array(scene.unlike, from_pandas=True)),
        ("outlier", scene.outliers),
        ("duplicates", pa.array(scene.groups, mask=scene.groups == 0)),
        ("nearest_to_mean", _stars(scene)),
        ("mean_x", pa.array(means[:, 0], from_pandas=True)),
        ("mean_y", pa.array(means[:, 1], from_pandas=True)),
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


def _means(scene: Scene) -> Floats:
    """Where the mean of each image's label lies [N, 2], of the most frequent of several labels."""
    means = np.full(scene.places.shape, np.nan)
    for each, mean in reversed([*zip(scene.classes, scene.means, strict=True)]):
        means[each.members] = mean
    return means
