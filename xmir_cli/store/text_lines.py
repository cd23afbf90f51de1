"""Texts out of a file, one a line: prompts and terms."""

import io
import sys
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

from xmir_cli.errors import DataError
from xmir_cli.store.regular import open_source
from xmir_cli.wire.words import LARGEST_TEXT, check_text

MOST = 100_000  # texts of a file
_BYTES = 4 * LARGEST_TEXT + 8  # of a line that may still be short enough


def read_text_lines(source: str) -> list[str]:
    """The texts of the file `source`, `-` for standard input, in their order.

    Blank lines and the white space around a text are passed over. Raises DataError, with the line,
    for what is no UTF-8 or too long, and for a file without any text.
    """
    texts = []
    name = "standard input" if source == "-" else source
    with closing(_open(source)) as file:
        for number, line in enumerate(iter(lambda: file.readline(_BYTES), b""), start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    texts.append(check_text(text))
            except ValueError as error:
                reason = "expected UTF-8" if isinstance(error, UnicodeDecodeError) else error
                raise DataError(f"{name}: line {number}: {reason}") from None
            if len(texts) > MOST:
                raise DataError(f"{name}: more than {MOST} texts")
    if not texts:
        raise DataError(f"{name}: no texts in it, one a line")
    return texts


def _open(source: str) -> BinaryIO:
    if source != "-":
        if Path(source).is_dir():
            raise DataError(f"{source}: a folder; expected a file of texts, one a line")
        return open_source(Path(source))
    if sys.stdin is None:
        raise DataError("standard input is closed")
    return cast("BinaryIO", sys.stdin.buffer) if hasattr(sys.stdin, "buffer") else _encoded()


def _encoded() -> BinaryIO:
    """A stand-in for standard input, from Python, as bytes."""
    return io.BytesIO(sys.stdin.read().encode("utf-8", "surrogateescape"))
