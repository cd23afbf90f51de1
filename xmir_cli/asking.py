"""Flags of 'xmir query' that come with ideas of their own, and what may be given with them."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from xmir_cli.completion import complete_columns
from xmir_cli.errors import SettingError, UsageError
from xmir_cli.printer import Shown
from xmir_cli.store.concept_names import concept_name

REMARK = "remark"  # of a record: words about an answer that is not to be trusted
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

Vote = Annotated[
    str | None,
    typer.Option(
        "--vote",
        metavar="COLUMN",
        help="Tell the probability of each value there, such as label, by calibrated votes of the "
        "nearest, and a set that holds the right one, or all of several, in --coverage of all "
        "queries.",
        autocompletion=complete_columns,
    ),
]
Novelty = Annotated[
    bool,
    typer.Option(
        "--novelty",
        help="Tell which share of the index's own images is nearer to the nearest of other "
        "patients than the query is; from 0.99 on words say that it is unlike them.",
    ),
]
Neighbors = Annotated[
    int | None,
    typer.Option(
        "--neighbors",
        metavar="N",
        min=1,
        max=1000,
        help="How many nearest --vote and --novelty take. [default: 10]",
    ),
]
Coverage = Annotated[
    float | None,
    typer.Option(
        "--coverage",
        metavar="C",
        min=0.01,
        max=0.999,
        help="Of the sets of --vote, by patients. [default: 0.9]",
    ),
]
MinSimilarity = Annotated[
    float | None,
    typer.Option(
        "--min-similarity",
        metavar="S",
        min=-1,
        max=1,
        help="Leave out hits of a smaller similarity, whatever orders them; where none is left a "
        "record says so.",
    ),
]
Rerank = Annotated[
    int | None,
    typer.Option(
        "--rerank",
        metavar="N",
        min=2,
        max=1000,
        help="Put the first N hits in a new order, by whom they have as neighbours among "
        "themselves: k-reciprocal encoding with k1 20, k2 6 and lambda 0.3 (Zhong et al., CVPR "
        "2017) in the set of the query and these hits, N 100 for example. Records have the "
        "rerank_distance that orders them beside the similarity. It may help or hurt: ask 'xmir "
        "compare' on images of yours.",
    ),
]


def refuse_chosen(given: Mapping[str, object]) -> None:
    """Raise UsageError for what asks beside `--per-label`; `given` by flag."""
    if flag := next((flag for flag, value in given.items() if value), None):
        raise UsageError(f"--per-label draws who asks, and {flag} names them", "Ask twice.")


def refuse_alone(
    vote: str | None, novelty: bool, neighbors: int | None, coverage: float | None
) -> None:
    """Raise SettingError for settings of votes without votes."""
    if neighbors is not None and not (vote or novelty):
        raise SettingError("neighbors", "only with `vote` or `novelty`")
    if coverage is not None and not vote:
        raise SettingError("coverage", "only with `vote`")


def refuse_rerank(rerank: int | None, top: int, region: bool) -> None:
    """Raise SettingError for a new order of fewer hits than are wanted, or of a part's."""
    if rerank is not None and rerank < top:
        raise SettingError("rerank", f"{rerank} is fewer than the {top} hits of `top`")
    if rerank is not None and region:
        raise SettingError("rerank", "not with `region`, which orders the hits by its own share")


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
            raise SettingError(
                "toward", f"expected FILE.npy:W, W from -{_MOST:g} to {_MOST:g}", hint, text
            )
        found.append((name, weight))
    return found


def refuse_readers(given: Mapping[str, Sequence[str] | None]) -> None:
    """Raise UsageError where two want to read standard input; `given` by flag."""
    readers = [name for name, values in given.items() for each in values or () if each == "-"]
    if len(readers) > 1:
        taken = "names the images" if readers[0] == "IMAGES" else f"is read by {readers[0]}"
        raise UsageError(f"{readers[1]} -: standard input {taken} already")


def order_columns(region: bool, moved: bool, center: bool, rerank: bool = False) -> list[str]:
    """The columns of a table that tell why hits stand where they do."""
    order = ["rerank_distance"] if rerank else []
    order += ["relevance"] if moved or region else []
    share, left = ["share"] if region else [], ["centered"] if center else []
    return ["rank", *order, "similarity", *left, *share]


def concept_columns(files: Sequence[str] | None) -> list[str]:
    """Those that tell of concepts."""
    names = [concept_name(file) for file in files or ()]
    return [f"{key}.{name}" for name in names for key in ("concept_share", "concept_p")]


def evidence_columns(vote: str | None, novelty: bool, least: float | None) -> list[str]:
    """Those that tell how far an answer can be trusted."""
    told = [*(["vote_set"] if vote else []), *(["novelty"] if novelty else [])]
    return [*told, REMARK] if novelty or least is not None else told


def shown(numbers: Sequence[str], told: Sequence[str]) -> Shown:
    """What is printed of a record."""
    below = REMARK if REMARK in told else ""
    beside = [name for name in told if name != REMARK]
    columns = [*numbers, "meta.id", "retrieved_label", "match", "query", *beside]
    return Shown(columns, "retrieved", group="query", below=below, pictures=True)
