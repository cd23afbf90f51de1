"""What arrays of numbers are called, and what holds for those that are cosines."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

NOTHING_LEFT = 1e-4  # the distance of unit embeddings from a mean below which there is but rounding


def clip_cosines(products: Floats) -> Floats:
    """Products of unit vectors as cosines: what rounding put beyond [-1, 1] is cut off."""
    return np.clip(products, -1.0, 1.0)
