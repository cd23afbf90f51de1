"""The folder that an embedding job keeps its rows in until its output is written."""

import os
from pathlib import Path

from xmir_cli.errors import ExistsError
from xmir_cli.store.turns import is_held
from xmir_cli.store.unfinished import parts_folder


def refuse_leftover(output: Path) -> None:
    """Raise ExistsError when an interrupted run has left parts that would be lost."""
    folder = parts_folder(output)
    if os.path.lexists(folder) and not is_held(output):
        raise ExistsError(
            f"{folder}: an interrupted run has left its parts there",
            "Continue it with `resume`, or start again with `force`.",
        )
