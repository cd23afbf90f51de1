"""The app: commands loaded when they are called, and the one place where the process ends."""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
import typer.core
from typer.main import get_command

from xmir_cli import __version__, console
from xmir_cli.commands import commands_by_purpose
from xmir_cli.errors import XmirError, is_starved
from xmir_cli.gallery.address import refuse_secrets
from xmir_cli.launch import say_once
from xmir_cli.quiet import libraries_silenced
from xmir_cli.signals import die_of, end_tidily
from xmir_cli.values import ON_SERVER, find_scheme
from xmir_cli.workarounds.typer import find_click_error

if TYPE_CHECKING:
    from xmir_cli.workarounds.typer import Command, Context, HelpFormatter

# every command with its summary
COMMANDS = {
    name: summary for group in commands_by_purpose().values() for name, summary in group.items()
}

_ClickException = find_click_error()


class _ReaderGoneError(Exception):
    """A BrokenPipeError under a name that typer does not handle in its own way."""


class _InterruptedError(Exception):
    """A KeyboardInterrupt under a name that typer does not handle in its own way."""


class _LazyGroup(typer.core.TyperGroup):
    """Imports a command's file only when the command is called."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        for parameter in self.get_params(ctx):
            if parameter.default is None:  # a flag that is off; typer would import pydantic for it
                parameter.default = False
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: "Context") -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":
        del ctx
        if cmd_name in COMMANDS:
            return load_command(cmd_name)
        # typer suggests a near name out of this table
        self.commands = {name: typer.core.TyperCommand(name) for name in COMMANDS}
        return None

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        del ctx
        width = max(map(len, COMMANDS))
        for purpose, group in commands_by_purpose().items():
            with formatter.section(purpose):
                formatter.write_dl([(name.ljust(width), text) for name, text in group.items()])

    def invoke(self, ctx: "Context") -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ReaderGoneError from None
        except KeyboardInterrupt as interrupt:
            raise _InterruptedError(*interrupt.args) from None


def load_command(name: str) -> "Command":
    """The command `name`, built from its description."""
    from xmir_cli.edge import build_function  # what the front page need not load

    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(build_function(name))
    built = get_command(single)
    built.name = name
    return built


app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"xmir {__version__}")
        raise typer.Exit


@app.callback()
def xmir(
    version: Annotated[  # handled by its callback
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Explainable medical image retrieval: which past cases look like this one, and why?"""


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process; nothing else ends it."""
    # the stages of a pipe share the processors: threads that spin while they wait starve the others
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        end_tidily()
        with libraries_silenced():
            try:
                status = execute(arguments)
            except SystemExit as ended:  # what a shell asked for when it completes is printed
                status = ended.code if isinstance(ended.code, int) else 0
        status = _flush(status)
    except (_ReaderGoneError, BrokenPipeError):
        die_of(signal.SIGPIPE)
    except (_InterruptedError, KeyboardInterrupt) as error:
        die_of(error.args[0] if error.args else signal.SIGINT)
    _leave(status)


def _flush(status: int) -> int:
    """The exit code after the last of the output has gone out."""
    if sys.stdout is None:
        return status
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if status not in {5, 6}:  # else the reason was told
            console.error(f"standard output: {(error.strerror or 'closed').lower()}")
        return 5
    return status


def execute(arguments: Sequence[str] | None) -> int:
    """Run the command line; one line on stderr for every error the user can mend."""
    try:
        _refuse_secrets(sys.argv[1:] if arguments is None else arguments)
        with _words_joined():
            result = app(arguments, prog_name="xmir", standalone_mode=False)
    except XmirError as error:
        _tell(str(error), error.hint)
        return error.code
    except _ClickException as error:
        return _usage_error(error)
    except typer.Abort:  # Ctrl-C before the command had begun
        raise KeyboardInterrupt from None
    except (MemoryError, RuntimeError, ImportError) as error:
        if not is_starved(error):
            raise
        _tell("not enough memory", "Try a smaller --batch or fewer --jobs.")
        return 5
    except OSError as error:
        if error.errno is None:
            raise
        _tell(*_explain(error))
        return 5
    return result if isinstance(result, int) else 0


def _refuse_secrets(arguments: Sequence[str]) -> None:
    """Raise UsageError for a URL with a password, before anything repeats it."""
    for argument in arguments:
        refuse_secrets(argument.partition("=")[2] if argument[:2] == "--" else argument)
        if argument[:1] == "-":
            refuse_secrets(argument[2:])  # -iURL


def _explain(error: OSError) -> tuple[str, str]:
    """What is said of an error of the system, and what to do about it."""
    said = (error.strerror or "input/output error").lower()
    name = os.fsdecode(error.filename) if error.filename else ""
    if scheme := find_scheme(name):
        return f"{scheme}://...: expected a path, found a URL", ON_SERVER
    return f"{console.show(name)}: {said}" if name else said, ""


def _tell(message: str, hint: str = "") -> None:
    """Say what ended the command, unless another rank of the same run says the same."""
    say_once(message, lambda: console.error(message, hint))


def _words_joined() -> AbstractContextManager[None]:
    """What a shell asks for when it completes is put as it was typed."""
    if "_XMIR_COMPLETE" not in os.environ:
        return nullcontext()
    from xmir_cli.completion import bash_words_joined  # as above

    return bash_words_joined()


def _usage_error(error: Exception) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined] # vendored type
        return 2
    from xmir_cli.usage_errors import explain  # as above

    _tell(*explain(error))
    return 2


def _leave(status: int) -> NoReturn:
    """End at once: libraries' threads that are still alive could abort a slow shutdown (arrow)."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.flush()
    os._exit(status)
