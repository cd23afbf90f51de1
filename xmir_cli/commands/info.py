"""`xmir info`: what is this file, and what made it?"""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli import console
from xmir_cli.errors import DataError, ItemError, XmirError
from xmir_cli.printer import Printer
from xmir_cli.records import Record

SCHEMA = "xmir.info/1"
_ACCEPTED = (
    "embeddings (Parquet, Arrow, a folder of parts), an index (NAME.xmir), a checkpoint "
    "(safetensors), a map or matrix (.npy), a manifest (CSV, TSV, Parquet) or an image"
)


def command(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help=f"Each one {_ACCEPTED}.")],
    form: Annotated[
        Literal["list", "jsonl"] | None,
        typer.Option("--format", help="[default: list on a terminal, jsonl in a pipe]"),
    ] = None,
) -> int:
    """Say what a file is, what is in it and what made it.

    Every byte of an index is compared with the checksums in its manifest.
    """
    if sys.stdout is None:
        raise DataError("standard output is closed")
    listed = form == "list" or (form is None and sys.stdout.isatty())
    skips = console.Skips()
    with Printer("jsonl", [], "path") as printer:
        for file in files:
            try:
                record = _describe(file)
            except (XmirError, OSError) as error:
                if len(files) == 1:
                    raise
                skips.add(file, f"not-usable: {str(error).removeprefix(f'{file}: ')}")
                continue
            if listed:
                _list(record)
            else:
                printer.write(record)
    if skips.total == len(files):
        raise DataError(f"none of {len(files)} files could be used")
    return skips.finish(len(files) - skips.total, "described")


def _describe(file: str) -> Record:
    from xmir_cli.gallery.engines import describe_index, is_index
    from xmir_cli.store.describe import describe_stored

    head: Record = {"schema": SCHEMA, "path": file}
    if is_index(file):
        return head | describe_index(file)
    path = Path(file)
    found = describe_stored(path) or _image(path)
    size = {} if path.is_dir() else {"bytes": path.stat().st_size}
    return head | {"kind": found["kind"]} | size | found


def _image(path: Path) -> Record:
    from xmir_cli.images.decode import decode_bytes, read_bytes
    from xmir_cli.images.signature import kind_of

    if path.is_dir():
        raise DataError(f"{path}: a folder without manifest or parts; expected {_ACCEPTED}")
    try:
        data = read_bytes(str(path))
        picture = decode_bytes(data, str(path))
    except ItemError as error:
        if error.reason.startswith("not-an-image"):
            raise DataError(f"{path}: unknown; expected {_ACCEPTED}") from None
        raise DataError(f"{path}: {error.reason}") from None
    return {
        "kind": "image",
        "format": kind_of(data),
        "width": picture.width,
        "height": picture.height,
        "mode": picture.pixels.mode,
        "done": list(picture.done),
    }


def _list(record: Record) -> None:
    rows = list(_flat(record, ""))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}".rstrip() for name, value in rows if name != "schema"]
    sys.stdout.write(os.linesep.join([*lines, "", ""]))


def _flat(record: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        key = console.show(f"{prefix}{name}")
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        elif isinstance(value, list | tuple):
            yield key, console.show(", ".join(str(part) for part in value))
        else:
            yield key, "" if value is None else console.show(str(value))
