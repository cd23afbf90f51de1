"""Which images numbers are of, in a hash: two runs over the same ones have the same."""

import hashlib
from collections.abc import Iterable

from xmir_cli.pictures.identity import identity_of
from xmir_cli.store.embeddings import Embeddings

_COLUMNS = ("sha256", "path", "id")


def hash_images(*sets: Embeddings) -> str:
    """The hash of the sorted identities of each set, as `hash_names` makes it.

    An image whose file's hash nobody knows is named by its id.
    """
    named = []
    for images in sets:
        columns = [
            images.items[name].to_pylist()
            if name in images.items.column_names
            else [None] * len(images.items)
            for name in _COLUMNS
        ]
        named.append(
            identity_of(str(sha256), str(path)) if sha256 else str(name)
            for sha256, path, name in zip(*columns, strict=True)
        )
    return hash_names(*named)


def hash_names(*sets: Iterable[str]) -> str:
    """SHA-256 over the sorted names of each set, a line each, with an empty line behind."""
    digest = hashlib.sha256()
    for names in sets:
        digest.update("".join(f"{each}\n" for each in [*sorted(names), ""]).encode())
    return digest.hexdigest()
