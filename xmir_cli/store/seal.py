"""A checksum over what a file says of itself, where pages and tensors have checksums of their own.

It is over texts, so that it lasts as long as they do: in a table that another program has filtered
or written again, too. Files of earlier versions have none and are read all the same.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Final

SEAL: Final = "checksum"
_SEALED: Final = "sealed"  # says that there is a checksum, should its name be damaged


def seal(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts with their checksum among them."""
    plain = _without(texts)
    return {**plain, _SEALED: "yes", SEAL: _checksum(plain)}


def unseal(texts: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """The texts without their checksum, and whether there was one; ValueError when it is wrong."""
    plain = _without(texts)
    if SEAL not in texts and _SEALED not in texts:
        return plain, False
    if texts.get(SEAL) != _checksum(plain) or texts.get(_SEALED) != "yes":
        raise ValueError(SEAL)
    return plain, True


def _without(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if name not in {SEAL, _SEALED}}


def _checksum(texts: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()
