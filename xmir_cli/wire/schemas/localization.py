"""`xmir.localization/1`: a saliency map against what an expert marked on its image."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.schema import NUMBER, NUMBERS, OBJECT, PATHS, SETTINGS, TEXT, Shows, key
from xmir_cli.wire.schemas.causal import CausalRecord

_CONTROL = "the same of each control's map"
_GAIN = "how much more than chance and than each control"
_FOUND = ("share of pixels", "share of the mask")


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalizationRecord(CausalRecord):
    """A saliency record, scored by causal-metric or not, with where its map lies."""

    NAME: ClassVar = "xmir.localization/1"
    WRITTEN_BY: ClassVar = "localization-metric"

    mask_name: str | None = key(
        TEXT, "which of the image's masks it is: its value of the column", when="--by"
    )
    mask_files: list[str] | None = key(
        PATHS, "where the mask or the boxes come from", shows=Shows.DETAIL
    )
    mask_sha256: str | None = key(TEXT, "SHA-256 of its pixels, in bits", shows=Shows.MADE)
    mask_area: float | None = key(NUMBER, "share of what the network saw that is marked")
    mask_outside: float | None = key(
        NUMBER, "share of the mask beyond what the network saw", shows=Shows.DETAIL
    )
    hit: float | None = key(
        NUMBER,
        "whether the map's maximum lies in the mask grown by the tolerance: 1 or 0, of several "
        "equal maxima their share",
    )
    hit_chance: float | None = key(NUMBER, "the area share of the grown mask")
    hit_control: dict[str, float] | None = key(OBJECT, _CONTROL, shows=Shows.DETAIL)
    hit_gain: dict[str, float] | None = key(OBJECT, _GAIN)
    energy: float | None = key(NUMBER, "share of the map's positive sum that lies in the mask")
    energy_chance: float | None = key(NUMBER, "the mask's area share", shows=Shows.DETAIL)
    energy_control: dict[str, float] | None = key(OBJECT, _CONTROL, shows=Shows.DETAIL)
    energy_gain: dict[str, float] | None = key(OBJECT, _GAIN)
    rank_accuracy: float | None = key(
        NUMBER, "share of the highest pixels, as many as the mask has, that lie in it"
    )
    rank_accuracy_chance: float | None = key(NUMBER, "the mask's area share", shows=Shows.DETAIL)
    rank_accuracy_control: dict[str, float] | None = key(OBJECT, _CONTROL, shows=Shows.DETAIL)
    rank_accuracy_gain: dict[str, float] | None = key(OBJECT, _GAIN, shows=Shows.DETAIL)
    auroc: float | None = key(
        NUMBER, "how often a pixel in the mask is higher than one beside it; equal ones half"
    )
    auroc_chance: float | None = key(NUMBER, "one half", shows=Shows.DETAIL)
    auroc_control: dict[str, float] | None = key(OBJECT, _CONTROL, shows=Shows.DETAIL)
    auroc_gain: dict[str, float] | None = key(OBJECT, _GAIN, shows=Shows.DETAIL)
    auprc: float | None = key(NUMBER, "average precision of the pixels ranked by the map")
    auprc_chance: float | None = key(NUMBER, "the mask's area share", shows=Shows.DETAIL)
    auprc_control: dict[str, float] | None = key(OBJECT, _CONTROL, shows=Shows.DETAIL)
    auprc_gain: dict[str, float] | None = key(OBJECT, _GAIN, shows=Shows.DETAIL)
    iou: float | None = key(
        NUMBER, "overlap of the mask with the pixels from a share of the largest value on"
    )
    iou_control: dict[str, float] | None = key(OBJECT, _CONTROL, shows=Shows.DETAIL)
    iou_gain: dict[str, float] | None = key(OBJECT, _GAIN, shows=Shows.DETAIL)
    found_curve: list[float] | None = key(
        NUMBERS,
        "share of the mask in 0, 2, 4 .. 100 % of the pixels, the highest first",
        chart="mask found",
        axes=_FOUND,
    )
    found_control_curve: dict[str, list[float]] | None = key(
        OBJECT, "the same of each control's map", chart="mask found", axes=_FOUND
    )
    iou_curve: list[float] | None = key(
        NUMBERS,
        "the overlap from 0, 2, 4 .. 100 % of the largest value on",
        chart="overlap by threshold",
        axes=("share of the largest value", "overlap"),
    )
    localization: dict[str, object] | None = key(SETTINGS, "the parameters of the scoring")
    located: str | None = key(
        PATHS,
        ".npy [3, 51]: shares, found_curve, iou_curve",
        when="--curves",
        shows=Shows.NOTHING,
    )
    located_plot: str | None = key(PATHS, "the curves drawn", when="--curves", shows=Shows.NOTHING)
