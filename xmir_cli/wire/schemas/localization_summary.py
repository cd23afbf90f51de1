"""`xmir.localization-summary/1`: where the maps of one method lie."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import NUMBER, OBJECT, PATH, SETTINGS, TEXT, WHOLE, Shows, key


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalizationSummaryRecord:
    """Means over the maps of one method and its settings, of one mask where several are told apart.

    With bootstrap intervals over the patients of the explained images, over images where nobody
    knows them.
    """

    NAME: ClassVar = "xmir.localization-summary/1"
    WRITTEN_BY: ClassVar = "localization-metric --summary"

    record: Record
    query: str | None = key(PATH, "the query whose maps these are", when="--per-query")
    query_text: str | None = key(TEXT, "its words", when="--per-query and there are any")
    query_identity: str | None = key(
        TEXT, "SHA-256 of its file", when="--per-query", shows=Shows.MADE
    )
    query_label: str | None = key(TEXT, "its label", when="--per-query")
    query_patient: str | None = key(
        TEXT, "its patient", when="--per-query and it is known", shows=Shows.NOTHING
    )
    method: str = key(TEXT, "the saliency method", default="")
    variant: str | None = key(
        TEXT, "the settings in which it differs from others of this method", when="there are others"
    )
    mask_name: str | None = key(TEXT, "which of the images' masks", when="--by")
    n: int | None = key(WHOLE, "maps")
    images: int | None = key(WHOLE, "different images that are explained")
    patients: int | None = key(
        WHOLE,
        "patients of these images, over whom the intervals then are; an image of nobody counts as "
        "one",
        when="patients are known",
    )
    hit: float | None = key(NUMBER, "mean of `hit`, as each of these numbers is")
    hit_chance: float | None = key(NUMBER, "what knows nothing would have")
    hit_control: dict[str, float] | None = key(OBJECT, "the same of each control")
    hit_gain: dict[str, float] | None = key(OBJECT, "mean gain over each control")
    energy: float | None = key(NUMBER, "the positive sum in the mask")
    rank_accuracy: float | None = key(NUMBER, "the highest pixels in the mask")
    auroc: float | None = key(NUMBER, "area under the ROC curve of pixels")
    auprc: float | None = key(NUMBER, "their average precision")
    iou: float | None = key(NUMBER, "overlap at the threshold")
    images_sha256: str | None = key(
        TEXT,
        "which pairs these are: SHA-256 over a sorted line each, of the identity of the query, its "
        "words, and the identity of the retrieved image, and an empty line",
        shows=Shows.MADE,
    )
    settings: dict[str, object] | None = key(SETTINGS, "the method's settings")
    localization: dict[str, object] | None = key(SETTINGS, "the parameters of the scoring")

    OTHERS: ClassVar = {
        "NUMBER_chance": "what knows nothing would have",
        "NUMBER_control": "the same of each control",
        "NUMBER_gain": "mean gain over each control",
        "NUMBER_sd": "the standard deviation of a number",
        "NUMBER_low": "the lower end of its 95 % interval",
        "NUMBER_high": "the upper end",
    }
