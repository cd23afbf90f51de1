"""`xmir.concept/1`: a direction in the space of embeddings, and how far it is more than chance."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import MODEL, NUMBER, PATH, TEXT, WHOLE, Shows, key, one_of


@dataclass(frozen=True, eq=False, kw_only=True)
class ConceptRecord:
    """A concept that was fitted; the JSON beside it has the same keys, and its checksums."""

    NAME: ClassVar = "xmir.concept/1"
    WRITTEN_BY: ClassVar = "concept"

    record: Record
    path: str | None = key(PATH, "the direction: .npy, float32 [D], of length 1")
    method: str | None = key(one_of("means", "logistic"), "how it was fitted")
    positive: int | None = key(WHOLE, "examples that show the concept")
    negative: int | None = key(WHOLE, "examples that do not")
    units: int | None = key(WHOLE, "patients, or images where none are known, that were shuffled")
    dim: int | None = key(WHOLE, "numbers of the direction")
    apart: float | None = key(
        NUMBER, "how far apart both kinds lie along it: the difference of their means"
    )
    p: float | None = key(
        NUMBER, "how often shuffled examples lie as far apart along their own direction"
    )
    auroc: float | None = key(
        NUMBER,
        "how often a positive example lies further along than a negative one, both held out in one "
        "of five folds by patient; chance 0.5",
        when="there are enough",
    )
    permutations: int | None = key(WHOLE, "shuffles", shows=Shows.DETAIL)
    seed: int | None = key(WHOLE, "of the shuffles and folds", shows=Shows.DETAIL)
    skipped: int | None = key(WHOLE, "examples left out")
    sha256: str | None = key(TEXT, "of the direction's file", shows=Shows.MADE)
    model: ModelSpec | None = key(MODEL, "the network whose embeddings it is a direction of")
