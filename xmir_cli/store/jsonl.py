"""Reading the wire: JSON objects a line, or bare image paths."""

import io
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, TextIO, cast

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.shared_terminal import is_watched
from xmir_cli.store.ahead import Ahead
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.kinds import called, find_kind, kind_of, next_step
from xmir_cli.store.regular import open_source
from xmir_cli.wire.places import localize
from xmir_cli.wire.records import Record
from xmir_cli.wire.strict import AmbiguousError, parse_json

LINE_LIMIT = 1 << 20  # characters
_PIECES = 1000  # of a line that is passed over
_UTF16 = ("\udcff\udcfe", "\udcfe\udcff")  # the marks of UTF-16 as the lines show them


@dataclass(frozen=True)
class Lines:
    """Lines of text, and the folder from which relative paths in them start."""

    stream: TextIO | Ahead
    folder: str = ""  # empty: the current one
    name: str = "standard input"

    def count(self) -> int | None:
        """How many lines there are; None while that is not known."""
        return self.stream.total if isinstance(self.stream, Ahead) else self._in_file

    @cached_property
    def _in_file(self) -> int | None:
        if self.name == Lines.name or not Path(self.name).is_file():
            return None
        with Path(self.name).open("rb") as file:
            return sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()


def open_lines(source: str) -> Lines:
    """The lines of the file `source`, `-` for standard input.

    Raises DataError when that is closed, and for a file that cannot be read.
    """
    if source != "-":
        if Path(source).is_dir():
            raise _not_records(source, find_kind(Path(source)))
        file = open_source(Path(source))
        stream = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape")
        folder = os.path.dirname(source)  # noqa: PTH120 # "" for the current one
        return Lines(stream, folder, source)
    if sys.stdin is None:
        raise DataError("standard input is closed")
    if isinstance(sys.stdin, io.TextIOWrapper):  # else a stand-in for it, from Python
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        if is_watched() and not sys.stdin.isatty():
            return Lines(Ahead(sys.stdin, LINE_LIMIT))
    return Lines(sys.stdin)


def read_records(lines: Lines) -> Iterator[tuple[int, Record | ItemError]]:
    """Line numbers from 1 with what the line holds; a line that is no record gives its ItemError.

    A line that does not start with `{` is an image path and becomes `{"path": LINE}`. Empty lines
    are passed over. Relative paths are as `places.localize` says. Never holds more than one line.

    Raises DataError for what begins like a table, JSON over several lines, or no text.
    """
    for number, line in enumerate(_checked(lines), start=1):
        if isinstance(line, ItemError):
            yield number, line
        elif line.strip():
            record = _parse(_without_end(line, lines.folder))
            if lines.folder and not isinstance(record, ItemError):
                record = localize(record, lines.folder)
            yield number, record


def _without_end(line: str, folder: str) -> str:
    """A line without its end, which is that of Windows unless a file's name ends so."""
    line = line.rstrip("\n")
    if not line.endswith("\r") or os.path.lexists(os.path.join(folder, line)):  # noqa: PTH118
        return line
    return line.removesuffix("\r")


def read_names() -> Iterator[str]:
    """The names on standard input, each with a NUL byte behind it.

    Raises DataError for one that is longer than any file's, and when standard input is closed.
    """
    if sys.stdin is None:
        raise DataError("standard input is closed")
    rest = b""
    stream = cast("io.BufferedReader", sys.stdin.buffer)
    while chunk := stream.read1(LINE_LIMIT):
        *names, rest = (rest + chunk).split(b"\0")
        yield from (os.fsdecode(name) for name in names if name)
        if len(rest) > LINE_LIMIT:
            raise DataError(f"standard input: a name of more than {LINE_LIMIT} bytes")
    if rest:
        yield os.fsdecode(rest)


def write_records(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    """Write JSON objects, one a line, in one atomic step."""
    with atomic_file(path) as file:
        for record in records:
            file.write(json.dumps(record, allow_nan=False).encode() + b"\n")


def _checked(lines: Lines) -> Iterator[str | ItemError]:
    """The lines; raises DataError when the first two tell that no records and no paths come."""
    found = _unmarked(lines.stream)
    start = list(itertools.islice(found, 1))
    if start and isinstance(start[0], str):
        if start[0].strip() in {"{", "["}:  # a line that was cut off, unless another goes on
            start += itertools.islice(found, 1)
        _refuse_other("".join(line for line in start if isinstance(line, str)), lines.name)
    yield from itertools.chain(start, found)


def _refuse_other(text: str, name: str) -> None:
    kind = kind_of(text.encode("utf-8", "surrogateescape"))
    line = text.partition("\n")[0]
    if kind not in {"", "records"} and not os.path.lexists(line.rstrip("\r").replace("\0", "")):
        raise _not_records(name, kind)


def _not_records(name: str, kind: str) -> DataError:
    place = "" if name == Lines.name else name
    return DataError(
        f"{name}: {called(kind)}; expected records, one JSON object a line",
        " ".join(next_step("records", kind, place).split()),
    )


def _unmarked(stream: TextIO | Ahead) -> Iterator[str | ItemError]:
    """The lines without the mark by which some programs say that a file is UTF-8.

    It starts a file, or one of several that were joined.
    """
    for number, line in enumerate(_limited(stream)):
        if isinstance(line, ItemError):
            yield line
        elif number == 0 and line.startswith(_UTF16):
            yield ItemError(Cause.BAD_RECORD, "UTF-16; expected UTF-8")
        else:
            marked = line.startswith("\ufeff{") or number == 0
            yield line.removeprefix("\ufeff") if marked else line


def _limited(stream: TextIO | Ahead) -> Iterator[str | ItemError]:
    while line := stream.readline(LINE_LIMIT):
        if line.endswith("\n") or len(line) < LINE_LIMIT:
            yield line
            continue
        pieces = 1
        while (rest := stream.readline(LINE_LIMIT)) and not rest.endswith("\n"):
            if (pieces := pieces + 1) > _PIECES:
                raise DataError(f"a line of more than {_PIECES} million characters without an end")
        yield ItemError(Cause.TOO_LONG, f"a line of more than {LINE_LIMIT} characters")


def _parse(line: str) -> Record | ItemError:
    if not line.startswith("{"):
        return {"path": line}
    try:
        return cast("Record", parse_json(line))
    except AmbiguousError as error:
        return ItemError(Cause.BAD_RECORD, str(error))
    except ValueError:
        return ItemError(Cause.BAD_RECORD, "not a JSON object")
