"""Look: draw one page of queries, hits and their overlays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from xmir_cli import options
from xmir_cli.errors import UsageError
from xmir_cli.inputs import refuse_records
from xmir_cli.printer import Shown
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.outputs import refuse_input
from xmir_cli.values import check_values


@dataclass(frozen=True, kw_only=True)
class Montage:
    """Draw one page of queries, hits and their overlays.

    One query a row: framed blue, then its retrieved images by rank, framed green where the labels
    agree and vermilion where they do not. Records of several saliency methods stand side by side.
    Overlays of one method share one scale, which the colour bar below gives. Matches are numbered
    boxes; of a query's only hit also on the query. A --region of a query is framed there.
    """

    records: options.Records = "-"
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .png or .pdf file.")
    ] = None
    side: Annotated[
        int, typer.Option("--side", min=48, max=2048, help="Pixels of a picture's place.")
    ] = 224
    alpha: Annotated[
        float, typer.Option("--alpha", min=0, max=1, help="Opacity of the overlays.")
    ] = 0.6
    force: options.Force = False

    form: ClassVar[None] = None  # it prints no records
    shown: ClassVar[Shown] = Shown()

    def __post_init__(self) -> None:
        check_values(self)
        refuse_input(self.page, [self.records])
        refuse_existing(self.page, self.force)
        refuse_records(self.records, "montage")

    @property
    def page(self) -> Path:
        """The file to draw."""
        if self.output is None or self.output.suffix.lower() not in {".png", ".pdf"}:
            raise UsageError("--output: expected a file that ends in .png or .pdf")
        return self.output
