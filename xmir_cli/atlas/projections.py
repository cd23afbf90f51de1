"""Vectors in a plane: their two principal axes, t-SNE or UMAP."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.atlas.axes import Axes, project
from xmir_cli.errors import DataError, SettingError
from xmir_cli.gallery.vectors import Vectors

AXES = 64  # principal axes that t-SNE, UMAP and a graph of neighbours work on
_FEWEST = 5  # images of which t-SNE and UMAP say anything
_TSNE_MOST = 50_000  # images, which take t-SNE half an hour on two cores
_PERPLEXITY, _NEIGHBORS = 30, 15  # the libraries' own
_PACKAGES = {"tsne": ("sklearn", "scikit-learn"), "umap": ("umap", "umap-learn")}


@dataclass(frozen=True, eq=False)
class Placement:
    """Where images lie in it [N, 2], and how that was found."""

    places: Floats
    settings: Mapping[str, object]


def refuse_method(method: str) -> None:
    """Raise DataError for a method whose library is not installed."""
    module, package = _PACKAGES.get(method, ("numpy", "numpy"))
    if find_spec(module) is None:
        raise DataError(f"`method` {method} needs {package}", "pip install 'xmir[atlas]'")


def refuse_size(method: str, count: int) -> None:
    """Raise SettingError for fewer images than a method can place, or more than it has time for."""
    if method == "pca":
        return
    if count < _FEWEST:
        raise SettingError(
            "method", f"needs {_FEWEST} images or more, and there are {count}", "", method
        )
    if method == "tsne" and count > _TSNE_MOST:
        raise SettingError(
            "method",
            f"takes hours for {count} images; the limit is {_TSNE_MOST}",
            f"Take umap or pca, or draw some of the images with `sample` {_TSNE_MOST // 2}.",
            method,
        )


def place(method: str, vectors: Vectors, axes: Axes, seed: int) -> Placement:
    """Images in the plane; t-SNE and UMAP work on what the principal axes keep of their vectors."""
    if method == "pca":
        return Placement(_two(project(vectors, axes)), {})
    kept = project(vectors, axes)
    settings = {"axes": kept.shape[1], "kept": float(axes.shares.sum())}
    scaled = kept.astype(np.float32)
    return _tsne(scaled, seed, settings) if method == "tsne" else _umap(scaled, seed, settings)


def _tsne(kept: np.ndarray, seed: int, settings: Mapping[str, object]) -> Placement:
    """Source: van der Maaten, Accelerating t-SNE using tree-based algorithms, JMLR 2014."""
    from sklearn.manifold import TSNE  # noqa: PLC0415 # an extra

    perplexity = min(_PERPLEXITY, (len(kept) - 1) / 3)
    init = _two(kept) / max(float(kept[:, 0].std()), 1e-12) * 1e-4  # as scikit-learn's own by PCA
    found = TSNE(2, perplexity=perplexity, init=init.astype(np.float32), random_state=seed)
    places = found.fit_transform(kept)
    return Placement(places.astype(np.float64), {**settings, "perplexity": perplexity})


def _umap(kept: np.ndarray, seed: int, settings: Mapping[str, object]) -> Placement:
    """Source: McInnes, Healy and Melville, UMAP, arXiv 1802.03426, 2018."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba and of tensorflow, which is not there
        from umap import UMAP  # noqa: PLC0415 # an extra

        neighbors = min(_NEIGHBORS, len(kept) - 1)
        init = "spectral" if len(kept) > _NEIGHBORS else "random"  # which needs more than its axes
        # one thread: with several the same seed gives another picture each time
        found = UMAP(n_neighbors=neighbors, init=init, random_state=seed, n_jobs=1)
        places = found.fit_transform(kept)
    return Placement(np.asarray(places, np.float64), {**settings, "neighbors": neighbors})


def _two(placed: Floats) -> Floats:
    """The first two axes; of vectors of one number the second is 0."""
    return np.pad(placed[:, :2], ((0, 0), (0, max(0, 2 - placed.shape[1]))))
