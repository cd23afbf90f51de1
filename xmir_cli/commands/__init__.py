"""The commands, one file each, known by the folder: what can be asked, and what is refused.

The first line of a file reads `PURPOSE: summary`, by which `xmir --help` groups the commands; it is
read as text, so that the list of commands imports none of them.
"""

from functools import cache
from pathlib import Path

PURPOSES = ("Build", "Search", "Explain", "Check", "Look")  # in the order of the work

_FOLDER = Path(__file__).parent


@cache
def commands_by_purpose() -> dict[str, dict[str, str]]:
    """Each purpose with its commands and their summaries, in alphabetical order."""
    found: dict[str, dict[str, str]] = {purpose: {} for purpose in PURPOSES}
    for path in sorted(_FOLDER.glob("[a-z]*.py")):
        with path.open(encoding="utf-8") as file:
            purpose, _, summary = file.readline().strip().strip('"').partition(": ")
        found[purpose][path.stem.replace("_", "-")] = f"{summary[:1].upper()}{summary[1:]}"
    return found
