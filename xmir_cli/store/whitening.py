"""The whitening of an index, as it is kept and as it is applied.

    f' = W (f - m), at length 1 again

with the mean m [D] of the index's unit embeddings and a matrix W [d, D]. The file is one matrix
[d + 1, D]: the mean, then the rows of W.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xmir_cli.arrays import NOTHING_LEFT
from xmir_cli.errors import DataError
from xmir_cli.store.arrays import read_array
from xmir_cli.store.hashes import sha256_file
from xmir_cli.wire.model import Whitening

_ROWS = 4096  # multiplied together


@dataclass(frozen=True, eq=False)
class Whitener:
    """A mean [D] and a matrix [d, D], float32."""

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]

    def whiten(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Unit vectors [n, D] as unit vectors [n, d]; zero where nothing is left."""
        found = np.empty((len(vectors), len(self.matrix)), np.float32)
        across = self.matrix.T.astype(np.float64)
        for start in range(0, len(vectors), _ROWS):
            left = vectors[start : start + _ROWS].astype(np.float64) - self.mean
            rows = left @ across
            lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
            unit = np.where(lengths > NOTHING_LEFT, rows / np.maximum(lengths, NOTHING_LEFT), 0)
            found[start : start + _ROWS] = unit
        return found

    def packed(self) -> NDArray[np.float32]:
        """What the file holds [d + 1, D]."""
        return np.concatenate([self.mean[None], self.matrix])


def read_whitener(whitening: Whitening) -> Whitener:
    """The whitening that a model's description names; raises DataError where it is another one."""
    path = Path(whitening.file)
    if not path.is_file():
        hint = "It lies in the index; query that again where it is now."
        raise DataError(f"{path}: no such whitening of an index", hint)
    if sha256_file(path) != whitening.sha256:
        raise DataError(
            f"{path}: not the recorded whitening", "The index was built again: query it again."
        )
    packed = read_array(path)
    if packed.ndim != 2 or len(packed) < 2:
        raise DataError(f"{path}: not the whitening of an index")
    return Whitener(packed[0].astype(np.float32), packed[1:].astype(np.float32))
