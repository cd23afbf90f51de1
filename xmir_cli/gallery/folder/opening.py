"""The files of an index opened together: all of one index, also while another takes its place."""

import os
import sys
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from xmir_cli.errors import DataError
from xmir_cli.gallery.folder.graph_file import check_graph_file
from xmir_cli.gallery.folder.manifest import (
    AGAIN,
    GRAPH,
    NAME,
    Manifest,
    read_index_manifest,
    verify,
)
from xmir_cli.gallery.folder.verified import verify_once
from xmir_cli.gallery.protocol import GraphSettings
from xmir_cli.store.regular import open_regular

_TIMES = 1000  # that an index may be replaced while it is opened


@dataclass(frozen=True, eq=False)
class OpenIndex:
    """An index and its files, open for as long as it is held."""

    folder: Path
    manifest: Manifest
    files: Mapping[str, BufferedReader]

    def find(self, name: str) -> Path:
        """Where a file can be read once it was compared as `verify_once` does; or DataError."""
        look = self._look_at_graph if name == GRAPH else None
        return verify_once(self.folder, name, self.manifest, look, self._place(name))

    def check(self, name: str) -> Path:
        """The same, every byte of it compared now."""
        found = verify(self.folder, name, self.manifest, self._place(name))
        if name == GRAPH:
            self._look_at_graph(found)
        return found

    def _look_at_graph(self, place: Path) -> None:
        settings = self.manifest.settings or GraphSettings()
        size = self.manifest.rows, self.manifest.dim
        check_graph_file(place, *size, settings.m, self.folder / GRAPH)

    def _place(self, name: str) -> Path | None:
        """Where the open file is; None for its name, under which another may lie by now."""
        if name not in self.files:
            raise DataError(f"{self.folder / name}: damaged index (missing)", AGAIN)
        if sys.platform != "linux":
            return None
        return Path(f"/proc/self/fd/{self.files[name].fileno()}")


def open_index(folder: Path) -> OpenIndex:
    """Open an index; raises DataError when it is none or damaged, as its manifest tells."""
    for _ in range(_TIMES):
        before = _mark(folder)
        try:
            found = _open(folder)
        except DataError:
            if _mark(folder) == before:
                raise
            continue
        if _mark(folder) == before:
            return found
    raise DataError(f"{folder}: replaced again and again while it was opened")


def _open(folder: Path) -> OpenIndex:
    manifest = read_index_manifest(folder)
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(open_regular(folder / name))
            for name in manifest.files
            if os.path.lexists(folder / name)
        }
        found = OpenIndex(folder, manifest, files)
        weakref.finalize(found, stack.pop_all().close)
    return found


def _mark(folder: Path) -> tuple[int, ...]:
    """Which folder has the name, by the manifest in it; nothing where there is none."""
    try:
        found = (folder / NAME).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns
