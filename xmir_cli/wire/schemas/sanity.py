"""`xmir.sanity/1`: whether maps change when weights become random."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import NUMBER, SETTINGS, TEXT, TEXTS, WHOLE, Plot, Shows, key, one_of


@dataclass(frozen=True, eq=False, kw_only=True)
class SanityRecord:
    """One method at one stage of the randomisation, over all pairs and seeds."""

    NAME: ClassVar = "xmir.sanity/1"
    WRITTEN_BY: ClassVar = "sanity-check"

    record: Record
    method: str | None = key(TEXT, "the saliency method")
    settings: dict[str, object] | None = key(SETTINGS, "its settings")
    mode: str | None = key(one_of("full", "cascading", "independent"), "what becomes random when")
    stage: str | None = key(TEXT, "the block that became random last; all: every weight is")
    position: int | None = key(WHOLE, "the stage's place, from 0: nothing is random")
    randomized: list[str] | None = key(TEXTS, "the blocks with random weights", shows=Shows.DETAIL)
    n: int | None = key(WHOLE, "maps compared")
    spearman: float | None = key(NUMBER, "mean rank correlation with the trained network's maps")
    spearman_abs: float | None = key(NUMBER, "the same of absolute values")
    ssim: float | None = key(NUMBER, "mean structural similarity")
    undefined: int | None = key(WHOLE, "maps without a rank correlation")
    seeds: int | None = key(WHOLE, "random networks")
    initialization: str | None = key(TEXT, "where random weights come from")
    verdict: str | None = key(
        one_of("pass", "fail", "undefined"), "of the stage `all`; null elsewhere"
    )
    threshold: float | None = key(NUMBER, "the largest correlation that passes")

    PLOT: ClassVar = Plot("position", "spearman", "method")
    OTHERS: ClassVar = {"NUMBER_sd": "the standard deviation of a number"}
