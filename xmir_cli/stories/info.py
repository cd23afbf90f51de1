"""Say what a file is, what is in it and what made it."""

import os
from pathlib import Path

from xmir_cli.causes import Cause
from xmir_cli.commands.info import ACCEPTED, Info
from xmir_cli.console import Ending, Records, Skips
from xmir_cli.errors import DataError, ItemError, XmirError
from xmir_cli.gallery.engines import describe_index, is_index
from xmir_cli.model.folders import holds_network
from xmir_cli.pictures.describe import describe_image
from xmir_cli.pictures.frames import expand_setting
from xmir_cli.pictures.identity import file_of
from xmir_cli.store.describe import describe_stored
from xmir_cli.store.verify import verify_stored
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.info import InfoRecord

__all__ = ["Info", "run"]


def run(asked: Info) -> Records:
    """One `xmir.info/1` record a file, in order; without files one `xmir.doctor/1` record."""
    if not asked.files:
        from xmir_cli.doctor.diagnosis import diagnose

        yield diagnose()
        return Ending()
    skips = Skips()
    files = expand_setting("files", asked.files)
    for file in files:
        try:
            record = describe(file, asked.verify)
        except (XmirError, OSError) as error:
            if len(files) == 1:
                raise
            fault = str(error).removeprefix(f"{file}: ")
            skips.add(file, ItemError(Cause.NOT_USABLE, fault))
            continue
        yield record
    if skips.total == len(files):
        raise DataError(f"none of {len(files)} files could be used")
    return skips.finish(len(files) - skips.total, "described")


def describe(file: str, verify: bool = False) -> Record:
    """What a file, an image in one, or a folder is.

    With `verify` all of it is read and compared with its checksums, which `checksum` tells. Raises
    DataError or ModelError for one that xmir does not know, or that is damaged.
    """
    record = _describe(file, verify)
    if not verify:
        return record
    kind = record["kind"]
    compared = "all" if kind == "index" else "no checksum"
    if kind == "network":
        from xmir_cli.model.describe import read_weights

        read_weights(file)
    elif kind not in {"index", "image"}:
        compared = verify_stored(Path(file), kind)
    return {**record, "checksum": compared}


def _describe(file: str, verify: bool) -> Record:
    head: Record = {"schema": InfoRecord.NAME, "path": file}
    if is_index(file):
        return head | describe_index(file, verify)
    if not os.path.lexists(file) and file_of(file) != file:
        return head | _image(file)
    path = Path(file)
    if holds_network(file):
        from xmir_cli.model.describe import describe_network

        return head | describe_network(file)
    if found := describe_stored(path):
        size = {} if path.is_dir() else {"bytes": path.stat().st_size}
        return head | {"kind": found["kind"]} | size | found
    if path.is_dir():
        raise DataError(f"{path}: a folder without manifest or parts; expected {ACCEPTED}")
    return head | _image(file)


def _image(name: str) -> Record:
    try:
        return describe_image(name)
    except ItemError as error:
        if error.cause is Cause.NOT_AN_IMAGE:
            raise DataError(f"{name}: unknown; expected {ACCEPTED}") from None
        raise DataError(f"{name}: {error.reason}") from None
