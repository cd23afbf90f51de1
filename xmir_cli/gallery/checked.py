"""Files that were compared with their checksums once and have not changed since.

Hashing a gigabyte takes a second, a look at its size and times nothing. What was found stands in
the user's cache; a file whose size, times or place in the file system differ is hashed again.
"""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from xmir_cli.gallery.manifest import Manifest, verify

_SETTLED = 2_000_000_000  # ns; a file changed again within a tick of its clock keeps its times


def verify_once(folder: Path, name: str, manifest: Manifest) -> Path:
    """As `verify`, but a file that has not changed since it was found whole is not read again."""
    path = folder / name
    try:
        mark, note = _mark(path, manifest.files[name][1]), _note(path)
    except (KeyError, OSError, RuntimeError):  # the file is missing, or the user's home is
        return verify(folder, name, manifest)
    with suppress(OSError, ValueError):
        if note.read_text() == mark:
            return path
    verify(folder, name, manifest)
    status = path.stat()
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED:
        _write(note, mark)
    return path


def _mark(path: Path, sha256: str) -> str:
    """What stays the same as long as the file does; its change time cannot be set back."""
    found = path.stat()
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {sha256}"


def _note(path: Path) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
    return cache / "xmir" / "checked" / name


def _write(note: Path, mark: str) -> None:
    """Whole or not at all; without a cache the file is read again the next time."""
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        fresh = note.with_name(f"{note.name}-{os.getpid()}")
        fresh.write_text(mark)
        fresh.replace(note)
