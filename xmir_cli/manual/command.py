"""The page of a command: what it says of itself, its flags, examples and exit codes."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from xmir_cli.commands import commands_by_purpose
from xmir_cli.manual.examples import examples
from xmir_cli.manual.roff import heading, paragraph, plain, see_also, terms, verbatim

if TYPE_CHECKING:
    from xmir_cli.workarounds.typer import Command, Context

EXIT_STATUS = (
    ("0", "Done."),
    ("1", "A bug. Please report it with its traceback."),
    ("2", "The command line asks for something that cannot be."),
    ("3", "Done, but inputs were skipped. Standard error names the first 20 and counts all."),
    ("4", "A gate was not met (`--min`, `--max`, `--baseline`). The output is still written."),
    ("5", "The data cannot be used."),
    ("6", "The model, its weights or the device cannot be used."),
    ("7", "The output exists already."),
    ("130", "The run was interrupted."),
    ("141", "The reader of the pipe went away."),
)
_ENVIRONMENT = (
    ("XMIR_INDEX", "The index of `xmir query` where `--index` names none, a folder or a URL."),
    ("PGPASSWORD, PGSERVICE", "As libpq has them, like its other variables and ~/.pgpass."),
    ("QDRANT_API_KEY", "The key of a server of Qdrant."),
    (
        "XMIR_NETWORKS",
        "Folders and modules of network code that a file may name; see xmir-networks.",
    ),
    ("XMIR_PATIENT_KEY", "A secret that turns a PatientID into a pseudonym; see xmir-formats."),
    ("XMIR_MAX_PIXELS", "The largest picture that is read, in pixels. Default: 89478485."),
    ("XDG_CACHE_HOME", "Where xmir notes which index files it has found whole. Default: ~/.cache."),
    ("NO_COLOR", "Any value: no colours on the terminal."),
)


def command_page(path: str, command: "Command", pages: Iterable[str]) -> str:
    """The page of the command line's `path`: `xmir`, which lists the commands, or `xmir NAME`."""
    own = f"{path.replace(' ', '-')}.1"
    summary, *story = re.split(r"\n\s*\n", (command.help or "").strip())
    context = _context(path, command)
    lines = heading(own, " ".join(summary.split()).rstrip("."))
    usage = " ".join(command.collect_usage_pieces(context))
    lines += [".SH SYNOPSIS", f".B {path}", plain(usage)]
    lines += [".SH DESCRIPTION", *_description([summary, *story])]
    lines += [".SH OPTIONS", *terms(_flags(command, context))]
    if path == "xmir":
        lines += [".SH COMMANDS", *_commands(), ".SH ENVIRONMENT", *terms(_ENVIRONMENT)]
    lines += [".SH EXAMPLES", *_examples(path)]
    lines += [".SH EXIT STATUS", *terms(EXIT_STATUS)]
    lines += see_also(page for page in pages if page != own)
    return "\n".join(lines) + "\n"


def _commands() -> Iterator[str]:
    for purpose, group in commands_by_purpose().items():
        yield f".SS {purpose}"
        yield from terms((f"xmir-{name}(1)", text) for name, text in group.items())


def _context(path: str, command: "Command") -> "Context":
    return command.make_context(
        path, [], resilient_parsing=True, help_option_names=["-h", "--help"]
    )


def _flags(command: "Command", context: "Context") -> Iterator[tuple[str, str]]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield record


def _description(paragraphs: Iterable[str]) -> Iterator[str]:
    for each in paragraphs:
        if each.startswith("\b"):  # lines that are to stand as they are
            yield from verbatim("\n".join(each.splitlines()[1:]))
        else:
            yield from paragraph(each)


def _examples(path: str) -> Iterator[str]:
    for sentence, line in examples()[path]:
        yield from paragraph(sentence)
        yield from verbatim(line)
