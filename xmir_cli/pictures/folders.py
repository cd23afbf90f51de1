"""Images in folders: by the endings of their names or by how files begin; others are counted.

DICOM files often have no ending: a CD names them IM000001, an archive by their number.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from xmir_cli import console
from xmir_cli.store.manifest import is_manifest

_HEAD = 1024  # bytes that tell what a file is
_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,9}\Z")  # .113 is a part of a number
_NAMED = 6  # kinds of files that a note counts one by one


class FolderSearch:
    """Finds the images below folders, and counts what it leaves out."""

    def __init__(self) -> None:
        self._left: Counter[str] = (
            Counter()
        )  # files by the ending of their name, or by what they are

    def find(self, folder: str) -> list[str]:
        """The images below a folder, sorted; links are followed, but no folder is entered twice."""
        return sorted(self._walk(folder, set()), key=lambda file: Path(file).parts)

    def keeps(self, path: str) -> bool:
        """Whether a file is an image; others are counted."""
        from xmir_cli.images.formats import extensions  # noqa: PLC0415 # Pillow; ids need no image

        if path.lower().endswith(extensions()):
            return True
        ending = _ENDING.search(path)
        kind = _kind(path, has_ending=ending is not None)
        if kind and not is_manifest(path):  # a table beside the images that it is about
            self._left[kind if ending is None else ending[0].lower()] += 1
        return not kind

    def tell(self) -> None:
        """One line about the files that were left out, if any."""
        total = self._left.total()
        if not total:
            return
        kinds = sorted(self._left.items(), key=lambda kind: (-kind[1], kind[0]))
        parts = [f"{count} {kind}" for kind, count in kinds[:_NAMED]]
        if rest := sum(count for _, count in kinds[_NAMED:]):
            parts.append(f"{rest} of other kinds")
        files = (
            "1 file is no image and is" if total == 1 else f"{total} files are no images and are"
        )
        console.note(f"{files} left out of the folders: {', '.join(parts)}")

    def _walk(self, folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except PermissionError:
            yield folder  # becomes a skip that names it
            return
        for entry in entries:
            if entry.name.startswith("."):
                self._left["hidden"] += 1
            elif _is_folder(entry):
                yield from self._walk(entry.path, seen)
            elif self.keeps(entry.path):
                yield entry.path


def _kind(path: str, has_ending: bool) -> str:
    """What a file is that is no image; empty for an image."""
    from xmir_cli.images.formats import kind_of_head  # noqa: PLC0415 # Pillow; ids need no image

    if not os.path.isfile(path):  # noqa: PTH113 # twice as fast as a Path
        return "no regular file"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            head = os.read(descriptor, _HEAD)
        finally:
            os.close(descriptor)
    except OSError:
        return "unreadable" if has_ending else ""  # what may be an image becomes a skip
    return kind_of_head(head, has_ending)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
