"""Flags of 'xmir query' that come with ideas of their own, and what may be given with them."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from xmir_cli.errors import SettingError, UsageError
from xmir_cli.printer import Shown
from xmir_cli.store.concept_names import concept_name

_MOST = 1e6  # a weight beyond which nothing is left of the query

Toward = Annotated[
    list[str] | None,
    typer.Option(
        "--toward",
        metavar="FILE.npy:W",
        help="Add W times the direction of a concept ('xmir concept fit') to the query, at length "
        "1; a W below 0 moves away from it; may be repeated.",
    ),
]
PerLabel = Annotated[
    int | None,
    typer.Option(
        "--per-label",
        metavar="N",
        min=1,
        help="Ask with N of the IMAGES of each label, of the indexed items where there are none: "
        "drawn by --seed and their ids; one with several labels (A|B) counts for each.",
    ),
]
Concepts = Annotated[
    list[str] | None,
    typer.Option(
        "--concept",
        metavar="FILE.npy",
        help="Tell what share of each similarity a concept holds, with p; may be repeated.",
    ),
]


def parse_toward(given: Sequence[str] | None) -> list[tuple[str, float]]:
    """The files and weights of FILE.npy:W; raises SettingError for what is none."""
    found = []
    for text in given or ():
        name, _, number = text.rpartition(":")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not name or not math.isfinite(weight) or abs(weight) > _MOST:
            hint = f"For example `toward` {(name or text)}:0.5."
            raise SettingError("toward", "expected FILE.npy:W, W a number", hint, text)
        found.append((name, weight))
    return found


def refuse_readers(given: Mapping[str, Sequence[str] | None]) -> None:
    """Raise UsageError where two want to read standard input; `given` by flag."""
    readers = [name for name, values in given.items() for each in values or () if each == "-"]
    if len(readers) > 1:
        taken = "names the images" if readers[0] == "IMAGES" else f"is read by {readers[0]}"
        raise UsageError(f"{readers[1]} -: standard input {taken} already")


def columns_of(region: bool, moved: bool, center: bool, concepts: Sequence[str] | None) -> Shown:
    """What is printed of a record."""
    names = [concept_name(file) for file in concepts or ()]
    told = [f"{key}.{name}" for name in names for key in ("concept_share", "concept_p")]
    order = ["relevance"] if moved or region else []
    share, left = ["share"] if region else [], ["centered"] if center else []
    found = ["meta.id", "retrieved_label", "match", "query"]
    columns = ["rank", *order, "similarity", *left, *share, *told, *found]
    return Shown(columns, "retrieved", group="query", pictures=True)
