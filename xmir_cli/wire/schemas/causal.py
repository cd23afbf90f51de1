"""`xmir.causal/1`: a saliency map scored by insertion and deletion."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.schema import NUMBER, NUMBERS, OBJECT, PATH, SETTINGS, TEXTS, WHOLE, Shows, key
from xmir_cli.wire.schemas.saliency import SaliencyRecord


@dataclass(frozen=True, eq=False, kw_only=True)
class CausalRecord(SaliencyRecord):
    """A saliency record with the areas under its curves."""

    NAME: ClassVar = "xmir.causal/1"
    WRITTEN_BY: ClassVar = "causal-metric"

    insertion: float | None = key(NUMBER, "area under the insertion curve")
    deletion: float | None = key(NUMBER, "area under the deletion curve")
    insertion_control: dict[str, float] | None = key(
        OBJECT, "the insertion of each control's map", when="--control", shows=Shows.DETAIL
    )
    deletion_control: dict[str, float] | None = key(
        OBJECT, "the deletion of each control's map", when="--control", shows=Shows.DETAIL
    )
    insertion_gain: dict[str, float] | None = key(
        OBJECT, "how much better than each control the map inserts", when="--control"
    )
    deletion_gain: dict[str, float] | None = key(
        OBJECT, "how much better than each control the map deletes", when="--control"
    )
    same_as: list[str] | None = key(
        TEXTS,
        "methods before it whose map of the pair is the same, up to its unit and what is cut at "
        "zero",
        when="there are any",
        shows=Shows.DETAIL,
    )
    steps: int | None = key(WHOLE, "steps of a curve", shows=Shows.DETAIL)
    tied_fraction: float | None = key(
        NUMBER, "share of the pixels that have an equal in the map", shows=Shows.DETAIL
    )
    tie_effect: float | None = key(
        NUMBER,
        "the most that another order of equal pixels could move either area, estimated from the "
        "curves",
        shows=Shows.DETAIL,
    )
    insertion_curve: list[float] | None = key(
        NUMBERS, "similarities, from the blurred image on", chart="insertion"
    )
    deletion_curve: list[float] | None = key(
        NUMBERS, "similarities, from the whole image on", chart="deletion"
    )
    insertion_control_curve: dict[str, list[float]] | None = key(
        OBJECT, "the insertion curve of each control's map", when="--control", chart="insertion"
    )
    deletion_control_curve: dict[str, list[float]] | None = key(
        OBJECT, "the deletion curve of each control's map", when="--control", chart="deletion"
    )
    causal: dict[str, object] | None = key(SETTINGS, "the parameters of the scoring")
    curves: str | None = key(
        PATH,
        ".npy [3, steps + 1]: fractions, insertion, deletion",
        when="--curves",
        shows=Shows.NOTHING,
    )
    curves_plot: str | None = key(PATH, "the curves drawn", when="--curves", shows=Shows.NOTHING)
