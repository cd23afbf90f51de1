"""`xmir.difference/1`: the regions that tell two classes apart."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import MODEL, NUMBER, PATH, SETTINGS, TEXT, WHOLE, Shows, key


@dataclass(frozen=True, eq=False, kw_only=True)
class DifferenceRecord:
    """The mean map of one class minus that of another."""

    NAME: ClassVar = "xmir.difference/1"
    WRITTEN_BY: ClassVar = "diff-saliency"

    record: Record
    class_a: str | None = key(TEXT, "the class whose map counts positive")
    class_b: str | None = key(TEXT, "the class whose map is subtracted")
    n_a: int | None = key(WHOLE, "images of the first class")
    n_b: int | None = key(WHOLE, "images of the second class")
    patients_a: int | None = key(
        WHOLE,
        "patients of the first class, who then are the unit of its errors and permutations; an "
        "image of nobody counts as one",
        when="patients are known",
    )
    patients_b: int | None = key(WHOLE, "patients of the second class", when="patients are known")
    overlay: str | None = key(
        PATH,
        "the difference drawn on a pale copy of the mean image of both: red where the first class "
        "counts more, blue where the second",
        shows=Shows.PICTURE,
    )
    saliency: str | None = key(PATH, "the difference: .npy, float32 [H, W]", shows=Shows.NOTHING)
    standard_error: str | None = key(PATH, "its standard error at each pixel", shows=Shows.NOTHING)
    saliency_none: str | None = key(
        PATH, "the difference of the maps without normalisation", shows=Shows.NOTHING
    )
    p_values: str | None = key(
        PATH, "corrected p-values at each pixel", when="--permutations", shows=Shows.NOTHING
    )
    permutations: int | None = key(WHOLE, "permutations of the labels", when="--permutations")
    p_min: float | None = key(NUMBER, "the smallest p-value", when="--permutations")
    significant_share: float | None = key(
        NUMBER, "share of the map with p < 0.05", when="--permutations"
    )
    method: str | None = key(TEXT, "the saliency method")
    settings: dict[str, object] | None = key(SETTINGS, "its settings, and `normalize`")
    index: str | None = key(PATH, "whose mean was taken off", when="--center", shows=Shows.MADE)
    figure: str | None = key(
        PATH, "the picture of all classes and differences", shows=Shows.PICTURE
    )
    model: ModelSpec | None = key(MODEL, "the network")
