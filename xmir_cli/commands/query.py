"""Search: find the indexed images most like a new one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from xmir_cli import asking, options, word_options
from xmir_cli.completion import complete_ids
from xmir_cli.errors import UsageError
from xmir_cli.inputs import find_index, refuse_stdin
from xmir_cli.printer import Shown
from xmir_cli.values import check_values


@dataclass(frozen=True, kw_only=True)
class Query:
    """Find the indexed images most like a new one.

    One record a hit, nearest first, in the order of the queries. The index knows the model.
    Fewer hits than --top come when the index or the filters leave fewer.

    With --like and --unlike the hits are those nearest to the mean of the query and the liked,
    less half the mean of the unlike; the examples themselves are left out. The similarity is still
    that of the query and the hit, the order is that of the record's relevance.

    With --toward the query is moved once more, by a concept: f + W v at length 1, of which the
    record's relevance is the similarity, and the order. With --concept each record tells how much
    of its similarity a concept holds: (f_q . v) (f_r . v), which and the rest add up to it, and p,
    how often directions of shuffled examples hold as much.

    With --vote, --novelty and --min-similarity records say how far the answer can be trusted, by
    the --neighbors nearest items, never of the query's own patient: 'man xmir-methods' says how. A
    query that nothing is near has one record without a retrieved image, and words.

    With --text words ask, through the text tower of the model's folder: alone, or together with an
    image as w * text + (1 - w) * image, w being --text-weight. Words are never run and never a
    path.

    With --region the relevance is what that part of the query contributes to the similarity, by
    the exact decomposition of --method activation: the parts of an image add up to the whole. The
    share is the relevance divided by the similarity. With --center it is what the part contributes
    to the similarity of what is left of both images without the mean embedding of the index.
    """

    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGES",
            help="Image files, globs, folders, a CSV/TSV/Parquet manifest with a 'path' column, "
            "or - for paths on standard input.",
        ),
    ] = None
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            "-i",
            metavar="DIR|URL",
            help="The index. [default: $XMIR_INDEX, or the only *.xmir here]",
        ),
    ] = None
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many for each query.")] = 5
    ids: Annotated[
        list[str] | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="Ask with an indexed item; may be repeated; - is as for --like.",
            autocompletion=complete_ids,
        ),
    ] = None
    vectors: Annotated[
        list[str] | None,
        typer.Option("--vector", metavar="FILE.npy", help="Ask with an embedding [D] or [N, D]."),
    ] = None
    everything: Annotated[
        bool, typer.Option("--all", help="Ask with every indexed item in turn.")
    ] = False
    per_label: asking.PerLabel = None
    seed: options.Seed = 0
    texts: word_options.Texts = None
    text_file: word_options.TextFile = None
    templates: options.Templates = None
    text_weight: word_options.TextWeight = None
    where: options.Where = None
    exclude_same: Annotated[
        str | None,
        typer.Option(
            "--exclude-same",
            metavar="COLUMN",
            help="Leave out the query itself and items with its value there, such as patient.",
        ),
    ] = None
    no_self: Annotated[
        bool,
        typer.Option("--no-self", help="Leave out the query itself: the same image, path or id."),
    ] = False
    per: Annotated[
        str | None,
        typer.Option(
            "--per",
            metavar="COLUMN=COUNT",
            help="At most so many hits of each value there, such as patient=1; of each label.",
        ),
    ] = None
    like: Annotated[
        list[str] | None,
        typer.Option(
            "--like",
            metavar="ID|IMAGE",
            help="Move the query towards this one; without a query the first is the query. "
            "- is those chosen on standard input: records, rows of TSV, ids or paths.",
        ),
    ] = None
    unlike: Annotated[
        list[str] | None,
        typer.Option(
            "--unlike",
            metavar="ID|IMAGE",
            help="Move the query away from this one; - is as for --like.",
        ),
    ] = None
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            metavar="X,Y,W,H",
            help="Ask with this part of the image only, in pixels of the file, upright as its EXIF "
            "orientation says.",
        ),
    ] = None
    toward: asking.Toward = None
    concepts: asking.Concepts = None
    vote: asking.Vote = None
    novelty: asking.Novelty = False
    neighbors: asking.Neighbors = None
    coverage: asking.Coverage = None
    min_similarity: asking.MinSimilarity = None
    rerank: asking.Rerank = None
    center: Annotated[
        bool,
        typer.Option(
            "--center",
            help="With --region: take the mean embedding of the index off the query and the hits.",
        ),
    ] = False
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="Where the index's weights, or the FOLDER of its network, lie now.",
        ),
    ] = None
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    batch: options.Batch = 16
    jobs: options.Jobs = None
    null: options.NullSeparatedBoth = False
    columns: options.Columns = None
    form: options.Format = None
    show: options.Show = False

    def __post_init__(self) -> None:
        check_values(self)
        asking.refuse_readers(
            {
                "IMAGES": self.images,
                "--text-file": [self.text_file] if self.text_file else [],
                "--id": self.ids,
                "--like": self.like,
                "--unlike": self.unlike,
            }
        )
        if self.asks_in_words:
            word_options.refuse_evidence(self.vote, self.novelty)
        word_options.check_words(self)
        asking.refuse_alone(self.vote, self.novelty, self.neighbors, self.coverage)
        asking.refuse_rerank(self.rerank, self.top, self.region is not None)
        if self.per_label is not None:
            asking.refuse_chosen(
                {"--all": self.everything, "--id": self.ids, "--vector": self.vectors}
            )
        others = self.of_index or self.vectors or self.like or self.asks_in_words
        if not (self.images or others):
            raise UsageError(
                "nothing to ask with", "Name images, --text, --id, --vector, --all or --like."
            )
        if self.region is not None and (not self.images or others or self.unlike):
            raise UsageError(
                "--region: a part of an image file", "Name IMAGES, without any other way to ask."
            )
        if self.center and self.region is None:
            raise UsageError(
                "--center: only with --region", "'xmir saliency --center' explains whole images."
            )
        _ = self.pulls, self.gallery
        others = [*(self.ids or ()), *(self.like or ()), *(self.unlike or ())]
        refuse_stdin([*(self.images or ()), self.text_file or "", *others], "query")

    @property
    def of_index(self) -> bool:
        """Whether indexed items ask."""
        return bool(self.ids or self.everything or (self.per_label and not self.images))

    @property
    def asks_in_words(self) -> bool:
        """Whether words ask, alone or with others."""
        return bool(self.texts or self.text_file)

    @property
    def word_weight(self) -> float | None:
        """How much words count that ask together with something else; None where they do not."""
        others = self.images or self.of_index or self.vectors
        if not (others and self.asks_in_words):
            return None
        return 0.5 if self.text_weight is None else self.text_weight

    @property
    def pulls(self) -> list[tuple[str, float]]:
        """The files of the concepts that queries are moved towards, and how far."""
        return asking.parse_toward(self.toward)

    @property
    def gallery(self) -> str:
        """The name of the index."""
        return str(find_index(self.index))

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        moved = bool(self.like or self.unlike or self.toward)
        told = asking.evidence_columns(self.vote, self.novelty, self.min_similarity)
        part, anew = self.region is not None, self.rerank is not None
        ordered = asking.order_columns(part, moved, self.center, anew)
        return asking.shown([*ordered, *asking.concept_columns(self.concepts)], told)
