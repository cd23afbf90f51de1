"""The training pictures at the network's scale, in memory as long as there is room."""

import hashlib
import threading
from collections.abc import Callable

from xmir_cli.images.picture import Picture

ROOM = 2 << 30  # bytes


class Pictures:
    """Resized pictures by path: decoded once while `room` bytes hold them, beyond that each time.

    `load` decodes and resizes; its errors pass through. Safe to call from several threads.
    """

    def __init__(self, load: Callable[[str], Picture], room: int = ROOM) -> None:
        self._load, self._room = load, room
        self._kept: dict[str, Picture] = {}
        self._lock = threading.Lock()

    def __call__(self, path: str) -> Picture:
        kept = self._kept.get(path)
        if kept is not None:
            return kept
        picture = self._load(path)
        with self._lock:
            size = len(picture.pixels.getbands()) * picture.width * picture.height
            size *= 4 if picture.pixels.mode == "F" else 1
            if size <= self._room and path not in self._kept:
                self._room -= size
                self._kept[path] = picture
        return picture

    def fingerprint(self, path: str) -> str:
        """A hash of what the network may see of the picture; equal for copies of a file."""
        picture = self(path)
        shape = f"{picture.pixels.mode} {picture.width} {picture.height} "
        return hashlib.sha256(shape.encode() + picture.pixels.tobytes()).hexdigest()
