"""Which rows earlier runs have made, in some sixty bytes a row: where each lies, and of what."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from xmir_cli.store.names import escape_name
from xmir_cli.store.row_files import TOLD
from xmir_cli.wire.columns import DECODED

_ENTRY = np.dtype(
    [("path", "<u8", 2), ("sha256", "u1", 32), ("place", "<i8"), ("told", "u1"), ("decoded", "<i4")]
)


@dataclass(frozen=True)
class KnownRow:
    """A row that need not be made again if its file is the same."""

    sha256: str  # of the file
    place: int  # where the row lies: see RowFiles
    told: tuple[str, ...] = ()  # the columns that the file itself tells
    decoded: str = ""  # what had to be done to the picture


class KnownRows:
    """The rows of earlier runs by the path of their image; of two of one path the later holds."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._decoded: dict[str, int] = {"": 0}
        self._texts = [""]
        self._entries = np.empty(0, _ENTRY)
        self._first = np.empty(0, np.uint64)  # halves of the keys, on their own to be searched

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self, paths: Sequence[str], made: pa.Table, places: np.ndarray) -> np.ndarray:
        """What is to be known of rows [n] of images at these paths, that lie at `places`.

        Raises ValueError for a hash that is none.
        """
        block = np.zeros(len(paths), _ENTRY)
        block["path"] = [_key(path) for path in paths]
        hashes = [bytes.fromhex(text) for text in made["sha256"].to_pylist()]
        if {len(each) for each in hashes} - {32}:
            raise ValueError("sha256")
        block["sha256"] = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)
        block["place"] = places
        for bit, name in enumerate(TOLD):
            there = made[name].is_valid().to_numpy().astype(np.uint8)
            block["told"] |= there << bit
        done = [text or "" for text in made[DECODED].to_pylist()]
        block["decoded"] = [self._decoded.setdefault(text, len(self._decoded)) for text in done]
        return block

    def add(self, blocks: Sequence[np.ndarray]) -> None:
        """Take up such entries, to be found after `sort`."""
        self._blocks.extend(blocks)

    def sort(self) -> None:
        """Make what was added findable."""
        together = np.concatenate([self._entries, *self._blocks])
        self._blocks = []
        path = together["path"]
        together = together[np.lexsort((path[:, 1], path[:, 0]))]  # those of one path as they came
        last = np.ones(len(together), bool)
        last[:-1] = (together["path"][1:] != together["path"][:-1]).any(axis=1)
        self._entries, self._texts = together[last], list(self._decoded)
        self._first = np.ascontiguousarray(self._entries["path"][:, 0])

    def find(self, path: str) -> KnownRow | None:
        """The row of an image, if an earlier run made it."""
        first, second = _key(escape_name(path))
        start = int(np.searchsorted(self._first, np.uint64(first)))
        for entry in self._entries[start : start + 2]:  # 2: halves of keys may be equal
            if tuple(entry["path"].tolist()) == (first, second):
                return KnownRow(
                    entry["sha256"].tobytes().hex(),
                    int(entry["place"]),
                    tuple(name for bit, name in enumerate(TOLD) if entry["told"] >> bit & 1),
                    self._texts[entry["decoded"]],
                )
        return None


def _key(path: str) -> tuple[int, int]:
    digest = hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
