"""A query's first hits in a new order, by whom they have as neighbours: k-reciprocal encoding.

The set is the query and its first hits, nobody else: n items with the cosines s. With
d_ij = (1 - s_ij) / max_m (1 - s_im), N(i, k) item i itself and its k nearest others, K1 = 20,
K2 = 6 and L = 0.3:

    R(i, k)  = {j in N(i, k): i in N(j, k)}                                          (eq. 2)
    R*(i)    = R(i, K1) with every R(c, K1/2), c in R(i, K1), of which more than 2/3
               lie in R(i, K1)                                                       (eq. 3)
    V_ij     = exp(-d_ij) for j in R*(i), else 0; divided by its sum                 (eq. 7)
    V_i     := the mean of V_j over N(i, K2 - 1)                                     (eq. 11)
    J_i      = 1 - sum_m min(V_0m, V_im) / sum_m max(V_0m, V_im), 0 the query        (eq. 10)
    distance = (1 - L) J_i + L d_0i, in [0, 1]                                       (eq. 12)

Equally near items fall in the order of the hits.
Source: Zhong et al., Re-ranking person re-identification with k-reciprocal encoding, CVPR 2017; the
rows of V have the sum 1, and d is scaled, as in the authors' code. They rank all queries and the
whole gallery in one set; here each query has a set of its own, so that no other query counts.
"""

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers

K1, K2, SHARE = 20, 6, 0.3
_SAME = 10  # decimals, beyond which there is but rounding


def reciprocal_distances(similarities: Floats, among: Floats) -> Floats:
    """The distances [N] of hits to the query, by which they are ordered anew; see above.

    Args:
        similarities: Those of the hits to the query [N], best first.
        among: Those of the hits to each other [N, N].
    """
    cosines = np.ones((len(similarities) + 1, len(similarities) + 1))
    cosines[0, 1:] = cosines[1:, 0] = similarities
    cosines[1:, 1:] = among
    apart = np.maximum(1 - np.round(cosines, _SAME), 0)
    np.fill_diagonal(apart, 0)
    scaled = apart / np.maximum(apart.max(axis=1, keepdims=True), 1e-12)
    np.fill_diagonal(apart, -1)  # nobody is nearer, not even a copy
    order = apart.argsort(axis=1, kind="stable")
    wide, narrow = _reciprocal(order, K1), _reciprocal(order, round(K1 / 2))
    shared = narrow.astype(np.int64) @ wide.T  # [c, i]
    joins = wide.T & (3 * shared > 2 * narrow.sum(axis=1)[:, None])  # [c, i]
    expanded = wide | (joins.T.astype(np.int64) @ narrow > 0)
    weights = np.where(expanded, np.exp(-scaled), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    weights = weights[order[:, :K2]].mean(axis=1)
    common = np.minimum(weights[0], weights[1:]).sum(axis=1)
    jaccard = 1 - common / (2 - common)
    return np.asarray((1 - SHARE) * jaccard + SHARE * scaled[0, 1:])


def new_order(similarities: Floats, among: Floats) -> tuple[Integers, Floats]:
    """The places of hits in their new order [N], and the distances of all [N] as they came.

    Equally distant ones keep their order. Arguments as of `reciprocal_distances`.
    """
    if not len(similarities):
        return np.empty(0, np.int64), np.empty(0)
    distances = reciprocal_distances(similarities, among)
    return np.round(distances, _SAME).argsort(kind="stable"), distances


def _reciprocal(order: np.ndarray, k: int) -> Booleans:
    """Which items [n, n] are among the k nearest of each other; everyone is of itself."""
    near = np.zeros(order.shape, dtype=bool)
    np.put_along_axis(near, order[:, : k + 1], True, axis=1)
    return near & near.T
