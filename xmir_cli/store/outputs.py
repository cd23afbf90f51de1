"""Outputs that would cost the user an input."""

import os
from collections.abc import Iterable
from pathlib import Path

from xmir_cli.errors import UsageError


def refuse_input(output: Path, inputs: Iterable[str]) -> None:
    """Raise UsageError when the output is one of the inputs, under whatever name."""
    if not output.exists():
        return
    status = output.stat()
    if any(_is(path, status) for path in inputs):
        raise UsageError(f"{output}: is an input, too")


def _is(path: str, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(Path(path).stat(), status)
    except (OSError, ValueError):
        return False
