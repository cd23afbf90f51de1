"""Which images numbers are of, in a hash: two runs over the same ones have the same."""

import hashlib
from collections.abc import Iterable

import pyarrow as pa

from xmir_cli.pictures.identity import identity_of

_COLUMNS = ("sha256", "path", "id")


def hash_images(*sets: pa.Table) -> str:
    """The hash of the sorted identities of each set of items, as `hash_names` makes it.

    An image whose file's hash nobody knows is named by its id.
    """
    named = []
    for items in sets:
        columns = [
            items[name].to_pylist() if name in items.column_names else [None] * len(items)
            for name in _COLUMNS
        ]
        named.append(
            identity_of(str(sha256), str(path)) if sha256 else str(name)
            for sha256, path, name in zip(*columns, strict=True)
        )
    return hash_names(*named)


def hash_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """The hash of pairs, each once: who asks, and the identity of what is found."""
    return hash_names(" ".join(filter(None, pair)) for pair in set(pairs))


def hash_names(*sets: Iterable[str]) -> str:
    """SHA-256 over the sorted names of each set, a line each, with an empty line behind."""
    digest = hashlib.sha256()
    for names in sets:
        digest.update("".join(f"{each}\n" for each in [*sorted(names), ""]).encode())
    return digest.hexdigest()
