"""Check: compare two models over the same images: what changed?"""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from xmir_cli import gate_options, options
from xmir_cli.errors import SettingError, UsageError
from xmir_cli.gates import Gate, parse_gates
from xmir_cli.inputs import refuse_stdin
from xmir_cli.printer import Shown
from xmir_cli.scoring.compare.rules import COLUMNS, CUTOFFS, main_rows, rows
from xmir_cli.scoring.compare.terms import ComparisonTerms
from xmir_cli.values import check_values, refuse_null


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Compare two models over the same images: what changed?

    Takes two embeddings or indexes of the same images, two files of records of 'xmir query', or two
    of saliency, causal-metric or localization-metric. Images are matched by the SHA-256 of their
    files and the frame, never by path: the two may lie in different folders, in different orders.
    Which of several copies of a file one is, their ids or paths tell.

    Of every query: how many of the first K are the same under both, `overlap_at_K`; `rbo`, the
    rank-biased overlap of the two rankings (Webber et al. 2010, p = 0.9, the extrapolated form: a
    list that ends is taken to go on agreeing as it did so far); how many images came and went among
    the first K, the largest K of --k; whether its first hit turned from right to wrong, or to
    none. The same model twice has 1, 1 and 0. Equally similar images stand in the order of their
    hashes.

    Over all: every number of retrieval-metric under both models, with the difference and its 95 %
    interval, a paired bootstrap by patient (by query where nobody knows them); hits alone, of which
    nobody knows what else could be found, give p_at_K, recall_at_K and mrr. Of maps: the mean
    difference of every number that both files have, by method and its settings, and how far
    the maps agree; maps that were scored in two ways are refused. A label A|B is two labels.

    Records of hits tell by which flags of 'xmir query' they were found. A note says what differs
    there between OLD and NEW. Where --where, --exclude-same, --no-self or --per do, other images
    could be found: --min and --max are refused then, while another --top, --rerank,
    --min-similarity, --like or --toward may be what is compared. `--baseline` refuses a comparison
    whose sides were asked otherwise than these, in whichever of them. Where the records of one of
    the two do not tell it, as an earlier xmir wrote them, the note says so.

    Prints the worst queries first: the hits that tell most of what changed, each once under the old
    and once under the new model, as 'xmir saliency' takes them and 'xmir montage' draws them side
    by side. Of maps, the records of both, for 'xmir montage'. `--summary` prints the numbers over
    all, in a table the main ones; `--per-query` those of every query, the worst first. Worst is
    what lost most average precision (of hits, precision at the largest K), then what agrees least.

    Gates know every number of --summary: `--min map_difference=-0.01`, `--min overlap_at_10=0.8`,
    `--max right_to_wrong=5`, `--min map_difference_high=0` (not surely worse), `--max only_old=0`.
    """

    old: Annotated[
        str, typer.Argument(metavar="OLD", help="Embeddings, an index, or records, of one model.")
    ]
    new: Annotated[
        str,
        typer.Argument(
            metavar="NEW",
            help="The same of another model; - is standard input: records, or embeddings.",
        ),
    ]
    protocol: Annotated[
        Literal["loo", "query-gallery"],
        typer.Option(
            "--protocol",
            help="loo: each image asks all others. query-gallery: the rows of --where ask all.",
        ),
    ] = "loo"
    where: options.Where = None
    exclude_same: Annotated[
        str | None,
        typer.Option(
            "--exclude-same",
            metavar="COLUMN",
            help="Leave items with the query's value there, such as patient, out of its ranking.",
        ),
    ] = None
    k: Annotated[
        str | None,
        typer.Option(
            "--k",
            metavar="K,...",
            help="The Ks of overlap, P@K, recall@K, nDCG@K. [default: 1,5,10]",
        ),
    ] = None
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            min=1,
            help="Ask with N of the images, each as likely as another, of the whole archive.",
        ),
    ] = None
    worst: Annotated[
        int | None,
        typer.Option(
            "--worst",
            metavar="N",
            min=1,
            help="How many queries, or maps, are shown. [default: 10]",
        ),
    ] = None
    hits: Annotated[
        int | None,
        typer.Option(
            "--hits", metavar="N", min=1, help="How many images of each query are. [default: 3]"
        ),
    ] = None
    seed: options.Seed = 0
    summary: gate_options.Summary = False
    per_query: gate_options.PerQuery = False
    minimum: gate_options.Gates = None
    maximum: gate_options.Limits = None
    baseline: gate_options.Baseline = None
    tolerance: gate_options.Tolerance = 0.01
    junit: gate_options.Junit = None
    force: options.Force = False
    form: options.Format = None
    null: options.NullPaths = False

    def __post_init__(self) -> None:
        check_values(self)
        refuse_null(self.null, self.form)
        _ = self.gates, self.cutoffs
        gate_options.check_gated(self, [self.old, self.new, self.baseline])
        if self.protocol == "query-gallery" and not self.where:
            raise UsageError(
                "--protocol query-gallery: which rows are the queries?",
                "Name them with --where split=test.",
            )
        for name, value in (("worst", self.worst), ("hits", self.hits)):
            if value is not None and (self.summary or self.per_query):
                raise SettingError(name, "not with `summary` or `per_query`, which tell of all")
        if self.exclude_same == "label":
            raise SettingError("exclude_same", "images that share a label are what is to be found")
        refuse_stdin([self.old, self.new], "compare")
        if self.old == self.new == "-":
            raise SettingError("new", "standard input is `old` already")

    @property
    def cutoffs(self) -> tuple[int, ...] | None:
        """The Ks in order, None for the default."""
        if self.k is None:
            return None
        try:
            found = sorted({int(part) for part in self.k.split(",")})
        except ValueError:
            found = [0]
        if found[0] < 1:
            raise UsageError(f"--k: expected whole numbers from 1, found {self.k}")
        return tuple(found)

    @property
    def terms(self) -> ComparisonTerms:
        """What is compared, and how much of it is shown."""
        return ComparisonTerms(
            self.cutoffs,
            self.protocol,
            tuple(self.where or ()),
            self.exclude_same,
            self.sample,
            self.worst or ComparisonTerms.worst,
            self.hits,
            self.seed,
            bool(self.gates),
        )

    @property
    def gates(self) -> list[Gate]:
        """The bounds that the numbers must keep."""
        return parse_gates(self.minimum, self.maximum)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        if self.summary:
            return Shown(COLUMNS, "new", rows=rows if self.form in {"tsv", "csv"} else main_rows)
        if self.per_query:
            overlaps = [f"overlap_at_{each}" for each in (self.cutoffs or CUTOFFS)[-1:]]
            return Shown(
                ["query", "query_label", *overlaps, "rbo", "came", "went", "first_hit"], "query"
            )
        columns = ["side", "rank", "similarity", "change", "retrieved_label", "match", "retrieved"]
        return Shown(["query", *columns], "retrieved", group="query")
