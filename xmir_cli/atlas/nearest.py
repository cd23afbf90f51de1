"""The nearest of some images among others, by their cosines in float64."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.gallery.vectors import Vectors

AT_ONCE = 256  # images whose similarities to all others are in memory
_SPARE = 8  # candidates more than are asked for: float32 may order the last ones otherwise
_WIDENED = 64  # images whose candidates are in memory in float64


class NearRows(NamedTuple):
    """The nearest images of some [n, k], nearest first."""

    rows: Integers  # -1 where there are fewer
    similarities: Floats  # NaN there

    def put(self, places: Integers, better: "NearRows") -> None:
        """Let those at some places be others."""
        self.rows[places], self.similarities[places] = better

    @property
    def means(self) -> Floats:
        """The mean similarity [n] to those that there are; NaN where there is none."""
        counts = np.isfinite(self.similarities).sum(axis=1)
        sums = np.nansum(self.similarities, axis=1)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


class NearestFound(NamedTuple):
    """The nearest of all, and the nearest of other patients."""

    near: NearRows
    others: NearRows


@dataclass(frozen=True, eq=False)
class Nearest:
    """Finds the k nearest of unit vectors [N, D]; `groups` are the patients [N], -1 if unknown."""

    vectors: Vectors
    groups: Integers
    k: int

    def of(self, asked: Integers) -> NearestFound:
        """Those of some images, themselves left out; all others are gone through."""
        parts = [self._exactly(part) for part in row_parts(asked, AT_ONCE)]
        joined = [
            NearRows(
                *(np.concatenate([part[which][field] for part in parts]) for field in range(2))
            )
            for which in range(2)
        ]
        return NearestFound(*joined)

    def among(self, asked: Integers, candidates: Integers) -> NearestFound:
        """The same where each has candidates of its own [n, c]."""
        fits = candidates != asked[:, None]
        near = self._rank(asked, candidates, fits)
        mine = self.groups[asked, None]
        other = (self.groups[candidates] != mine) | (mine < 0)
        return NearestFound(
            near, near if other.all() else self._rank(asked, candidates, fits & other)
        )

    def _exactly(self, asked: Integers) -> NearestFound:
        products = np.asarray(self.vectors[asked] @ self.vectors.T)
        products[np.arange(len(asked)), asked] = -np.inf
        near = self._best(asked, products)
        mine = self.groups[asked, None]
        if (mine < 0).all():
            return NearestFound(near, near)
        products[(mine == self.groups) & (mine >= 0)] = -np.inf
        return NearestFound(near, self._best(asked, products))

    def _best(self, asked: Integers, products: np.ndarray) -> NearRows:
        count = products.shape[1]
        most = min(self.k + _SPARE, count)
        found = np.argpartition(products, count - most, axis=1)[:, -most:]
        return self._rank(asked, found, np.isfinite(np.take_along_axis(products, found, axis=1)))

    def _rank(self, asked: Integers, found: Integers, fits: Booleans) -> NearRows:
        """The k nearest of candidates [n, c] that fit; equal ones in their order."""
        similarities = self._cosines(asked, found)
        similarities[~fits] = -np.inf
        order = np.lexsort((found, -similarities), axis=1)[:, : self.k]
        rows = np.take_along_axis(found, order, axis=1)
        best = np.take_along_axis(similarities, order, axis=1)
        none = ~np.isfinite(best)
        rows[none], best[none] = -1, np.nan
        lacking = ((0, 0), (0, self.k - rows.shape[1]))
        return NearRows(
            np.pad(rows, lacking, constant_values=-1), np.pad(best, lacking, constant_values=np.nan)
        )

    def _cosines(self, asked: Integers, found: Integers) -> Floats:
        similarities = np.empty(found.shape)
        for part in row_parts(np.arange(len(asked)), _WIDENED):
            own = self.vectors[asked[part]].astype(np.float64)
            others = self.vectors[found[part]].astype(np.float64)
            lengths = np.linalg.norm(own, axis=1)[:, None] * np.linalg.norm(others, axis=2)
            similarities[part] = np.einsum("nd,ncd->nc", own, others) / lengths
        return np.clip(similarities, -1, 1)  # what rounding adds


def row_parts(rows: Integers, size: int) -> Iterator[Integers]:
    """Rows, `size` at a time."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
