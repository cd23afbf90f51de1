"""Look: say what a file is, what is in it and what made it."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from xmir_cli.printer import Shown
from xmir_cli.values import check_values

ACCEPTED = (
    "embeddings (Parquet, Arrow, a folder of parts), an index (NAME.xmir), a checkpoint "
    "(safetensors), the folder of a network, a map or matrix (.npy), a manifest (CSV, TSV, "
    "Parquet) or an image"
)


@dataclass(frozen=True, kw_only=True)
class Info:
    """Say what a file is, what is in it and what made it.

    An index is compared with the checksums in its manifest, every byte of it; a file of it that has
    not changed since that was done is not read again. What other files say of themselves is
    compared with its checksum. With --verify every byte is compared now: files of earlier versions
    and of other programs have no checksums.
    """

    files: Annotated[list[str], typer.Argument(metavar="FILE...", help=f"Each one {ACCEPTED}.")]
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Read every byte of every file, compare it with the file's checksums, and tell "
            "whether it has any.",
        ),
    ] = False
    form: Annotated[
        Literal["list", "jsonl"] | None,
        typer.Option("--format", help="[default: list on a terminal, jsonl in a pipe]"),
    ] = None

    def __post_init__(self) -> None:
        check_values(self)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        return Shown(eyes="list")
