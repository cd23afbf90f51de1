"""The manual: every page of `man/` is written from the commands and from the texts beside this.

`python -m xmir_cli.manual` in a checkout rewrites the pages; a test compares them byte by byte. The
wheel holds the pages and leaves this package out.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from typer.main import get_command

from xmir_cli.main import COMMANDS, app, load_command
from xmir_cli.manual.command import EXIT_STATUS, command_page
from xmir_cli.manual.markup import text_page
from xmir_cli.manual.methods import method_lines
from xmir_cli.manual.records import cause_lines, schema_lines
from xmir_cli.manual.roff import terms

# A page beside those of the commands is one row: its name, and the lines for each of the places
# `<!-- NAME -->` in its text, which is the .md file here with the page's name.
TEXT_PAGES: dict[str, dict[str, Callable[[], Iterator[str]]]] = {
    "xmir-records.5": {"schemas": schema_lines, "causes": cause_lines},
    "xmir-formats.5": {"exit-status": lambda: terms(EXIT_STATUS)},
    "xmir-methods.7": {"methods": method_lines},
    "xmir-networks.7": {},
}

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The file names of all pages, in the order in which pages refer to them."""
    return ["xmir.1", *(f"xmir-{name}.1" for name in COMMANDS), *TEXT_PAGES]


def pages() -> dict[str, str]:
    """The text of every page by its file name."""
    listed = names()
    made = {"xmir.1": command_page("xmir", get_command(app), listed)}
    for name in COMMANDS:
        command = load_command(name)
        made[f"xmir-{name}.1"] = command_page(f"xmir {name}", command, listed)
    for page, places in TEXT_PAGES.items():
        topic = page.partition(".")[0].removeprefix("xmir-")
        text = (_FOLDER / f"{topic}.md").read_text(encoding="utf-8")
        made[page] = text_page(page, text, {name: make() for name, make in places.items()}, listed)
    return made


def write(root: Path) -> None:
    """Write all pages into the folder `man` of a checkout, and remove those that are gone."""
    folder, made = root / "man", pages()
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
