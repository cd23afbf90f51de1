"""The flags that every metric has: what must hold, what is told of it, and what is printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Protocol

import typer

from xmir_cli.errors import SettingError
from xmir_cli.render.junit import is_junit
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.outputs import refuse_input

Gates = Annotated[
    list[str] | None,
    typer.Option(
        "--min", metavar="NAME=VALUE", help="Exit 4 when the number is below this; may be repeated."
    ),
]
Limits = Annotated[
    list[str] | None,
    typer.Option(
        "--max", metavar="NAME=VALUE", help="Exit 4 when the number is above this; may be repeated."
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="FILE",
        help="Exit 4 when a number is worse than in these records of an earlier run of the same "
        "settings; what is missing now is told, and is no failure.",
    ),
]
Tolerance = Annotated[
    float, typer.Option("--tolerance", min=0, help="How much worse than --baseline is allowed.")
]
Junit = Annotated[
    Path | None,
    typer.Option(
        "--junit",
        metavar="FILE",
        help="Write the checks as JUnit XML; --force removes an earlier one first, so that a run "
        "that fails leaves none.",
    ),
]
Summary = Annotated[
    bool, typer.Option("--summary", help="Print the numbers over all, those of --min and --max.")
]
PerQuery = Annotated[bool, typer.Option("--per-query", help="Print the numbers of each query.")]


class Gated(Protocol):
    """What a description with these flags has."""

    @property
    def summary(self) -> bool:
        """Whether the numbers over all are printed."""

    @property
    def per_query(self) -> bool:
        """Whether those of each query are."""

    @property
    def baseline(self) -> str | None:
        """The earlier run."""

    @property
    def junit(self) -> Path | None:
        """Where the checks are written."""

    @property
    def force(self) -> bool:
        """Whether what is there is replaced."""


def check_gated(asked: Gated, inputs: Sequence[str | Path | None]) -> None:
    """Raise SettingError where two things are to be printed, and for a file that is an input.

    The `inputs` have the baseline among them, which may be standard input where no other one is.

    Raises ExistsError for one that is there and may not be replaced. One that an earlier run wrote
    and that may be is removed now: whatever ends this run, the checks of that one are not its own.
    """
    if asked.summary and asked.per_query:
        raise SettingError("per_query", "`summary` prints something else; give one of them")
    if asked.baseline == "-" and inputs.count("-") > 1:
        raise SettingError("baseline", "standard input is read once", "Name its file.")
    if asked.junit is not None:
        refuse_input(asked.junit, inputs, "junit")
        refuse_existing(asked.junit, asked.force)
        if is_junit(asked.junit):
            asked.junit.unlink()
