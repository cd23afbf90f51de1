"""File hashes, and file names made from names that nobody checked."""

import hashlib
import re
from functools import lru_cache
from pathlib import Path

from xmir_cli.store.regular import open_regular

_LENGTH = 40  # characters kept of a name that had to be changed
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9._-]{0,63}")
_HASHED = re.compile(r".*-[0-9a-f]{16}")


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read piece by piece; raises DataError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(4096)
def safe_name(text: str) -> str:
    """A file name for any text: ASCII, at most 64 characters, no separator, no leading dot or dash.

    Plain short lower-case names stay as they are. All others are cleaned and get 16 hexadecimal
    digits of their SHA-256, so that different texts get different names even on a disk that
    ignores case or normalises Unicode.
    """
    if _PLAIN.fullmatch(text) and not _HASHED.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "_", text)[-_LENGTH:].strip("._-")
    return f"{cleaned}-{digest}" if cleaned else digest
