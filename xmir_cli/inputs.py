"""What a command is to read, refused before anything heavy is imported."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from xmir_cli.errors import DataError, SettingError, UsageError


def refuse_lost_folder() -> None:
    """Raise DataError when the current folder is gone: a library would end the process for it."""
    try:
        Path.cwd()
    except OSError as error:
        found = "it was deleted" if isinstance(error, FileNotFoundError) else error.strerror
        raise DataError(
            f"the current folder cannot be used: {found}", "Change to one that is there: cd ~"
        ) from None


def refuse_stdin(sources: Iterable[str], command: str) -> None:
    """Where a source is `-`: raise DataError when standard input is closed, UsageError when typed.

    A command does not wait for records that somebody would have to type.
    """
    if _is_terminal(sources):
        raise UsageError(
            f"{command} waits for records on standard input and found a terminal",
            f"Pipe records in, or see 'xmir {command} --help'.",
        )


def refuse_records(source: str, command: str) -> None:
    """The same for a file of records, which also has to be there."""
    refuse_stdin([source], command)
    if source != "-":
        Path(source).stat()  # opened later: a pipe may be opened once only


def refuse_truth(masks: str | None, boxes: Path | None) -> None:
    """Raise SettingError for two places of one truth, and where a file of boxes is not there."""
    if masks is not None and boxes is not None:
        raise SettingError("boxes", "`masks` name the truth already; give one of them")
    if boxes is not None:
        boxes.stat()


def refuse_embeddings(*sources: str | None) -> None:
    """The same for embeddings."""
    if _is_terminal(source for source in sources if source is not None):
        raise UsageError(
            "embeddings are expected on standard input, which is a terminal",
            "Pipe them in: xmir embed IMAGES... | xmir index - -o NAME.xmir",
        )


def _is_terminal(sources: Iterable[str]) -> bool:
    if "-" not in sources:
        return False
    if sys.stdin is None:
        raise DataError("standard input is closed")
    return sys.stdin.isatty()


def find_index(index: str | None) -> str:
    """The index of the flag, of the environment, or the only one in the current folder."""
    if index is not None:
        return index
    if chosen := os.environ.get("XMIR_INDEX"):
        return chosen
    here = sorted(path.name for path in Path().glob("*.xmir"))
    if len(here) == 1:
        return here[0]
    found = f"{len(here)} are here: {', '.join(here[:5])}" if here else "no *.xmir is here"
    raise UsageError(f"which index? {found}", "Name it with --index or in $XMIR_INDEX.")
