"""What an atlas shows, whether it is drawn as a picture, as a page or as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.atlas.classes import LabelClass
from xmir_cli.atlas.coloring import Coloring
from xmir_cli.atlas.neighbours import Neighbourhoods

_SPREAD = 9  # images that stand for all
METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}


@dataclass(frozen=True, eq=False)
class Scene:
    """N images in a plane, and what is known of them."""

    name: str  # of the embeddings
    method: str
    explained: tuple[float, float] | None  # shares of the variance along x and y
    items: pa.Table
    knows_patients: bool  # of at least one image
    places: Floats  # [N, 2]
    colorings: Sequence[Coloring]
    classes: Sequence[LabelClass]
    around: Neighbourhoods
    unlike: Floats  # [N], percent of the images that lie nearer to others
    outliers: Booleans  # [N]
    groups: Integers  # [N], of duplicates; 0: none

    @property
    def title(self) -> str:
        """What it is a picture of."""
        count, called = len(self.places), self.name.rstrip("/").rpartition("/")[2]
        number = f"{count:,}".replace(",", " ")
        return f"{called}: {number} image{'' if count == 1 else 's'}, {METHODS[self.method]}"

    @property
    def ids(self) -> list[str]:
        """The id of each image."""
        found: list[str] = self.items["id"].cast(pa.string()).to_pylist()
        return found

    @property
    def stars(self) -> Integers:
        """The image nearest to the centroid of each class."""
        return np.array([each.nearest for each in self.classes], dtype=np.int64)

    @cached_property
    def means(self) -> Floats:
        """Where the mean of each class lies [K, 2]: with PCA, the place of its mean vector."""
        means = [self.places[each.members].mean(axis=0) for each in self.classes]
        return np.array(means).reshape(-1, 2)

    @property
    def furthest(self) -> Integers:
        """The outliers, the one that lies furthest apart first."""
        rows = np.flatnonzero(self.outliers)
        return rows[np.argsort(self.around.to_others[rows], kind="stable")]

    @cached_property
    def spread(self) -> list[int]:
        """Without classes: images all over the plane, each as far from those before as any is."""
        if self.classes:
            return []
        middle = (self.places.min(axis=0) + self.places.max(axis=0)) / 2
        rows = [int(np.argmin(np.linalg.norm(self.places - middle, axis=1)))]
        away = np.linalg.norm(self.places - self.places[rows[0]], axis=1)
        while len(rows) < min(_SPREAD, len(self.places)) and away.max() > 0:
            rows.append(int(np.argmax(away)))
            away = np.minimum(away, np.linalg.norm(self.places - self.places[rows[-1]], axis=1))
        return rows

    @property
    def axes(self) -> tuple[str, str]:
        """What x and y are called."""
        called = METHODS[self.method]
        if self.explained is None:
            return f"{called} 1", f"{called} 2"
        first, second = (f"{100 * share:.1f} % of the variance" for share in self.explained)
        return f"PC 1: {first}", f"PC 2: {second}"

    def short_name(self, row: int) -> str:
        """The end of an image's id."""
        return str(self.items["id"][row].as_py()).rpartition("/")[2]
