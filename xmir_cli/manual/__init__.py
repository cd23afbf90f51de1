"""The manual: every page of `man/` is written from the commands and from the texts beside this.

`python -m xmir_cli.manual` in a checkout rewrites the pages; a test compares them byte by byte. The
wheel holds the pages and leaves this package out.
"""

from collections.abc import Callable
from pathlib import Path

from typer.main import get_command

from xmir_cli.main import COMMANDS, app, load_command
from xmir_cli.manual.command import command_page

# One row is one page beside those of the commands: its file name, and what makes its text.
OTHERS: dict[str, Callable[[list[str]], str]] = {}


def names() -> list[str]:
    """The file names of all pages, in the order in which pages refer to them."""
    return ["xmir.1", *(f"xmir-{name}.1" for name in COMMANDS), *OTHERS]


def pages() -> dict[str, str]:
    """The text of every page by its file name."""
    listed = names()
    made = {"xmir.1": command_page("xmir", get_command(app), COMMANDS, listed)}
    for name in COMMANDS:
        command = load_command(name)
        made[f"xmir-{name}.1"] = command_page(f"xmir {name}", command, COMMANDS, listed)
    return made | {name: make(listed) for name, make in OTHERS.items()}


def write(root: Path) -> None:
    """Write all pages into the folder `man` of a checkout, and remove those that are gone."""
    folder, made = root / "man", pages()
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
