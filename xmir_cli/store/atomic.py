"""Every file is written beside its place, synced, renamed: the old one, the new one, or none."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from xmir_cli.errors import ExistsError


def refuse_existing(path: Path, force: bool) -> None:
    """Raise ExistsError when `path` is there and may not be replaced."""
    if path.exists() and not force:
        raise ExistsError(f"{path}: exists already", "Replace it with --force.")


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` only when the block ends without an error.

    A symbolic link is followed, so that what it points to is replaced. Raises OSError; nothing is
    left behind then, and what stood under `path` stays.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".xmir-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A folder that takes the name `path`, replacing what stood there, when the block ends well."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".xmir-{secrets.token_hex(8)}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        for file in temporary.iterdir():
            _sync(file)
        _sync_folder(temporary)
        if target.exists():
            old = target.with_name(f".xmir-{secrets.token_hex(8)}.old")
            target.rename(old)
            temporary.rename(target)
            shutil.rmtree(old)
        else:
            temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_folder(target.parent)


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
