"""Check: score rankings by labels: mAP, P@K, MRR and more."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from xmir_cli import gate_options, options
from xmir_cli.errors import UsageError
from xmir_cli.gates import Gate, parse_gates
from xmir_cli.inputs import refuse_embeddings
from xmir_cli.metrics.retrieval_rows import rows
from xmir_cli.model.choice import ModelChoice, choose_model
from xmir_cli.printer import Shown
from xmir_cli.values import check_values, refuse_null


@dataclass(frozen=True, kw_only=True)
class RetrievalMetric:
    """Score rankings by labels: mAP, P@K, MRR and more.

    R-precision, mAP@R, recall@K and nDCG stand beside them. Images are relevant to each other when
    they share a label, and A|B is two of them; nDCG is graded by the Jaccard index of their labels.
    Where images are equally similar to a query, a number is its mean over their orders. Means over
    queries are micro, means of the labels' means macro. Those of a label are over the queries that
    have it, which ask by it alone: images that have it count, in nDCG by the Jaccard index of it
    and all of theirs. With a patient column the numbers without same-patient neighbours are there
    too, under excluding_same_patient.
    Gates know every number of the record: map, macro.map, labels.NAME.p_at_1,
    excluding_same_patient.map ... `--baseline` takes the record of an earlier run, and fails where
    a mean over queries or labels is worse, or its records of --per-query, and fails where a query
    is. A label or a query that is gone is missing, which is told and skipped in JUnit. Images
    without a label are left out; queries without any relevant image are dropped; both are counted.
    A large set is scored by --sample: each number then has NUMBER_low and NUMBER_high beside it,
    its interval by bootstrap over the patients of the sampled queries, over queries where nobody
    knows them. Where no sampled query has some label, it is named, and macro numbers are null, as
    they are over all labels; a gate on them fails.
    """

    source: Annotated[
        str,
        typer.Argument(metavar="EMBEDDINGS", help="Embeddings, an index, or - for a stream."),
    ]
    protocol: Annotated[
        Literal["loo", "query-gallery"] | None,
        typer.Option(
            "--protocol",
            help="loo: each image asks all others. query-gallery: the rows of --where (all "
            "with --gallery) ask the gallery. [default: loo, query-gallery with --gallery]",
        ),
    ] = None
    gallery: Annotated[
        str | None,
        typer.Option("--gallery", metavar="EMBEDDINGS", help="The searched set, if another one."),
    ] = None
    where: options.Where = None
    exclude_same: Annotated[
        str | None,
        typer.Option(
            "--exclude-same",
            metavar="COLUMN",
            help="Leave items with the query's value there, such as patient, out of its ranking.",
        ),
    ] = None
    map_mode: Annotated[
        Literal["standard", "x-mir"],
        typer.Option(
            "--map-mode",
            help="x-mir: as the paper's released evaluator, queries without a partner too "
            "(loo only).",
        ),
    ] = "standard"
    k: Annotated[
        str | None,
        typer.Option(
            "--k", metavar="K,...", help="The Ks of P@K, recall@K, nDCG@K. [default: 1,5,10]"
        ),
    ] = None
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            min=1,
            help="Ask with N of the queries, each as likely as another, of the whole gallery; "
            "with 95 % intervals.",
        ),
    ] = None
    seed: options.Seed = 0
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
        parse_gates(self.minimum, self.maximum)
        self._refuse_protocol()
        _ = self.cutoffs
        refuse_embeddings(self.source, self.gallery)
        gate_options.check_gated(self, [self.source, self.gallery, self.baseline, self.model])

    def _refuse_protocol(self) -> None:
        if self.protocol == "loo" and self.gallery:
            raise UsageError("--protocol loo has no gallery of its own", "Leave --gallery out.")
        if self.is_loo:
            return
        if not (self.gallery or self.where):
            raise UsageError(
                "--protocol query-gallery: which rows are the queries?",
                "Name them with --where split=test, or the searched set with --gallery.",
            )
        if self.map_mode == "x-mir":
            raise UsageError("--map-mode x-mir is defined for --protocol loo only")

    @property
    def choice(self) -> ModelChoice:
        """The model that is said to have made the embeddings."""
        return choose_model(self)

    @property
    def is_loo(self) -> bool:
        """Whether each image asks all others."""
        return (self.protocol or ("query-gallery" if self.gallery else "loo")) == "loo"

    @property
    def cutoffs(self) -> tuple[int, ...] | None:
        """The Ks, None for the default."""
        if self.k is None:
            return None
        try:
            found = tuple(dict.fromkeys(int(part) for part in self.k.split(",")))
        except ValueError:
            found = (0,)
        if min(found) < 1:
            raise UsageError(f"--k: expected whole numbers from 1, found {self.k}")
        return found

    @property
    def gates(self) -> list[Gate]:
        """The bounds that the numbers must keep."""
        return parse_gates(self.minimum, self.maximum)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        if self.per_query:
            at = [f"p_at_{cutoff}" for cutoff in self.cutoffs or ()]
            return Shown(
                ["query", "query_label", "map", "mrr", *at, "r_precision", "ndcg"], "query"
            )
        return Shown(path_key="embeddings", rows=rows)
