"""Kept on disk: what a method found about one image under one network, such as hidden windows."""

import json
from collections.abc import Hashable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xmir_cli.errors import DataError
from xmir_cli.explain.provenance import hash_origin, made_of, read_provenance, write_provenance
from xmir_cli.model.embedder import Embedder
from xmir_cli.store.arrays import read_array, write_small_array
from xmir_cli.wire.records import Record


@dataclass(frozen=True)
class MemoFolder:
    """A folder in which the memos of images outlive the command, at full or half precision."""

    folder: Path
    half: bool = False

    def memo(self, embedder: Embedder, identity: str) -> "KeptMemo":
        """The memo of the image with that identity."""
        return KeptMemo(self, made_of(embedder, {"image_sha256": identity, "half": self.half}))


class KeptMemo(MutableMapping[Hashable, Tensor]):
    """What is remembered of one image: in memory, and as files that later commands find again.

    A file that is damaged or made of something else counts as not there and is made again.
    """

    def __init__(self, keep: MemoFolder, origin: Record) -> None:
        self._keep, self._origin = keep, origin
        self._held: dict[Hashable, Tensor] = {}

    def __getitem__(self, key: Hashable) -> Tensor:
        if key not in self._held:
            self._held[key] = self._read(key)
        return self._held[key]

    def __setitem__(self, key: Hashable, value: Tensor) -> None:
        array = value.half().numpy() if self._keep.half else value.numpy()
        origin, path = self._place(key)
        self._keep.folder.mkdir(parents=True, exist_ok=True)
        sha256 = write_small_array(path, array)
        found: Record = {"evaluations": 0, "details": {}}
        write_provenance(path.with_suffix(".json"), origin, found, sha256)
        self._held[key] = torch.from_numpy(array.astype(np.float32))  # the same now and later

    def __delitem__(self, key: Hashable) -> None:
        del self._held[key]

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def _read(self, key: Hashable) -> Tensor:
        origin, path = self._place(key)
        if read_provenance(path.with_suffix(".json"), origin, path) is None:
            raise KeyError(key)
        try:
            return torch.from_numpy(read_array(path).astype(np.float32))
        except DataError:
            raise KeyError(key) from None

    def _place(self, key: Hashable) -> tuple[Record, Path]:
        origin: Record = {**self._origin, "key": json.loads(json.dumps(key))}
        return origin, self._keep.folder / f"{hash_origin(origin)}.npy"
