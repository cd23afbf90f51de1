"""Where a process that embeds writes, and what cannot be written there."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xmir_cli.embedding.leftover import refuse_leftover
from xmir_cli.embedding.own_shard import OwnShard, find_lone_task
from xmir_cli.errors import DataError, SettingError, UsageError
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.outputs import is_file_name, need_folder

FileFormat = Literal["parquet", "npy", "arrow"]


@dataclass(frozen=True)
class OutputPlaces:
    """The places that were asked for, and those of a shard among them."""

    output: Path | None  # a file, of shards their folder; None and - are standard output
    left_out: Path | None  # the list of what is left out, of all shards
    file_format: FileFormat
    piece: OwnShard | None  # what this process does of a job that several share; None for all

    @property
    def folder(self) -> Path | None:
        """Where the shards of a job lie."""
        return None if self.piece is None or self.output == Path("-") else self.output

    @property
    def file(self) -> Path | None:
        """Where the embeddings go, None for standard output."""
        if self.piece is not None and self.folder is not None:
            return self.piece.shard.file_in(self.folder)
        return None if self.output == Path("-") else self.output

    @property
    def skips(self) -> Path | None:
        """Where it is listed what was left out."""
        if self.left_out is None or self.piece is None:
            return self.left_out
        number = f"-{self.piece.shard.number:06}"
        return self.left_out.with_name(f"{self.left_out.stem}{number}{self.left_out.suffix}")

    def check(self, images: Iterable[str], resume: bool, force: bool) -> None:
        """Refuse what would only come out after hours of work.

        Raises SettingError, UsageError or DataError for what cannot be written so, ExistsError for
        what is there and may not be replaced.
        """
        if self.piece is not None:
            self._check_shard(self.piece, images)
        if self.file is None:
            self._check_pipe(resume)
        else:
            self._check_file(self.file, resume, force)
        if self.skips is not None:
            need_folder(self.skips)
            refuse_existing(self.skips, force or resume)

    def _check_shard(self, piece: OwnShard, images: Iterable[str]) -> None:
        """Refuse an output that several processes cannot share."""
        told = f" ({piece.told})" if piece.told else ""
        which = f"this is shard {piece.shard.number} of {piece.shard.count}{told}"
        if self.folder is None:
            raise UsageError(f"{which}, and shards need a folder: -o FOLDER")
        if self.file_format != "parquet":
            raise UsageError(f"{which}, and shards are Parquet: no `file_format`")
        if is_file_name(self.folder) or (self.folder.exists() and not self.folder.is_dir()):
            raise SettingError(
                "output",
                f"{which}, and shards need a folder",
                "Name a folder; every shard writes a file of its own there.",
                str(self.folder),
            )
        if any(os.path.realpath(each) == os.path.realpath(self.folder) for each in images):
            raise SettingError("output", "is an input, too", value=str(self.folder))

    def _check_pipe(self, resume: bool) -> None:
        if resume or self.file_format == "npy":
            wanted = "`resume`" if resume else "`file_format` npy"
            raise UsageError(f"{wanted} needs an output: -o FILE")
        if sys.stdout is None:
            raise DataError("standard output is closed")
        if not hasattr(sys.stdout, "buffer"):  # a stand-in for it, such as a notebook's
            raise SettingError("output", "expected a file, for standard output takes no bytes")
        if sys.stdout.isatty():
            raise UsageError(
                "embeddings are no text for a terminal",
                "Name a file (-o cxr.parquet) or pipe them: xmir embed ... | xmir index - -o DIR",
            )

    def _check_file(self, file: Path, resume: bool, force: bool) -> None:
        if self.file_format == "npy" and file.suffix != ".npy":
            raise UsageError(f"{file}: `file_format` npy writes NAME.npy and NAME.items.parquet")
        need_folder(self.folder or file)
        refuse_existing(file, force or resume)
        if self.folder is None and file.is_dir():
            raise DataError(f"{file}: a folder, so it is not replaced", _name_a_file())
        if not resume and not force:
            refuse_leftover(file)


def _name_a_file() -> str:
    task = find_lone_task()
    if task is None:
        return "Name a file."
    return f"Task {task} is alone in its array: say by `shard` which one of how many it is."
