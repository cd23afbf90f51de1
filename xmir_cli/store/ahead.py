"""A pipe read ahead, so that it is known how many lines come; who waits for an end wants that."""

import threading
from collections import deque
from typing import TextIO

_HELD = 32 << 20  # characters at most that are read and not taken


class Ahead:
    """The lines of a stream, read by a thread; `total` is how many there are, once it ended."""

    def __init__(self, stream: TextIO, limit: int) -> None:
        self.total: int | None = None
        self._stream, self._limit = stream, limit
        self._pieces: deque[str | BaseException] = deque()
        self._held = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def readline(self, limit: int) -> str:
        """The next line, or so many characters of it; empty at the end."""
        assert limit == self._limit
        with self._changed:
            self._changed.wait_for(lambda: self._pieces)
            piece = self._pieces[0]
            if isinstance(piece, BaseException):
                raise piece
            if piece:  # else the end, which stays
                self._pieces.popleft()
                self._held -= len(piece)
                self._changed.notify()
            return piece

    def close(self) -> None:
        """Nothing: the thread may be reading, and ends with the process."""

    def _read(self) -> None:
        lines, piece = 0, "\n"
        while piece:
            try:
                piece = self._stream.readline(self._limit)
            except (OSError, ValueError) as error:
                self._put(error)
                return
            lines += piece.endswith("\n")
            if not piece:
                self.total = lines
            self._put(piece)

    def _put(self, piece: str | BaseException) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._held < _HELD)
            self._pieces.append(piece)
            self._held += len(piece) if isinstance(piece, str) else 0
            self._changed.notify()
