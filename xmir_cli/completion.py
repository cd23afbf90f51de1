"""What a shell completes: methods, networks, ids, and the columns and values of a table.

Nothing here raises: a table that cannot be read completes to nothing. What is heavy is imported
only where it is asked for.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
    if not set(before) <= set(method_names()):
        return []  # what is wrong already cannot go on
    names = [name for name in method_names() if name.startswith(last) and name not in before]
    return [",".join([*before, name]) for name in names]


def complete_method(incomplete: str) -> list[str]:
    """The one method of a command that takes no list."""
    from xmir_cli.saliency import method_names

    return [name for name in method_names() if name.startswith(incomplete)]


def complete_architectures(incomplete: str) -> list[str]:
    """The names of networks, how those begin that no list has, and folders of networks."""
    from xmir_cli.model.folders import near_folders
    from xmir_cli.model.sources import offered_names

    names = [*offered_names(), *near_folders(incomplete)]
    return [name for name in names if name.startswith(incomplete)]


def complete_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """The ids of the index that is meant."""
    return _values(_table(ctx), "id", incomplete)


def complete_where(ctx: typer.Context, incomplete: str) -> list[str]:
    """The columns of the table that is meant, and once one is chosen its values."""
    table = _table(ctx)
    column, equals, value = incomplete.partition("=")
    columns = [name for name in _columns(table) if name.startswith(column)]
    if not equals and len(columns) != 1:
        return [f"{name}=" for name in columns]
    chosen = column if equals else columns[0]
    return [f"{chosen}={text}" for text in _values(table, chosen, value)]


def complete_columns(ctx: typer.Context, incomplete: str) -> list[str]:
    """The columns of the table that is meant."""
    return [name for name in _columns(_table(ctx)) if name.startswith(incomplete)]


class _Table(NamedTuple):
    """What is asked of a text table, a Parquet file or an index."""

    columns: Callable[[], list[str]]
    values: Callable[[str, str, int], list[str]]  # of a column, beginning so, at most so many


def _table(ctx: typer.Context) -> _Table | None:
    """The table of a command: its index, or the first of its inputs that is one."""
    known, names = ctx.params, list[str]()
    if "index" in known:
        with suppress(XmirError):
            names.append(find_index(known["index"]))
    # before a flag without its value the inputs are no parameters yet
    names += [known.get("source") or "", *(known.get("images") or ()), *ctx.args]
    return next((table for name in names if name and (table := _table_of(name))), None)


def _table_of(name: str) -> _Table | None:
    path = Path(name)
    if path.suffix in _DELIMITERS:
        return _Table(partial(_text_columns, path), partial(_text_values, path))
    if path.suffix == ".parquet" and path.is_file():
        from xmir_cli.store import parquet_columns as parquet

        return _Table(partial(parquet.flat_columns, path), partial(parquet.column_values, path))
    from xmir_cli.gallery import engines

    with suppress(OSError, ValueError, XmirError):
        if engines.is_index(name):
            return _Table(partial(engines.flat_columns, name), partial(engines.column_values, name))
    return None


def _columns(table: _Table | None) -> list[str]:
    return [] if table is None else _or_nothing(table.columns)


def _values(table: _Table | None, column: str, start: str) -> list[str]:
    return [] if table is None else _or_nothing(partial(table.values, column, start, LIMIT))


def _or_nothing(ask: Callable[[], list[str]]) -> list[str]:
    """What is asked, or nothing of a table that is not there or is none."""
    from csv import Error

    try:
        return ask()
    except (OSError, ValueError, KeyError, Error, XmirError):
        return []


def _text_columns(path: Path) -> list[str]:
    with _text_rows(path) as rows:
        return [name.strip() for name in rows.fieldnames or ()]


def _text_values(path: Path, column: str, start: str, most: int) -> list[str]:
    """The values of a column, each once; those of a large table would take too long."""
    with _text_rows(path) as rows:
        if path.stat().st_size > _LARGEST:
            return []
        values = {row[column] for row in rows if row[column]}
    return sorted(value for value in values if value.startswith(start))[:most]


@contextmanager
def _text_rows(table: Path) -> "Iterator[DictReader[str]]":
    from csv import DictReader

    from xmir_cli.store.regular import open_regular

    with io.TextIOWrapper(open_regular(table), "utf-8-sig", newline="") as file:
        yield DictReader(file, delimiter=_DELIMITERS[table.suffix])


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
