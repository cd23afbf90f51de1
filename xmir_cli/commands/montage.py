"""Look: draw pages of queries, hits and their overlays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import typer

from xmir_cli import options
from xmir_cli.errors import UsageError
from xmir_cli.inputs import refuse_records, refuse_truth
from xmir_cli.printer import Shown
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.outputs import refuse_input
from xmir_cli.values import check_values

_ROWS = 10  # of a PNG


@dataclass(frozen=True, kw_only=True)
class Montage:
    """Draw pages of queries, hits and their overlays.

    One query a row: framed blue, then its retrieved images by rank, framed green where the labels
    agree and vermilion where they do not. Beside each stand its overlays, one a method, on a pale
    grey copy. Overlays of one method share one scale, which the colour bar below gives. Matches are
    numbered boxes; of a query's only hit also on the query. A --region of a query is framed there.
    Of 'xmir cluster', a group a row: its size, labels and exemplars.
    A PDF has as many A4 pages as it takes, a PNG with more rows than --rows is numbered files.
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
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows",
            metavar="N",
            min=1,
            max=1000,
            help="Queries a page. [default: of a PDF what A4 holds, of a PNG 10]",
        ),
    ] = None
    scale: Annotated[
        Literal["page", "row"],
        typer.Option(
            "--scale",
            help="Whether all overlays of a method share one scale, or those of each query. A pair "
            "of the same image does not count for it, and a map far above most is cut off.",
        ),
    ] = "page"
    masks: options.Masks = None
    boxes: options.Boxes = None
    columns: options.TruthColumns = None
    show: options.Show = False
    force: options.Force = False

    form: ClassVar[None] = None  # it prints no records
    shown: ClassVar[Shown] = Shown()

    def __post_init__(self) -> None:
        check_values(self)
        refuse_input(self.page, [self.records, self.masks, self.boxes])
        refuse_existing(self.page, self.force)
        refuse_records(self.records, "montage")
        refuse_truth(self.masks, self.boxes)

    @property
    def marks(self) -> str:
        """What is outlined; empty for nothing."""
        return "box" if self.boxes is not None else "mask" if self.masks is not None else ""

    @property
    def is_pdf(self) -> bool:
        """Whether the file has pages."""
        return self.page.suffix.lower() == ".pdf"

    @property
    def rows_of_page(self) -> int | None:
        """How many queries a page has; None for what paper holds."""
        return self.rows or (None if self.is_pdf else _ROWS)

    @property
    def page(self) -> Path:
        """The file to draw."""
        if self.output is None or self.output.suffix.lower() not in {".png", ".pdf"}:
            raise UsageError("--output: expected a file that ends in .png or .pdf")
        return self.output
