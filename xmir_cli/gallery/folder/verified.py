"""Files that were compared with their checksums once and have not changed since.

Hashing a gigabyte takes a second, a look at its size and times nothing. What was found stands in
the user's cache; a file whose size, times or place in the file system differ is hashed again.
"""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from xmir_cli.errors import DataError
from xmir_cli.gallery.folder.manifest import Manifest, verify
from xmir_cli.store.atomic import atomic_file

# ns; a file changed again within a tick of its clock keeps its times: where they show parts of a
# microsecond a tick is some 10 ms, else it may be the 2 s of a memory card
_FINE, _COARSE = 30_000_000, 2_000_000_000
_LOOK = 2  # which look was taken: notes of an earlier one do not count


def verify_once(
    folder: Path,
    name: str,
    manifest: Manifest,
    look: Callable[[Path], None] | None = None,
    place: Path | None = None,
) -> Path:
    """As `verify`, but a file that has not changed since it was found whole is not read again.

    `look` raises DataError for what is wrong inside it: a checksum can be forged, too.
    """

    def read() -> Path:
        found = verify(folder, name, manifest, place)
        if look is not None:
            look(found)
        return found

    path = folder / name if place is None else place
    try:
        mark, note = _mark(path, manifest.files[name][1]), _note(folder / name)
    except (KeyError, OSError, RuntimeError):  # the file is missing, or the user's home is
        return read()
    with suppress(OSError, ValueError):
        if note.read_text() == mark:
            return path
    read()
    if _is_settled(path, time.time_ns()):
        _write(note, mark)
    return path


def clock_of_writing() -> int:
    """The time in ns, once a change of what was written by now would show in a file's times."""
    time.sleep(1.1e-9 * _FINE)
    return time.time_ns()


def remember(folder: Path, manifest: Manifest, hashed: int) -> None:
    """Note the files of an index just built, whose checksums were taken from the time `hashed` on.

    `hashed` is in ns; a file that was not long written by then is read again when it is opened.
    """
    for name, (_, sha256) in manifest.files.items():
        with suppress(OSError, RuntimeError):
            mark, note = _mark(folder / name, sha256), _note(folder / name)
            if _is_settled(folder / name, hashed):
                _write(note, mark)


def _is_settled(path: Path, when: int) -> bool:
    """Whether a change since the time `when`, in ns, would show in the file's times."""
    status = path.stat()
    latest = max(status.st_mtime_ns, status.st_ctime_ns)
    return when - latest > (_FINE if latest % 1000 else _COARSE)


def _mark(path: Path, sha256: str) -> str:
    """What stays the same as long as the file does; its change time cannot be set back."""
    found = path.stat()
    return (
        f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {sha256} {_LOOK}"
    )


def notes_folder() -> Path:
    """Where it is noted which files were found whole."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "xmir" / "checked"


def _note(path: Path) -> Path:
    return notes_folder() / hashlib.sha256(os.fsencode(path.absolute())).hexdigest()


def _write(note: Path, mark: str) -> None:
    """Whole or not at all; without a cache the file is read again the next time."""
    with suppress(OSError, DataError):
        note.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(note, settled=False) as file:
            file.write(mark.encode())
