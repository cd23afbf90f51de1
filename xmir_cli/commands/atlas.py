"""Look: draw the whole space of embeddings in one plane."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli import options
from xmir_cli.atlas.rows import COLUMNS, rows
from xmir_cli.completion import complete_columns
from xmir_cli.errors import SettingError, UsageError
from xmir_cli.inputs import refuse_embeddings
from xmir_cli.printer import Shown
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.outputs import need_folder, refuse_input
from xmir_cli.values import check_values, refuse_null

_ENDINGS = {".png": "png", ".html": "html", ".htm": "html", ".parquet": "parquet"}


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """Draw the whole space of embeddings in one plane.

    Every image is a point: a PNG to look at, a page for a browser to go through, or a Parquet table
    of x, y and all that is marked, as --output ends; it may be repeated. pca puts the images along
    the two axes in which they differ most; t-SNE and UMAP keep neighbours together, and what lies
    far apart in them need not be unlike. Both work on the first 64 principal axes.

    A star marks, of each label (A|B is two), its image nearest to the mean embedding of the label,
    and a cross the mean place of the label's images: with pca, that of the mean embedding. A ring
    marks what lies apart: the images whose mean similarity to their --neighbors nearest, of other
    patients where the patient is known, is among the lowest --outliers percent. A square marks
    what is there more than once: the same file, or a similarity of 1 up to 1e-6.

    The page shows an image and its neighbours under the pointer. A lasso takes ids to the clipboard
    and into a file, one a line, which 'xmir query --id -' reads. The page and the PNG tell
    ids, labels and the columns of --color, and nothing else of a table or of a file's tags; small
    pictures are drawn of the images that can be read, and they show whatever is burnt into those.

    For research use, not for diagnosis. The page needs Jinja2: pip install 'xmir[report]'. tsne
    and umap need pip install 'xmir[atlas]'.
    """

    source: Annotated[
        str,
        typer.Argument(metavar="EMBEDDINGS", help="Embeddings, an index, or - for a stream."),
    ]
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .png, .html or .parquet file; may be repeated.",
        ),
    ] = None
    method: Annotated[
        Literal["pca", "tsne", "umap"],
        typer.Option("--method", help="How images get into the plane; tsne takes up to 50,000."),
    ] = "pca"
    color: Annotated[
        list[str] | None,
        typer.Option(
            "--color",
            metavar="COLUMN",
            help="Colour by this column; the page changes between several, so it may be repeated. "
            "[default: label]",
            autocompletion=complete_columns,
        ),
    ] = None
    where: options.Where = None
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            min=1,
            help="Draw N of the images only, each as likely as another.",
        ),
    ] = None
    neighbors: Annotated[
        int,
        typer.Option(
            "--neighbors",
            metavar="N",
            min=1,
            max=50,
            help="How many nearest images tell what lies apart; the page shows the first six.",
        ),
    ] = 10
    outliers: Annotated[
        float,
        typer.Option(
            "--outliers", metavar="PERCENT", min=0, max=50, help="How many images are ringed."
        ),
    ] = 1.0
    thumbnails: Annotated[
        int,
        typer.Option(
            "--thumbnails",
            metavar="N",
            min=0,
            help="How many small pictures the page holds; those of marked images come first.",
        ),
    ] = 2000
    limit: Annotated[
        int, typer.Option("--limit", metavar="MB", min=1, help="How large the page may become.")
    ] = 64
    seed: options.Seed = 0
    force: options.Force = False
    form: options.Format = None
    show: options.Show = False
    null: options.NullPaths = False

    def __post_init__(self) -> None:
        check_values(self)
        refuse_null(self.null, self.form)
        for file in self.files:
            refuse_input(file, [self.source])
            refuse_existing(file, self.force)
            need_folder(file)
        refuse_embeddings(self.source)

    @property
    def files(self) -> list[Path]:
        """The files to write."""
        if not self.output:
            raise UsageError("--output: expected a file that ends in .png, .html or .parquet")
        for file in self.output:
            if file.suffix.lower() not in _ENDINGS:
                raise SettingError(
                    "output", "expected a file that ends in .png, .html or .parquet", "", str(file)
                )
        kinds = [_ENDINGS[file.suffix.lower()] for file in self.output]
        if len(set(kinds)) < len(kinds):
            raise UsageError("--output: expected one file of each kind")
        return self.output

    def file_of(self, kind: str) -> Path | None:
        """The file of a kind, png, html or parquet, where one is asked for."""
        return next((each for each in self.files if _ENDINGS[each.suffix.lower()] == kind), None)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        return Shown(COLUMNS, rows=rows)
