"""Embeddings whose file does not say which model made them: somebody says it, images prove it."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from xmir_cli import console
from xmir_cli.arrays import Floats
from xmir_cli.errors import DataError, ItemError, ModelError
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.pictures.reading import read_image
from xmir_cli.store.embeddings import (
    Embeddings,
    EmbeddingSource,
    open_embeddings,
    read_embeddings,
)
from xmir_cli.store.names import restore_name

_PROOFS = 5  # images that are embedded again
_ALIKE = 0.999  # cosine; bf16 and other processors move it less
_BLOCK = 8192  # rows read at once
_TRIES = 100  # rows that are looked at for one whose image is still here


def read_vouched(source: str, choice: ModelChoice) -> Embeddings:
    """The same in memory; DataError for NaN and infinity, too."""
    embedder = load_embedder(resolve_model(choice))
    found = read_embeddings(source, vouched=embedder.spec)
    _prove(source, found, embedder)
    return found


def open_vouched(source: str, choice: ModelChoice, folder: Path | None = None) -> EmbeddingSource:
    """Embeddings that the model of `choice` is said to have made, which a few of them prove.

    `folder` is as `open_embeddings` says. Raises ModelError for vectors of another length, and for
    a file that names another model; DataError for vectors that the model does not make of their
    images.
    """
    embedder = load_embedder(resolve_model(choice))
    found = open_embeddings(source, embedder.spec, folder)
    _prove(source, found, embedder)
    return found


def _prove(source: str, found: EmbeddingSource, embedder: Embedder) -> None:
    name = f"{embedder.spec.architecture} {embedder.spec.weights_sha256[:12]}"
    if not found.model.same_embedding(embedder.spec):
        made = f"{found.model.architecture} {found.model.weights_sha256[:12]}"
        raise ModelError(f"{source}: made by {made}, not by {name}; or prepared otherwise")
    if found.dim != embedder.dim:
        raise ModelError(f"{source}: vectors of {found.dim} numbers; {name} makes {embedder.dim}")
    count = 0
    for path, similarity in _compare(found, embedder):
        count += 1
        if not similarity >= _ALIKE:
            raise DataError(
                f"{source}: {name} makes another vector of {path} (cosine {similarity:.4f})",
                "Name the model, its weights and its preprocessing as they were.",
            )
    if count:
        console.note(f"{source}: {name} makes the same vectors of {count} of its images")
    else:
        console.warning(f"{source}: none of its images is here to prove that {name} made it")


def _compare(found: EmbeddingSource, embedder: Embedder) -> Iterator[tuple[str, float]]:
    """Paths of images that are still the same, and how like their vector is to what it was."""
    last = found.rows - 1
    rows = np.unique(np.linspace(0, last, min(_TRIES, last + 1)).astype(int)).tolist()
    proofs = 0
    tried = _take(found, rows)
    for row in _from_all_over(rows):
        path, sha256, vector = tried[row]
        try:
            reading = read_image(restore_name(path), embedder.recipe)
        except ItemError:
            continue
        if reading.sha256 != sha256:
            continue
        proofs += 1
        again = embedder.embed(reading.input[None], 1).numpy()[0].astype(np.float64)
        yield (
            path,
            float(vector @ again / max(np.linalg.norm(vector) * np.linalg.norm(again), 1e-12)),
        )
        if proofs == _PROOFS:
            return


def _take(found: EmbeddingSource, rows: Sequence[int]) -> dict[int, tuple[str, str, Floats]]:
    """Paths, hashes and vectors of rows."""
    taken, start = {}, 0
    for items, vectors in found.blocks(_BLOCK, ["path", "sha256"]):
        for row in rows[bisect_left(rows, start) : bisect_left(rows, start + len(vectors))]:
            path, sha256 = (items[name][row - start].as_py() for name in ("path", "sha256"))
            taken[row] = path, sha256, vectors[row - start].astype(np.float64)
        start += len(vectors)
    return taken


def _from_all_over(rows: Sequence[int]) -> list[int]:
    """The rows in an order that begins with both ends, then leaps: files may be two in one."""
    between = np.random.default_rng(0).permutation(rows[1:-1]).tolist()
    return [*rows[:1], *rows[1:][-1:], *between]
