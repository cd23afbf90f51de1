"""Look: write a page for a browser: maps, curves, tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from xmir_cli import options
from xmir_cli.errors import UsageError
from xmir_cli.inputs import refuse_records, refuse_truth
from xmir_cli.printer import Shown
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.outputs import need_folder, refuse_input
from xmir_cli.values import check_values


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write a page for a browser: maps, curves, tables.

    It takes records of every schema, also mixed, and is one HTML file that needs no connection and
    sends nothing: it can be mailed, opened from the disk and printed. Keys go through queries (n,
    p), hits (arrows), methods (m) and opacities (+, -), take maps away (b), swap the two images
    (s) or put them in one place (o); ? lists them. Every picture is in the file once, at most
    --side pixels long, without what its file says of it: of the columns of a retrieved image only
    the id is told, never a patient or a DICOM tag. Names and labels are told as records have them.
    With --masks or --boxes what experts marked is outlined, until the pictures are bare.

    For research use, not for diagnosis. Needs Jinja2: pip install 'xmir[report]'.
    """

    records: options.Records = "-"
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .html file.")
    ] = None
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="What the page is called.")
    ] = "xmir report"
    side: Annotated[
        int, typer.Option("--side", min=48, max=2048, help="Pixels of a picture's longer side.")
    ] = 512
    alpha: options.Alpha = 0.6
    limit: Annotated[
        int, typer.Option("--limit", metavar="MB", min=1, help="How large the page may become.")
    ] = 64
    masks: options.Masks = None
    boxes: options.Boxes = None
    columns: options.TruthColumns = None
    force: options.Force = False

    form: ClassVar[None] = None  # it prints no records
    shown: ClassVar[Shown] = Shown()

    def __post_init__(self) -> None:
        check_values(self)
        refuse_truth(self.masks, self.boxes)
        refuse_input(self.page, [self.records, self.masks, self.boxes])
        refuse_existing(self.page, self.force)
        need_folder(self.page)
        refuse_records(self.records, "report")

    @property
    def page(self) -> Path:
        """The file to write."""
        if self.output is None or self.output.suffix.lower() not in {".html", ".htm"}:
            raise UsageError("--output: expected a file that ends in .html")
        return self.output
