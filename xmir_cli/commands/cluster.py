"""Check: group saliency maps by kinds of reasons."""

from dataclasses import dataclass
from typing import Annotated

import typer

from xmir_cli import options
from xmir_cli.clusters.rows import COLUMNS, rows
from xmir_cli.inputs import refuse_records
from xmir_cli.printer import Shown
from xmir_cli.values import check_values, refuse_null


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Group saliency maps by kinds of reasons.

    Maps that lie at the same places are a group: one that lies in a corner, where a marker stands,
    beside one that lies on the lungs, says that the network has two kinds of reasons (SpRAy). Maps
    are compared as 16 x 16 block means of their positive part, of sum 1, and each method, with its
    settings, for itself. Embeddings, in a Parquet file or an index, are grouped in the same way.

    How many groups there are is told by the graph of nearest neighbours: the widest gap between its
    eigenvalues, where the one above is more than five times the one below; 10 at most. Without such
    a gap, as of maps that change gradually, it is one group; so are fewer than 8 maps, and a group
    must have more maps than neighbours to be one: fewer `--neighbors` find smaller groups, and more
    that are none. What lies at several places, such as in either lung, is a group at each.
    `--clusters` says how many instead.

    Records come group by group, the largest first, its exemplars before the others: those nearest
    to its middle, of each image one. 'xmir montage' draws a row of exemplars a group. `--summary`
    tells of each group its size and the labels of its images, with Fisher's exact test against the
    rest, corrected for all groups and labels (Holm); A|B is two labels. It takes maps
    for independent: of several maps of an image or a patient, p is too small.

    A map without a positive value is skipped by name. Needs scikit-learn: pip install
    'xmir[cluster]'.
    """

    source: Annotated[
        str,
        typer.Argument(
            metavar="RECORDS|EMBEDDINGS",
            help="JSONL records with maps, - for standard input; or embeddings, or an index.",
        ),
    ] = "-"
    clusters: Annotated[
        int | None,
        typer.Option(
            "--clusters", metavar="N", min=1, max=50, help="How many groups. [default: by eigengap]"
        ),
    ] = None
    neighbors: Annotated[
        int | None,
        typer.Option(
            "--neighbors",
            metavar="N",
            min=1,
            max=200,
            help="Neighbours in the graph. [default: 1.5 log2 of the maps, less than half of them]",
        ),
    ] = None
    exemplars: Annotated[
        int, typer.Option("--exemplars", metavar="N", min=1, help="How many of each group.")
    ] = 6
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            min=1,
            max=5000,
            help="Group N of the maps or rows only, each as likely as another; 5000 is the most.",
        ),
    ] = None
    summary: Annotated[
        bool, typer.Option("--summary", help="Print a record a group instead of the members.")
    ] = False
    seed: options.Seed = 0
    form: options.Format = None
    null: options.NullPaths = False

    def __post_init__(self) -> None:
        check_values(self)
        refuse_null(self.null, self.form)
        if "://" not in self.source:
            refuse_records(self.source, "cluster")

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        if self.summary:
            return Shown(COLUMNS, rows=rows)
        images = ["query", "retrieved", "query_label", "retrieved_label"]
        return Shown(["method", "cluster", "exemplar", *images], "retrieved")
