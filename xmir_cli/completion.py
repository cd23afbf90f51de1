"""What a shell completes: methods, networks, ids, and the columns and values of a table.

Nothing here raises: a table that cannot be read completes to nothing. What is heavy is imported
only where it is asked for.
"""

import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from xmir_cli.errors import XmirError
from xmir_cli.inputs import find_index

if TYPE_CHECKING:
    from csv import DictReader

LIMIT = 200  # values that are offered
_LARGEST = 16 << 20  # bytes of a text table that is read for its values
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_BREAKS = ("=", ":")  # where bash begins another word


def complete_methods(incomplete: str) -> list[str]:
    """The last name of a list such as `occlusion,act`, without those that it has already."""
    from xmir_cli.saliency import method_names

    *before, last = incomplete.split(",")
    names = [name for name in method_names() if name.startswith(last) and name not in before]
    return [",".join([*before, name]) for name in names]


def complete_architectures(incomplete: str) -> list[str]:
    """The names of networks, and how those begin that no list has."""
    from xmir_cli.model.sources import offered_names

    return [name for name in offered_names() if name.startswith(incomplete)]


def complete_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """The ids of the index that is meant."""
    return _starting(_values(_table(ctx), "id"), incomplete)


def complete_where(ctx: typer.Context, incomplete: str) -> list[str]:
    """The columns of the table that is meant, and once one is chosen its values."""
    table = _table(ctx)
    column, equals, value = incomplete.partition("=")
    columns = [name for name in _columns(table) if name.startswith(column)]
    if not equals and len(columns) != 1:
        return [f"{name}=" for name in columns]
    chosen = column if equals else columns[0]
    return [f"{chosen}={text}" for text in _starting(_values(table, chosen), value)]


def _starting(values: Iterable[str], start: str) -> list[str]:
    return [value for value in values if value.startswith(start)][:LIMIT]


def _table(ctx: typer.Context) -> Path | None:
    """The table of a command: its index, or the first of its inputs that is one."""
    known, found = ctx.params, list[Path]()
    if "index" in known:
        with suppress(XmirError):
            found.append(Path(find_index(known["index"])))
    # before a flag without its value the inputs are no parameters yet
    inputs = [known.get("source"), *(known.get("images") or ()), *ctx.args]
    found += [Path(name) for name in inputs if name]
    tables = (path / "items.parquet" if path.is_dir() else path for path in found)
    return next((path for path in tables if path.suffix in {".parquet", *_DELIMITERS}), None)


def _columns(table: Path | None) -> list[str]:
    with _readable():
        if table is not None and table.suffix in _DELIMITERS:
            with _text_rows(table) as rows:
                return [name.strip() for name in rows.fieldnames or ()]
        if table is not None:
            import pyarrow.parquet as parquet

            schema = parquet.read_schema(table)
            return [field.name for field in schema if str(field.type) in {"string", "large_string"}]
    return []


def _values(table: Path | None, column: str) -> list[str]:
    """The values of a column, each once; those of a large text table would take too long."""
    with _readable():
        if table is not None and table.suffix in _DELIMITERS:
            with _text_rows(table) as rows:
                small = table.stat().st_size <= _LARGEST
                return sorted({row[column] for row in rows if row[column]}) if small else []
        if table is not None:
            import pyarrow.parquet as parquet

            found = parquet.read_table(table, columns=[column])[column].unique().to_pylist()
            return sorted(str(value) for value in found if value)
    return []


@contextmanager
def _text_rows(table: Path) -> "Iterator[DictReader[str]]":
    from csv import DictReader

    with table.open(encoding="utf-8-sig", newline="") as file:
        yield DictReader(file, delimiter=_DELIMITERS[table.suffix])


@contextmanager
def _readable() -> Iterator[None]:
    """Leave the block quietly when the table is not there or is none."""
    from csv import Error

    with suppress(OSError, ValueError, KeyError, Error):
        yield


@contextmanager
def bash_words_joined() -> Iterator[None]:
    """While bash completes, the words that it has split at `=` and `:` are whole again.

    Bash puts what is printed in the place of the last part alone.
    """
    words = os.environ.get("COMP_WORDS", "").split("\n")
    if os.environ.get("_XMIR_COMPLETE") != "complete_bash" or not set(words) & set(_BREAKS):
        yield
        return
    whole = _join(words[: int(os.environ["COMP_CWORD"]) + 1])
    os.environ |= {"COMP_WORDS": "\n".join(whole), "COMP_CWORD": str(len(whole) - 1)}
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        typed = whole[-1].partition("=")[2] if whole[-1].startswith("--") else whole[-1]
        before = typed[: max(typed.rfind(mark) for mark in _BREAKS) + 1]
        for line in printed.getvalue().splitlines():
            sys.stdout.write(f"{line.removeprefix(before)}\n")


def _join(words: Sequence[str]) -> list[str]:
    """The words as they were typed."""
    whole: list[str] = []
    for word, before in zip(words, ["", *words], strict=False):
        if whole and (word in _BREAKS or before in _BREAKS):
            whole[-1] += word
        else:
            whole.append(word)
    return whole
