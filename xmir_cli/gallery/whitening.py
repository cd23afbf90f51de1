"""Whitening the vectors of an index: what many of them share is taken off, and evened out.

    S = mean of (f - m)(f - m)^T = U diag(v) U^T,    W = diag((v_k + 0.3 sum v)^-1/2) U^T

of the d directions with the largest variances v_k. The 0.3 is the shrinkage: without any,
directions of noise weigh as much as those of diseases, and far less is found than before. What was
measured stands in examples/embeddings.md.

Source: Jegou and Chum, Negative evidences and co-occurences in image retrieval, ECCV 2012; for the
shrinkage towards a multiple of the identity: Ledoit and Wolf, A well-conditioned estimator for
large-dimensional covariance matrices, Journal of Multivariate Analysis 2004.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmir_cli.errors import SettingError
from xmir_cli.gallery.vectors import mean_vector
from xmir_cli.store.embedding_source import EmbeddingSource
from xmir_cli.store.embedding_table import RowBlock
from xmir_cli.store.features import FeatureMaps
from xmir_cli.store.whitening import Whitener
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

SHRINKAGE = 0.3  # of the sum of all variances, added to each of them
_ROWS = 8192  # read at a time
_MOST = 1 << 16  # rows that it is fitted on, evenly spread: more change nothing, and take minutes


@dataclass(frozen=True, eq=False)
class FittedWhitening:
    """A whitening, and what is to be said of it."""

    whitener: Whitener
    rows: int  # that it was fitted on
    variance: float  # share of it that is kept

    @property
    def told(self) -> Record:
        """What the index says of it."""
        return {
            "dim": len(self.whitener.mean),
            "rows": self.rows,
            "variance": self.variance,
            "shrinkage": SHRINKAGE,
        }


@dataclass(frozen=True)
class WhitenedRows:
    """Unit vectors as a whitening makes them; an `EmbeddingSource`."""

    source: EmbeddingSource
    whitener: Whitener

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.source.rows

    @property
    def dim(self) -> int:
        """The length d of the vectors."""
        return len(self.whitener.matrix)

    @property
    def model(self) -> ModelSpec:
        """What made them before."""
        return self.source.model

    @property
    def made(self) -> Mapping[str, str]:
        """Precision and the like."""
        return self.source.made

    @property
    def features(self) -> FeatureMaps | None:
        """The last feature maps."""
        return self.source.features

    def blocks(self, size: int, names: Sequence[str] | None = None) -> Iterator[RowBlock]:
        """The rows, as `EmbeddingSource` says."""
        for items, vectors in self.source.blocks(size, names):
            yield RowBlock(items, self.whitener.whiten(vectors))


def fit_whitening(source: EmbeddingSource, dim: int) -> FittedWhitening:
    """The whitening of unit vectors to `dim` numbers; a block and a matrix [D, D] are in memory.

    Raises SettingError where there are not more numbers and rows than that, or all rows are alike.
    """
    step = -(-source.rows // _MOST)
    fitted = -(-source.rows // step)
    if dim > source.dim:
        _refuse(dim, f"the vectors have {source.dim} numbers", f"At most {source.dim}.")
    if dim >= fitted:
        _refuse(dim, f"expected fewer than there are images, {fitted}", "Name a smaller number.")
    mean = mean_vector(_every(source, step))
    total = np.zeros((source.dim, source.dim))
    for rows in _every(source, step):
        left = rows.astype(np.float64) - mean
        total += left.T @ left
    values, directions = np.linalg.eigh(total / fitted)
    values, directions = values[::-1].clip(min=0), directions[:, ::-1]
    whole = float(values.sum())
    if whole < _NOTHING:
        _refuse(dim, "all vectors are the same, which leaves nothing to whiten", "")
    chosen = directions[:, :dim]
    # the sign of a direction is free: its largest number is positive
    signs = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(dim)])
    matrix = (chosen * signs / np.sqrt(values[:dim] + SHRINKAGE * whole)).T
    variance = round(float(values[:dim].sum()) / whole, 4)
    return FittedWhitening(Whitener(mean, matrix.astype(np.float32)), fitted, variance)


_NOTHING = 1e-12  # variance that is rounding


def _every(source: EmbeddingSource, step: int) -> Iterator[NDArray[np.float32]]:
    """Every so many of the vectors, a block at a time."""
    start = 0
    for _, vectors in source.blocks(_ROWS, ["id"]):
        yield vectors[-start % step :: step]
        start += len(vectors)


def _refuse(dim: int, reason: str, hint: str) -> None:
    raise SettingError("whiten", reason, hint, value=str(dim))
