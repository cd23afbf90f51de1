"""Writes the man pages and the README's help blocks from the commands themselves.

`python -m xmir_cli.manual` in a checkout rewrites them; a test compares them byte by byte.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from typer.main import get_command

from xmir_cli import __version__
from xmir_cli.main import COMMANDS, app, load_command

if TYPE_CHECKING:  # typer vendors its click and exports no type of it
    from typer._click import Command, Context

WIDTH = 80  # columns of the help in the README

_EXIT_STATUS = (
    ("0", "done"),
    ("2", "usage"),
    ("3", "done, some inputs skipped, each named on standard error"),
    ("4", "a gate was not met (--min, --max); the output is still written"),
    ("5", "data that cannot be used"),
    ("6", "model, weights or device"),
    ("7", "the output exists already"),
    ("130", "interrupted"),
    ("141", "the reader of a pipe went away"),
)


def pages() -> dict[str, str]:
    """The man pages by file name."""
    made = {"xmir.1": _page("xmir", get_command(app))}
    for name in COMMANDS:
        made[f"xmir-{name}.1"] = _page(f"xmir {name}", load_command(name))
    return made


def help_text(name: str) -> str:
    """The help of `xmir` (empty name) or of a command on a terminal of WIDTH columns."""
    command = load_command(name) if name else get_command(app)
    context = _context(f"xmir {name}".strip(), command)
    return context.get_help().rstrip()


def readme(text: str) -> str:
    """The README `text` with the block behind each `<!-- help NAME -->` made anew."""

    def block(found: re.Match[str]) -> str:
        name = found.group("name").strip()
        return (
            f"<!-- help {name} -->\n```text\n{help_text(name.replace('xmir', '').strip())}\n```\n"
        )

    return re.sub(
        r"<!-- help (?P<name>[a-z -]+) -->\n```text\n.*?\n```\n", block, text, flags=re.DOTALL
    )


def _context(path: str, command: "Command") -> "Context":
    return command.make_context(
        path,
        [],
        resilient_parsing=True,
        help_option_names=["-h", "--help"],
        terminal_width=WIDTH,
    )


def _page(path: str, command: "Command") -> str:
    name = path.replace(" ", "-")
    summary, *story = re.split(r"\n\s*\n", (command.help or "").strip())
    lines = [f'.TH "{name.upper()}" "1" "" "xmir {__version__}" "User Commands"', ".SH NAME"]
    lines += [f"{name} \\- {_roff(_joined(summary).rstrip('.'))}", ".SH SYNOPSIS"]
    context = _context(path, command)
    lines += [f".B {path}", _roff(" ".join(command.collect_usage_pieces(context)))]
    lines += [".SH DESCRIPTION", *_description([summary, *story])]
    records = [
        record
        for parameter in command.get_params(context)
        if (record := parameter.get_help_record(context)) is not None
    ]
    lines += [".SH OPTIONS", *_definitions(records)]
    if path == "xmir":
        lines += [
            ".SH COMMANDS",
            *_definitions((f"xmir-{name}(1)", text) for name, text in COMMANDS.items()),
        ]
    lines += [".SH EXIT STATUS", *_definitions(_EXIT_STATUS), ".SH SEE ALSO"]
    others = ["xmir", *(f"xmir-{other}" for other in COMMANDS)]
    lines.append(", ".join(f"\\fB{_roff(other)}\\fR(1)" for other in others if other != name))
    return "\n".join(lines) + "\n"


def _description(paragraphs: list[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        if paragraph.startswith("\b"):
            yield from (".PP", ".nf", *(_roff(line) for line in paragraph.splitlines()[1:]), ".fi")
        else:
            yield from (".PP", _roff(_joined(paragraph)))


def _definitions(records: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in records:
        yield from (".TP", f"\\fB{_roff(term)}\\fR", _roff(_joined(meaning)))


def _joined(paragraph: str) -> str:
    return " ".join(paragraph.split())


def _roff(text: str) -> str:
    """Text that troff prints as it stands."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in {".", "'"} else escaped


def write(root: Path) -> None:
    """Write man/*.1 and renew the README below `root`."""
    folder, made = root / "man", pages()
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.1"):
        if old.name not in made:
            old.unlink()
    for name, page in made.items():
        (folder / name).write_text(page, encoding="utf-8")
    front = root / "README.md"
    front.write_text(readme(front.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent.parent)
