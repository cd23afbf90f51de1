"""Reading the wire: JSON objects a line, or bare image paths."""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TextIO, cast

from xmir_cli.errors import DataError, ItemError, UsageError
from xmir_cli.records import Record
from xmir_cli.store.atomic import atomic_file

LINE_LIMIT = 1 << 20  # characters


def open_lines(source: str, command: str) -> TextIO:
    """The text stream `source`, `-` for standard input; refuses to wait for a terminal."""
    if source != "-":
        return Path(source).open(encoding="utf-8", errors="surrogateescape")
    if sys.stdin is None:
        raise DataError("standard input is closed")
    if sys.stdin.isatty():
        raise UsageError(
            f"{command} waits for records on standard input and found a terminal",
            f"Pipe records in, or see 'xmir {command} --help'.",
        )
    sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr] # a TextIOWrapper at run time
    return sys.stdin


def read_records(stream: TextIO) -> Iterator[tuple[int, Record | ItemError]]:
    """Line numbers from 1 with what the line holds; a line that is no record gives its ItemError.

    A line that does not start with `{` is an image path and becomes `{"path": LINE}`. Empty lines
    are passed over. Never holds more than one line.
    """
    for number, line in enumerate(_limited(stream), start=1):
        if isinstance(line, ItemError):
            yield number, line
        elif line.strip():
            yield number, _parse(line.rstrip("\n"))


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
        yield ItemError(f"too-long: a line of more than {LINE_LIMIT} characters")


def _parse(line: str) -> Record | ItemError:
    if not line.startswith("{"):
        return {"path": line}
    try:
        value: object = json.loads(line, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return ItemError("bad-record: not a JSON object")
    return cast("Record", value)


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):  # 1e999 is grammatical JSON
        raise ValueError(digits)
    return number
