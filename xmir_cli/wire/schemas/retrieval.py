"""`xmir.retrieval/1`: one hit of a query."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import (
    BOX,
    COSINE,
    FLAG,
    MODEL,
    NO_ANSWER,
    NUMBER,
    OBJECT,
    PATH,
    RANK,
    SETTINGS,
    SHARE,
    TEXT,
    TEXTS,
    WHOLE,
    Shows,
    key,
    one_of,
)
from xmir_cli.wire.words import Words, check_templates, check_text


@dataclass(frozen=True, eq=False, kw_only=True)
class RetrievalRecord:
    """One retrieved image of a query, the nearest with rank 1."""

    NAME: ClassVar = "xmir.retrieval/1"
    WRITTEN_BY: ClassVar = "query"

    record: Record
    query: str = key(
        PATH,
        "the query: an image, or the file of --vector; none where words ask alone",
        needed=True,
        unless="query_text",
        default="",
    )
    query_text: str | None = key(TEXT, "the words that ask, as they were typed", when="--text")
    query_templates: list[str] | None = key(
        TEXTS,
        "what stands around the words, {} in their place: the mean of these embeddings asks",
        when="--template",
        shows=Shows.DETAIL,
    )
    text_weight: float | None = key(
        SHARE,
        "w of words that ask together with the query: w * text + (1 - w) * image, at length 1",
        when="--text with an image",
        shows=Shows.DETAIL,
    )
    text_sha256: str | None = key(
        TEXT,
        "SHA-256 over the text tower's tensors and its tokenizer",
        when="--text",
        shows=Shows.MADE,
    )
    text_cut: int | None = key(
        WHOLE,
        "tokens of the longest prompt that are beyond what the text tower takes, left out",
        when="there are any",
        shows=Shows.DETAIL,
    )
    retrieved: str = key(PATH, "the retrieved image", needed=True)
    query_identity: str | None = key(
        TEXT,
        "SHA-256 of the query's file, #frame=N behind it for another picture than the first",
        when="the query is an image",
        shows=Shows.MADE,
    )
    retrieved_identity: str | None = key(TEXT, "the same of the retrieved image", shows=Shows.MADE)
    rank: int | None = key(RANK, "its place among the query's hits, from 1")
    similarity: float | None = key(COSINE, "cosine of the two embeddings, in [-1, 1]")
    relevance: float | None = key(
        NUMBER,
        "what the hits are ordered by: the similarity to where examples or concepts moved the "
        "query, or what the region, moved by concepts, adds to the similarity",
        when="--like, --unlike, --toward or --region",
    )
    rerank_distance: float | None = key(
        SHARE,
        "what the hits are ordered by, the least first, in [0, 1]: 0.7 times the Jaccard distance "
        "of the k-reciprocal neighbours and 0.3 times that of the embeddings, scaled",
        when="--rerank",
    )
    like: list[str] | None = key(
        TEXTS, "what the query was moved towards", when="--like or --unlike", shows=Shows.DETAIL
    )
    unlike: list[str] | None = key(
        TEXTS, "what the query was moved away from", when="--like or --unlike", shows=Shows.DETAIL
    )
    toward: list[str] | None = key(
        TEXTS,
        "the concepts that the query was moved towards, each with its weight: FILE.npy:W",
        when="--toward",
        shows=Shows.DETAIL,
    )
    toward_sha256: list[str] | None = key(
        TEXTS, "SHA-256 of their files", when="--toward", shows=Shows.MADE
    )
    concept_query: dict[str, object] | None = key(
        OBJECT,
        "f_q . v, how far along a concept the query lies, by the concept's name",
        when="--concept",
        shows=Shows.DETAIL,
    )
    concept_retrieved: dict[str, object] | None = key(
        OBJECT, "f_r . v, the same of the retrieved image", when="--concept", shows=Shows.DETAIL
    )
    concept_part: dict[str, object] | None = key(
        OBJECT,
        "what the concept holds of the similarity: the product of the two",
        when="--concept",
        shows=Shows.DETAIL,
    )
    concept_rest: dict[str, object] | None = key(
        OBJECT, "the similarity less that", when="--concept", shows=Shows.DETAIL
    )
    concept_share: dict[str, object] | None = key(
        OBJECT,
        "that part divided by the similarity; null unless that is positive",
        when="--concept",
    )
    concept_p: dict[str, object] | None = key(
        OBJECT,
        "how often directions of shuffled examples hold as much of the similarity, in size",
        when="--concept",
    )
    region: list[float] | None = key(
        BOX,
        "left, top, width, height of the query's part, pixels of the file when upright",
        when="--region",
    )
    share: float | None = key(
        NUMBER,
        "the relevance divided by the similarity, or by `centered`; null unless that is positive",
        when="--region",
    )
    centered: float | None = key(
        COSINE,
        "the similarity of what is left of both images without the mean of the index",
        when="--region with --center",
    )
    center: str | None = key(
        TEXT, "SHA-256 of that mean", when="--region with --center", shows=Shows.MADE
    )
    answer: str | None = key(
        one_of(NO_ANSWER),
        "that nothing is near enough: the record has no retrieved image, and `remark` says why",
        when="--min-similarity leaves nothing",
    )
    nearest: float | None = key(
        COSINE,
        "the largest similarity there is then, or of the hits where something else orders them",
        when="--min-similarity leaves nothing",
    )
    vote: dict[str, object] | None = key(
        OBJECT,
        "the probability of each label, or value of another column, the 20 largest; several labels "
        "of one image have each their own",
        when="--vote",
        shows=Shows.DETAIL,
    )
    vote_set: list[str] | None = key(
        TEXTS,
        "labels among which those of the query all are with the probability `coverage`, the "
        "likeliest first; it may be empty, where no label is likely enough",
        when="--vote",
    )
    vote_by: dict[str, object] | None = key(
        SETTINGS,
        "how votes were weighed, and on how many images, one a patient, that was fitted and held "
        "out; `calibration_error` is that of those held out; `slope` and `shift` of log-odds are "
        "there where images have several labels",
        when="--vote",
    )
    novelty: float | None = key(
        SHARE,
        "the share of the index's own images that are nearer to their nearest of other patients "
        "than the query is to its own, on average",
        when="--novelty",
    )
    remark: str | None = key(
        TEXT, "words about an answer that is not to be trusted", when="there is reason"
    )
    query_label: str | None = key(TEXT, "the query's label; null where it is not known")
    query_patient: str | None = key(
        TEXT,
        "the query's patient; of a hit on the query itself `meta` says it",
        when="it is known",
        shows=Shows.NOTHING,
    )
    query_meta: dict[str, object] | None = key(
        OBJECT,
        "the other columns of the query, as `meta` has them",
        when="it has any, and is not the retrieved image",
        shows=Shows.NOTHING,
    )
    retrieved_label: str | None = key(TEXT, "the retrieved image's label; null where there is none")
    match: bool | None = key(
        FLAG, "whether they share a label (A|B is two); null where one has none"
    )
    index: str | None = key(PATH, "the index that was asked", shows=Shows.MADE)
    store: str | None = key(
        one_of("float16"),
        "as which it keeps vectors, of which the similarity is the exact product",
        when="not as float32",
        shows=Shows.MADE,
    )
    asked: dict[str, object] | None = key(
        SETTINGS,
        "by what was set which images are hits: `top`; `where`, `exclude_same`, `no_self`, `per`, "
        "`rerank` and `min_similarity` where they were given. Records of before, which lack it, "
        "do not tell",
    )
    model: ModelSpec | None = key(MODEL, "the network, its weights' hash and its preprocessing")
    meta: dict[str, object] | None = key(
        OBJECT,
        "the other columns of the retrieved image: id, patient, split and more",
        shows=Shows.NOTHING,
    )

    @property
    def words(self) -> Words | None:
        """The words that ask; raises ItemError for what are none, and where nothing asks."""
        if self.query_text is None:
            if not self.query:
                raise ItemError(Cause.BAD_RECORD, "query: expected a path, found ''")
            return None
        weight = self.text_weight
        try:
            if weight is not None and not (self.query and 0 <= weight <= 1):
                raise ValueError("text_weight: expected 0 to 1, of a record with a query")
            return Words(
                check_text(self.query_text),
                check_templates(self.query_templates or ()),
                weight,
                self.text_sha256 or "",
            )
        except ValueError as error:
            raise ItemError(Cause.BAD_RECORD, f"query_text: {error}") from None
