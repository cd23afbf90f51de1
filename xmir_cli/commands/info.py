"""Look: say what a file is, what is in it and what made it."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from xmir_cli.doctor.rows import COLUMNS, table_rows
from xmir_cli.errors import SettingError
from xmir_cli.printer import Shown
from xmir_cli.values import check_values

ACCEPTED = (
    "embeddings (Parquet, Arrow, a folder of parts), an index (NAME.xmir), a checkpoint "
    "(safetensors), the folder of a network, a map or matrix (.npy), a manifest (CSV, TSV, "
    "Parquet), a file of records (JSONL), a list of ids (.txt), a page or a folder of maps "
    "that xmir wrote, or an image"
)


@dataclass(frozen=True, kw_only=True)
class Info:
    """Say what a file is, what is in it and what made it.

    An index is compared with the checksums in its manifest, every byte of it; a file of it that has
    not changed since that was done is not read again. What other files say of themselves is
    compared with its checksum. With --verify every byte is compared now: files of earlier versions
    and of other programs have no checksums.

    Without a file it says what xmir finds on this machine: devices, versions, extras, threads and
    caches, and how many images a second a small network embeds, which takes up to five seconds.
    """

    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help=f"Each one {ACCEPTED}.")
    ] = None
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Read every byte of every file, compare it with the file's checksums, and tell "
            "whether it has any.",
        ),
    ] = False
    form: Annotated[
        Literal["list", "table", "jsonl"] | None,
        typer.Option(
            "--format",
            help="table goes without FILE only. [default: list on a terminal, table without FILE, "
            "jsonl in a pipe]",
        ),
    ] = None

    def __post_init__(self) -> None:
        check_values(self)
        if self.verify and not self.files:
            raise SettingError("verify", "only with `files`")
        if self.form == "table" and self.files:
            raise SettingError("form", "table only without `files`")

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        if self.files:
            return Shown(eyes="list")
        return Shown(COLUMNS, rows=table_rows, group="part")
