"""`xmir.shortcut/1`: whether retrieval goes by something that should not matter."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import (
    FLAG,
    MODEL,
    NUMBER,
    OBJECT,
    PATH,
    SETTINGS,
    TEXT,
    TEXTS,
    WHOLE,
    Shows,
    key,
    one_of,
)

_OBJECT, _SUSPECT, _SALIENCY = "test object", "test suspect", "test saliency"
_HIDDEN = "test object or suspect"


@dataclass(frozen=True, eq=False, kw_only=True)
class ShortcutRecord:
    """One test: an effect beside chance, and whether it raises an alarm."""

    NAME: ClassVar = "xmir.shortcut/1"
    WRITTEN_BY: ClassVar = "shortcut"

    record: Record
    test: str | None = key(
        one_of("object", "suspect", "saliency"),
        "without the object, without the suspect, or where the similarity lies",
    )
    query: str | None = key(PATH, "the image that asks", when="--per-query")
    query_identity: str | None = key(
        TEXT, "SHA-256 of its file", when="--per-query", shows=Shows.MADE
    )
    query_label: str | None = key(TEXT, "its label", when="--per-query")
    query_patient: str | None = key(
        TEXT, "its patient", when="--per-query and it is known", shows=Shows.NOTHING
    )
    part: str | None = key(
        TEXT, "what is hidden, or in which part saliency is summed; the same for all images"
    )
    area: float | None = key(NUMBER, "the share of what the network sees that it takes up")
    verdict: str | None = key(
        one_of("alarm", "none", "undefined"),
        "alarm where p_holm is below level and effect is not below least_effect; undefined where "
        "p_least is too large for that",
    )
    effect: float | None = key(
        NUMBER,
        "object: map above map_chance; suspect: map_drop above map_drop_elsewhere_max; saliency: "
        "the share of `label` above its share_exchanged",
    )
    p: float | None = key(NUMBER, "the chance of such an effect where there is none")
    p_least: float | None = key(
        NUMBER, "what p is at least, for some permutations of few images are the images themselves"
    )
    p_holm: float | None = key(NUMBER, "the same, corrected for the number of tests")
    meaning: str | None = key(TEXT, "what an alarm means, or why there is no verdict")
    fill: str | None = key(TEXT, "what takes its place", when=_HIDDEN, shows=Shows.MADE)
    exclude_same: str | None = key(
        TEXT, "the column whose images do not count for each other, and are permuted together"
    )
    where: list[str] | None = key(TEXTS, "the conditions of --where", shows=Shows.MADE)
    images_sha256: str | None = key(
        TEXT,
        "which images these are: SHA-256 over their sorted identities, a line each, and an empty "
        "line",
        shows=Shows.MADE,
    )
    images: int | None = key(WHOLE, "images that ask and are found")
    labels: dict[str, object] | None = key(
        OBJECT, "how many of them have each label", shows=Shows.DETAIL
    )
    map: float | None = key(
        NUMBER, "mean average precision by label with the part hidden", when=_HIDDEN
    )
    map_whole: float | None = key(NUMBER, "the same with nothing hidden", when=_HIDDEN)
    map_chance: float | None = key(
        NUMBER, "the mean of permuted labels with the part hidden", when=_OBJECT
    )
    p_at_1: float | None = key(
        NUMBER, "how often the first hit has the query's label", when=_OBJECT
    )
    p_at_1_whole: float | None = key(NUMBER, "the same with nothing hidden", when=_OBJECT)
    p_at_1_chance: float | None = key(NUMBER, "the mean of permuted labels", when=_OBJECT)
    map_drop: float | None = key(NUMBER, "how much of the map the hiding costs", when=_SUSPECT)
    map_drop_elsewhere: float | None = key(
        NUMBER, "the mean of hiding as much elsewhere", when=_SUSPECT
    )
    map_drop_elsewhere_max: float | None = key(NUMBER, "the largest of them", when=_SUSPECT)
    changed: float | None = key(NUMBER, "queries whose first hit changes, a share", when=_SUSPECT)
    changed_elsewhere: float | None = key(
        NUMBER, "the mean of hiding as much elsewhere", when=_SUSPECT
    )
    elsewhere: int | None = key(
        WHOLE, "how often as much is hidden elsewhere", when=_SUSPECT, shows=Shows.MADE
    )
    method: str | None = key(TEXT, "the saliency method", when=_SALIENCY, shows=Shows.MADE)
    settings: dict[str, object] | None = key(SETTINGS, "its settings", when=_SALIENCY)
    match: bool | None = key(
        FLAG, "whether the first hit is right", when="--per-query, test saliency"
    )
    share: float | None = key(
        NUMBER,
        "the mean share of a query's positive saliency in the part; its map says where it "
        "resembles its first hit",
        when=_SALIENCY,
    )
    share_exchanged: float | None = key(
        NUMBER,
        "the same once each image has that part of another image, of another patient",
        when=_SALIENCY,
    )
    by_label: dict[str, object] | None = key(
        OBJECT,
        "of each label the number of queries and the mean shares, and those of queries whose first "
        "hit is right or wrong",
        when=_SALIENCY,
        shows=Shows.DETAIL,
    )
    label: str | None = key(TEXT, "the label with the largest effect", when=_SALIENCY)
    blank: int | None = key(WHOLE, "maps without a positive value", when=_SALIENCY)
    level: float | None = key(NUMBER, "below which p_holm raises an alarm")
    least_effect: float | None = key(NUMBER, "from which on an effect does")
    draws: int | None = key(WHOLE, "permutations that p is from", shows=Shows.MADE)
    seed: int | None = key(WHOLE, "of everything random", shows=Shows.MADE)
    plot: str | None = key(PATH, "the figure of all tests", when="--plot", shows=Shows.NOTHING)
    model: ModelSpec | None = key(MODEL, "the network")
