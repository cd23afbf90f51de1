"""The vectors of a gallery as they are read: in float32, whatever they are kept as."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xmir_cli.arrays import Integers
from xmir_cli.gallery.vectors import Vectors, center_rows


class Rows(Protocol):
    """The vectors [N, D] of a gallery, of which any can be read, as float32."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N and D."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, rows: slice | Integers) -> Vectors:
        """Those rows [n, D]."""


@dataclass(frozen=True)
class HalfRows:
    """Vectors kept in float16, widened as they are read; that changes none of their numbers."""

    kept: NDArray[np.float16]

    @property
    def shape(self) -> tuple[int, ...]:
        """N and D."""
        return self.kept.shape

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, rows: slice | Integers) -> Vectors:
        return self.kept[rows].astype(np.float32)


def as_rows(kept: np.ndarray) -> Rows:
    """Vectors as they are kept, in float32 or float16."""
    rows: Rows = HalfRows(kept) if kept.dtype == np.float16 else kept
    return rows


@dataclass(frozen=True)
class CenteredRows:
    """The same without a mean [D], made as they are read; see `center_rows`."""

    vectors: Rows
    mean: Vectors

    @property
    def shape(self) -> tuple[int, ...]:
        """N and D."""
        return self.vectors.shape

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: slice | Integers) -> Vectors:
        return center_rows(self.vectors[rows], self.mean)
