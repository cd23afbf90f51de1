"""Build: build a searchable index of embeddings."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xmir_cli import options
from xmir_cli.errors import SettingError, UsageError
from xmir_cli.gallery.address import is_url, refuse_misspelt, scheme_of
from xmir_cli.gallery.engines import refuse_build, refuse_output
from xmir_cli.inputs import refuse_embeddings
from xmir_cli.model.choice import ModelChoice, choose_model
from xmir_cli.printer import Shown
from xmir_cli.store.outputs import RECEIPT_COLUMNS, refuse_ending
from xmir_cli.threads import count_threads
from xmir_cli.values import check_values, refuse_null

if TYPE_CHECKING:
    from xmir_cli.gallery.protocol import Build


@dataclass(frozen=True, kw_only=True)
class Index:
    """Build a searchable index of embeddings.

    The folder holds manifest.json, vectors.npy, items.parquet and, for HNSW, graph.hnsw. The same
    embeddings give the same bytes, but for a graph of 10,000 rows or more, which all processors
    build: each time another one as good, by --reproducible the same. A query of one index always
    finds the same. Rows that are zero, NaN or infinite are left out (exit 3).

    Embeddings are read a block at a time: some 10 bytes a row are in memory, but of a graph all
    vectors and links. Numbers kept in float16 are taken as they are: similarities are their exact
    products, and an image may be 0.9999 similar to itself.

    Search is exact, unless a graph is asked for: in one of 2^24 numbers or more (65,536 rows of
    256) it finds nearly all of the nearest (its recall is said here). A query finds the same alone
    and among many. Every command reads the graph first, 1 s for a million rows of 256, as long as
    25 queries of an exact index: it is for hundreds of queries a command.

    With --whiten the mean of all vectors is taken off each, and the N directions in which they vary
    most are evened out, as 'man xmir-formats' says: unlabelled images are enough for it. The index
    is smaller and faster, and of a network that was not trained on such images finds a little more.
    It whitens what asks by itself.

    An index may lie in PostgreSQL with pgvector or in Qdrant, and every command takes its URL; see
    'man xmir-formats'. Its records are those of a folder. A load that was interrupted goes on when
    it is started again, and what had the name stays until all is in.

    A file that another program has rewritten may no longer say which model made it. Say it by
    --model or --arch; up to three of its images are embedded again to see whether that is so.
    """

    source: Annotated[
        str,
        typer.Argument(
            metavar="EMBEDDINGS",
            help="What 'xmir embed' wrote: a Parquet file, a folder of parts, a receipt, or - for "
            "an Arrow stream or receipt on standard input.",
        ),
    ]
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|URL",
            help="The index, NAME.xmir; or on a server, postgresql://HOST/DATABASE?table=NAME or "
            "qdrant://HOST:6334/NAME.",
        ),
    ]
    exclude: options.Exclude = None
    kind: Annotated[
        Literal["auto", "exact", "hnsw"],
        typer.Option(
            "--kind",
            help="auto: exact in a folder; on a server exact below 1,000,000 rows, else hnsw.",
        ),
    ] = "auto"
    store: Annotated[
        Literal["float32", "float16"],
        typer.Option(
            "--store",
            help="As which the numbers are kept; a server keeps float32. float16 is half as large; "
            "similarities are the exact products of what is kept.",
        ),
    ] = "float32"
    whiten: Annotated[
        int | None,
        typer.Option(
            "--whiten",
            metavar="N",
            min=1,
            max=65536,
            help="Keep N numbers of a vector, whitened, such as 128; a folder only.",
        ),
    ] = None
    reproducible: Annotated[
        bool,
        typer.Option(
            "--reproducible", help="HNSW: one thread builds it, so that it is always the same."
        ),
    ] = False
    m: Annotated[int, typer.Option("--m", min=2, max=512, help="HNSW: links of a node.")] = 16
    ef_construction: Annotated[
        int, typer.Option("--ef-construction", min=1, help="HNSW: candidates while building.")
    ] = 200
    ef: Annotated[int, typer.Option("--ef", min=1, help="HNSW: candidates while searching.")] = 64
    seed: options.Seed = 0
    shards: Annotated[
        int | None, typer.Option("--shards", min=1, help="Qdrant: parts, each on a machine.")
    ] = None
    replicas: Annotated[
        int | None, typer.Option("--replicas", min=1, help="Qdrant: copies of each part.")
    ] = None
    model: options.Model = None
    architecture: options.Architecture = None
    weights: options.Weights = None
    head: options.Head = None
    input_size: options.InputSize = None
    resize: options.Resize = None
    view: options.View = None
    pool: options.Pool = None
    mean: options.Mean = None
    std: options.Std = None
    window: options.Window = None
    force: options.Force = False
    form: options.Format = None
    null: options.NullPaths = False

    def __post_init__(self) -> None:
        check_values(self)
        refuse_null(self.null, self.form)
        if self.output == "-":
            raise UsageError("--output -: an index is a folder", "Name it: -o NAME.xmir")
        if is_url(self.output) and (self.reproducible or self.seed):
            reason = "a server builds its graph in its own way, each time another one"
            raise SettingError("reproducible" if self.reproducible else "seed", reason)
        if is_url(self.output) and self.whiten is not None:
            reason = "a server has no place for a whitening; a folder NAME.xmir has"
            raise SettingError("whiten", reason, value=str(self.whiten))
        refuse_build(self.output, self.build)
        refuse_output(self.output, self.force)
        if not is_url(self.output):
            refuse_ending(Path(self.output), "a folder", [".xmir"])
        if is_url(self.source):
            found = f"found {scheme_of(self.source)}://..."
            hint = "Name the embeddings that it was made of."
            raise SettingError("source", f"expected what 'xmir embed' wrote, {found}", hint)
        refuse_misspelt(self.source)
        refuse_embeddings(self.source)

    @property
    def build(self) -> "Build":
        """How the index is built."""
        from xmir_cli.gallery.protocol import Build, GraphSettings, Spread  # noqa: PLC0415 # slow

        return Build(
            kind=None if self.kind == "auto" else self.kind,
            graph=GraphSettings(self.m, self.ef_construction, self.ef, self.seed),
            spread=Spread(self.shards, self.replicas),
            store=self.store,
            whiten=self.whiten,
            threads=1 if self.reproducible else count_threads(),
            force=self.force,
        )

    @property
    def choice(self) -> ModelChoice:
        """The model that is said to have made the embeddings."""
        return choose_model(self)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        return Shown(RECEIPT_COLUMNS)
