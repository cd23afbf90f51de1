"""Where a command writes: refused before the work, described after it."""

import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from xmir_cli.errors import DataError, SettingError
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.hashes import sha256_file
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.artifact import ArtifactRecord

_ENDINGS = {  # what names end with that are of something else than what is written
    *(".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods", ".json", ".jsonl", ".ndjson", ".xml"),
    *(".html", ".md", ".pdf", ".svg", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".dcm"),
    *(".parquet", ".pq", ".arrow", ".arrows", ".ipc", ".feather", ".npy", ".npz", ".h5", ".hdf5"),
    *(".db", ".sqlite", ".duckdb", ".pkl", ".pickle", ".safetensors", ".pt", ".pth", ".ckpt"),
    *(".zip", ".gz", ".xmir", ".py"),
}
FIGURES = (".png", ".svg")  # what names of figures end with
RECEIPT_COLUMNS = ("kind", "path", "rows", "dim", "skipped")


def need_folder(output: Path) -> None:
    """Raise DataError when the folder that an output is to lie in is not there."""
    if not output.absolute().parent.is_dir():
        raise DataError(f"{output.parent}: no such folder")


def check_figure(path: Path, replace: bool, setting: str = "plot") -> None:
    """Find out before the work whether a figure can and may be written.

    Raises SettingError for a name that does not say which picture it is, DataError where no file
    can be made, ExistsError for one that is there and may not be replaced.
    """
    if path.suffix.lower() not in FIGURES:
        raise SettingError(
            setting, f"expected a file that ends in {' or '.join(FIGURES)}", value=str(path)
        )
    need_folder(path)
    try:
        if path.is_dir():
            raise IsADirectoryError
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError:
        raise DataError(f"{path}: cannot be written there") from None
    refuse_existing(path, replace)


def refuse_input(
    output: Path | None, inputs: Iterable[str | Path | None], setting: str = "output"
) -> None:
    """Raise SettingError when the output is one of the inputs, under whatever name.

    `-` is standard input; no output and no input is None.
    """
    if output is None or not output.is_file():
        return
    status = output.stat()
    if any(_is(str(path), status) for path in inputs if path is not None):
        raise SettingError(setting, "is an input, too", value=str(output))


def network_files(architecture: str | None) -> list[str]:
    """The file of a network of one's own, FILE.py:FUNCTION, or those of a network's folder."""
    place = (architecture or "").rpartition(":")[0]
    if place.endswith(".py"):
        return [place]
    folder = Path(architecture or "")
    return [str(file) for file in folder.iterdir()] if architecture and folder.is_dir() else []


def is_file_name(output: Path) -> bool:
    """Whether a name ends as those of files do."""
    return output.suffix.lower() in _ENDINGS


def refuse_ending(
    output: Path, what: str, own: Sequence[str], hint: str = "", setting: str = "output"
) -> None:
    """Raise SettingError for a name whose ending says another format than `what` is written in.

    Args:
        output: Where it is to be written.
        what: What it is called, `Parquet`.
        own: The endings of its format, the usual one first. Any unknown ending will do.
        hint: What to do about it beside another name, the rest of a sentence.
        setting: The setting that named it.
    """
    ending = output.suffix.lower()
    if ending in _ENDINGS and ending not in own:
        better = f"Name it {output.with_suffix(own[0])}"
        raise SettingError(
            setting,
            f"{what} is written, and the name ends with {output.suffix}",
            f"{better}{hint}.",
            str(output),
        )


def receipt(
    kind: str, path: str | Path, shape: tuple[int, int], skipped: int, sha256: str | None = None
) -> Record:
    """The record of an artefact that was made: rows and dimensions, and what was left out.

    Without its hash the artefact is a file, or a folder with a manifest.
    """
    rows, dim = shape
    return {
        "schema": ArtifactRecord.NAME,
        "kind": kind,
        "path": str(path),
        "rows": rows,
        "dim": dim,
        "skipped": skipped,
        "sha256": sha256 or sha256_file(_told_by(Path(path))),
    }


def _told_by(path: Path) -> Path:
    """The file that says what an artefact is."""
    return path / "manifest.json" if path.is_dir() else path


def _is(path: str, status: os.stat_result) -> bool:
    try:
        found = os.stat(0) if path == "-" and sys.stdin is not None else Path(path).stat()
        return os.path.samestat(found, status)
    except (OSError, ValueError):
        return False
