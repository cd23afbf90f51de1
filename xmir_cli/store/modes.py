"""Who may read what is written: as before where something is replaced, else as the user's umask."""

import os
import stat
from contextlib import suppress
from pathlib import Path

_BITS = 0o777


def keep_mode(descriptor: int, before: Path) -> None:
    """Give an open file or folder the mode of the one of its kind that it is to replace.

    Where none is there it gets that of any new one. What cannot be given to the same group is given
    to none.
    """
    own = os.fstat(descriptor)
    old = _of_kind(before, own.st_mode)
    if old is None:
        usual = 0o777 if stat.S_ISDIR(own.st_mode) else 0o666
        _set_mode(descriptor, own, usual & ~_umask())
        return
    mode = stat.S_IMODE(old.st_mode) & _BITS
    if old.st_gid != own.st_gid:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except OSError:
            mode &= ~stat.S_IRWXG
    if old.st_uid != own.st_uid:
        with suppress(OSError):  # root alone can give a file away
            os.fchown(descriptor, old.st_uid, -1)
    _set_mode(descriptor, own, mode)


def _set_mode(descriptor: int, own: os.stat_result, mode: int) -> None:
    if stat.S_IMODE(own.st_mode) != mode:  # else the time of a change is only of what is written
        os.fchmod(descriptor, mode)


def _of_kind(path: Path, mode: int) -> os.stat_result | None:
    with suppress(OSError):
        found = path.lstat()
        if stat.S_IFMT(found.st_mode) == stat.S_IFMT(mode):
            return found
    return None


def _umask() -> int:
    with suppress(OSError, ValueError, StopIteration):  # only Linux tells it without setting it
        lines = Path("/proc/self/status").read_bytes().splitlines()
        return int(next(line for line in lines if line.startswith(b"Umask:")).split()[1], 8)
    found = os.umask(0o077)
    os.umask(found)
    return found
