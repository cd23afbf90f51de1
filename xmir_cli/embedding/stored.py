"""Vectors that are stored, and the network that made them: what a linear head is trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from xmir_cli.errors import DataError, ModelError
from xmir_cli.gallery.vectors import unit_rows
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder
from xmir_cli.model.resolve import resolve_model
from xmir_cli.store.cells import to_text
from xmir_cli.store.embedding_source import EmbeddingSource, gather
from xmir_cli.store.embeddings import open_embeddings
from xmir_cli.store.names import restore_name
from xmir_cli.wire.model import ModelSpec

_TOLD = ("label", "patient", "split")


@dataclass(frozen=True)
class StoredVectors:
    """Vectors [N, D] of length 1 but for those of no use, with what is known of each."""

    items: pa.Table  # [N]
    vectors: np.ndarray
    base: Embedder  # what made them

    def told(self, dim: int) -> str:
        """What is trained on them, for people."""
        made_by = f"{self.base.spec.architecture} {self.base.spec.weights_sha256[:12]}"
        head = f"a linear head from {self.base.dim} to {dim} numbers on the stored vectors"
        return f"no image is read: {head} of {made_by}, which stays as it is"

    def rows(self, names: Mapping[str, str]) -> list[tuple[str, str, dict[str, str | None]]]:
        """Id, number and label, patient and split of each; `names` says which columns those are."""
        columns = {told: self._texts(names.get(told, told), told in names) for told in _TOLD}
        ids = [restore_name(text) for text in self.items["id"].to_pylist()]
        return [
            (name, str(row), {told: column[row] for told, column in columns.items()})
            for row, name in enumerate(ids)
        ]

    def _texts(self, column: str, is_named: bool) -> Sequence[str | None]:
        if column in self.items.column_names:
            return [to_text(value) for value in self.items[column].to_pylist()]
        if is_named:
            there = ", ".join(self.items.column_names)
            raise DataError(f"no column {column!r} in the embeddings; there are {there}")
        return [None] * len(self.items)


def read_stored(source: str, choice: ModelChoice, device: str) -> StoredVectors:
    """The vectors of a file or a folder, and their network with the weights that are recorded.

    `choice` says where network and weights lie now, if elsewhere. All is held in memory: 4 bytes a
    number. Raises ModelError for another network than made the vectors, DataError for a file that
    does not say which one did.
    """
    found = open_embeddings(source)
    base = load_embedder(_described(found, choice), device)
    if base.dim != found.dim:
        raise ModelError(f"{source}: vectors of {found.dim} numbers; its model makes {base.dim}")
    if (whole := gather(found)).rows == 0:
        raise DataError(f"{source}: no rows")
    return StoredVectors(whole.items, unit_rows(whole.vectors)[0], base)


def only(stored: StoredVectors, chosen: np.ndarray) -> StoredVectors:
    """Some of the rows [N]."""
    items = stored.items.filter(pa.array(chosen))
    return replace(stored, items=items, vectors=stored.vectors[chosen])


def _described(found: EmbeddingSource, choice: ModelChoice) -> ModelSpec:
    """The model that the vectors tell, where it is now."""
    spec = found.model
    if choice.architecture is None and choice.weights is None:
        return spec
    place = resolve_model(replace(choice, architecture=choice.architecture or spec.architecture))
    weights = spec.weights if choice.weights is None else place.weights
    return replace(spec, architecture=place.architecture, weights=weights)
