"""Reading the wire: JSON objects a line, or bare image paths."""

import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO, cast

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.store.atomic import atomic_file
from xmir_cli.wire.places import localize
from xmir_cli.wire.records import Record

LINE_LIMIT = 1 << 20  # characters


@dataclass(frozen=True)
class Lines:
    """Lines of text, and the folder from which relative paths in them start."""

    stream: TextIO
    folder: str = ""  # empty: the current one

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()


def open_lines(source: str) -> Lines:
    """The lines of the file `source`, `-` for standard input; DataError when that is closed."""
    if source != "-":
        stream = Path(source).open(encoding="utf-8", errors="surrogateescape")  # noqa: SIM115 # see Lines
        return Lines(stream, os.path.dirname(source))  # noqa: PTH120 # "" for the current one
    if sys.stdin is None:
        raise DataError("standard input is closed")
    if isinstance(sys.stdin, io.TextIOWrapper):  # else a stand-in for it, from Python
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    return Lines(sys.stdin)


def read_records(lines: Lines) -> Iterator[tuple[int, Record | ItemError]]:
    """Line numbers from 1 with what the line holds; a line that is no record gives its ItemError.

    A line that does not start with `{` is an image path and becomes `{"path": LINE}`. Empty lines
    are passed over. Relative paths are as `places.localize` says. Never holds more than one line.
    """
    for number, line in enumerate(_limited(lines.stream), start=1):
        if isinstance(line, ItemError):
            yield number, line
        elif line.strip():
            record = _parse(line.rstrip("\n"))
            if lines.folder and not isinstance(record, ItemError):
                record = localize(record, lines.folder)
            yield number, record


def write_records(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    """Write JSON objects, one a line, in one atomic step."""
    with atomic_file(path) as file:
        for record in records:
            file.write(json.dumps(record, allow_nan=False).encode() + b"\n")


def _limited(stream: TextIO) -> Iterator[str | ItemError]:
    while line := stream.readline(LINE_LIMIT):
        if line.endswith("\n") or len(line) < LINE_LIMIT:
            yield line
            continue
        while (rest := stream.readline(LINE_LIMIT)) and not rest.endswith("\n"):
            pass
        yield ItemError(Cause.TOO_LONG, f"a line of more than {LINE_LIMIT} characters")


def _parse(line: str) -> Record | ItemError:
    if not line.startswith("{"):
        return {"path": line}
    try:
        value: object = json.loads(line, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return ItemError(Cause.BAD_RECORD, "not a JSON object")
    return cast("Record", value)


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):  # 1e999 is grammatical JSON
        raise ValueError(digits)
    return number
