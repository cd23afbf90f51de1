"""Commands from Python, such as in a notebook: a description is asked, records come in a list.

    from xmir_cli.commands.query import Query
    from xmir_cli.commands.saliency import Saliency
    from xmir_cli.python import load_map, run

    hits = run(Query(images=["new.jpg"], index="cxr.xmir", top=3))
    maps = run(Saliency(records=hits.save("hits.jsonl"), force=True))
    load_map(maps.records[0])  # an array [H, W]

Records that are to be had one by one, as they are made, come from the command's own story:
`xmir_cli.stories.query.run(Query(...))` yields them.
"""

import contextlib
import importlib
import inspect
import io
import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from typer.models import ParameterInfo

from xmir_cli.arrays import Floats
from xmir_cli.console import Ending, Records, progress
from xmir_cli.edge import Description
from xmir_cli.errors import DataError
from xmir_cli.flags import flag_of
from xmir_cli.pictures.scales import begin_run
from xmir_cli.printer import Printer
from xmir_cli.store.jsonl import write_records
from xmir_cli.store.maps import read_map_file
from xmir_cli.terminal import find_width
from xmir_cli.wire.records import Record

_FLAG = re.compile(r"--[a-z][a-z-]*[a-z]")
_WIDTH = 100  # cells of a table where nothing says how many there are


@dataclass(frozen=True, repr=False)
class Finished:
    """What a command has given; its text is the table that a terminal shows."""

    asked: Description
    records: list[Record]  # the objects that the command line prints as JSON lines
    ending: Ending  # its status, what was left out, and gates that are not met

    def save(self, path: str | Path) -> str:
        """Write the records as JSON lines for another command's `records`; gives the path back.

        A file that is there is replaced.
        """
        write_records(Path(path), self.records)
        return str(path)

    def __repr__(self) -> str:
        raw = io.BytesIO()
        out = io.TextIOWrapper(raw, encoding="utf-8", newline="\n", write_through=True)
        with (
            contextlib.redirect_stdout(out),
            Printer("table", self.asked.shown, width=lambda: find_width() or _WIDTH) as printer,
        ):
            for record in self.records:
                printer.write(record)
        text = raw.getvalue().decode(errors="replace")
        return text.removesuffix("\n") or f"{len(self.records)} records"


def run(asked: Description) -> Finished:
    """Do what a description asks, to its end, and say on standard error what a shell would see.

    Args:
        asked: Such as `Query(...)` of `xmir_cli.commands.query`; its fields are the command's
            flags, and it refuses what cannot be when it is made.

    Returns:
        The records, and how it ended. Inputs that are left out and gates that are not met raise
        nothing: `ending.status` is 0, 3 where inputs were skipped, 4 where a gate was not met.

    Raises:
        TypeError: `asked` is no description.
        UsageError, SettingError: The fields ask for something that cannot be.
        DataError: The data cannot be used, or nothing of it.
        ModelError: The network, its weights or the device cannot be used.
        ExistsError: The output is there already, and `force` is not set.
        OSError: A file cannot be read or written.

        All but the last are an `XmirError`, whose `hint` says what to do; a traceback shows it.
    """
    package, _, name = type(asked).__module__.rpartition(".")
    if package != "xmir_cli.commands":
        raise TypeError(f"expected a description such as Query(...), found {type(asked).__name__}")
    begin_run("`window`")
    with progress(f"xmir {name.replace('_', '-')}", None):
        found: list[Record] = []
        ending = _take(importlib.import_module(f"xmir_cli.stories.{name}").run(asked), found)
    ending.tell()
    return Finished(asked, found, ending)


def _take(records: Records, found: list[Record]) -> Ending:
    """Add the records to a list; how they end."""
    while True:
        try:
            found.append(next(records))
        except StopIteration as end:
            return cast("Ending", end.value)


def list_fields(kind: type[Description]) -> str:
    """The fields of a description, such as `Query`: each with its default and what it says.

    Where the help of the command line names flags, the names of fields stand.
    """
    parameters = inspect.signature(kind).parameters.values()
    names = {flag_of(each): each.name for each in parameters}
    parts = []
    for each in parameters:
        notes = getattr(each.annotation, "__metadata__", ())
        told = " ".join(note.help or "" for note in notes if isinstance(note, ParameterInfo))
        told = _FLAG.sub(lambda flag: f"`{names[flag[0]]}`" if flag[0] in names else flag[0], told)
        default = "" if each.default is each.empty else f" = {_spell(each.default)}"
        parts.append(f"{each.name}{default}\n{textwrap.indent(textwrap.fill(told, 92), '    ')}")
    return "\n".join(part.rstrip() for part in parts)


def _spell(default: object) -> str:
    """A default as it is read; that of a factory is an empty mapping."""
    text = str(default) if isinstance(default, Path) else repr(default)
    return "{}" if text == "<factory>" else text


def load_map(record: Record) -> Floats:
    """The saliency map of a record: float64 [H, W], raw and signed, of what the network saw.

    The record's `roi` says where that lies: left, top, width and height in pixels of the original.

    Raises DataError where the record has none or its file is no map, ItemError for a file that is
    not the one that was made.
    """
    path = record.get("saliency")
    if not isinstance(path, str | os.PathLike):
        raise DataError("saliency: expected the path of a map, found nothing")
    found = read_map_file(Path(path))
    if found.ndim != 2:
        raise DataError(f"{path}: expected a map [H, W], found an array of shape {found.shape}")
    return np.asarray(found, dtype=np.float64)
