"""One line of progress below a cell of a notebook, where standard error is no terminal."""

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

_SECONDS = 1.0  # between two looks: each is a message to the browser
_WIDTH = 80  # cells


def is_notebook() -> bool:
    """Whether what is written to standard error stands below a cell of Jupyter."""
    return type(sys.stderr).__module__.startswith("ipykernel.")


class CellLine:
    """The line, which a thread writes anew each second in the place of the one before."""

    def __init__(
        self, describe: Callable[[int], str | None], writing: AbstractContextManager[object]
    ) -> None:
        """`describe` gives the line in at most so many cells, None where there is nothing.

        `writing` is held while anything is written; whoever holds it may take it once more.
        """
        self._describe = describe
        self._longest = 0  # cells that are written on
        self._stream = sys.stderr
        self._writing = writing
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="xmir-cell", daemon=True)
        self._thread.start()

    def clear(self) -> None:
        """Leave the place of the line empty, for something else to be written there."""
        with self._writing:
            if self._longest:
                self._write(f"\r{' ' * self._longest}\r")
                self._longest = 0

    def close(self) -> None:
        """End, and leave nothing behind."""
        self._ended.set()
        self._thread.join()
        self.clear()

    def _draw(self) -> None:
        while not self._ended.wait(_SECONDS):
            text = self._describe(_WIDTH)
            with self._writing:
                if text:
                    self._write(f"\r{text[:_WIDTH].ljust(self._longest)}")
                    self._longest = max(self._longest, len(text[:_WIDTH]))

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # gone, or closed: nobody to tell
            self._stream.write(text)
            self._stream.flush()
