"""Between the command line and the stories: flags become a description, records become output.

`commands/NAME.py` describes what can be asked: a frozen dataclass, whose fields are the flags and
whose docstring is the help. `stories/NAME.py` does it: `run(description)` yields records and
returns how it ends. Nothing heavy is imported before a description stands.
"""

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Protocol

from typer.models import ParameterInfo

from xmir_cli.console import Ending, Records, progress, speaking
from xmir_cli.errors import SettingError, UsageError, XmirError
from xmir_cli.flags import Command, flags_of
from xmir_cli.inputs import refuse_lost_folder
from xmir_cli.pictures.scales import begin_run
from xmir_cli.printer import Printer, Shown
from xmir_cli.signals import ending_at_once
from xmir_cli.wire.records import Record

if TYPE_CHECKING:
    from xmir_cli.screen.pictures import Screen

_NAMED = re.compile("`([a-z_]+)`")  # a setting, in the words of the core
_CHOICE = re.compile(" or `([a-z_]+)`")  # one that would do as well
_BETWEEN_SENTENCES = re.compile(r"(?<=[.?]) ")


class Description(Protocol):
    """What a command was asked to do."""

    @property
    def form(self) -> str | None:
        """How to print the records; None leaves it to where they go."""

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""


def build_function(name: str) -> Command:
    """The command `name` as a function of its flags that returns the exit code."""
    stem = name.replace("-", "_")
    module = importlib.import_module(f"xmir_cli.commands.{stem}")
    describe = vars(module)["".join(part.title() for part in name.split("-"))]

    @functools.wraps(describe, updated=())
    def command(**values: object) -> int:
        refuse_lost_folder()
        description: Description = describe(**values)
        begin_run("--window")
        screens = _open_screens(description)
        with progress(f"xmir {name}", None):
            with ending_at_once():  # a library's C++ that is being loaded aborts at an exception
                story = importlib.import_module(f"xmir_cli.stories.{stem}")  # heavy: no sooner
            return print_records(story.run(description), description, *screens)

    signature = inspect.signature(describe)
    command.__signature__ = signature  # type: ignore[attr-defined] # read by inspect
    command.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    listed = _with_lists(command)
    return _worded(_with_settings(listed) if "settings" in signature.parameters else listed)


def _with_lists(command: Command) -> Command:
    """The same command, whose flags for lists with commas may also be repeated."""
    signature = inspect.signature(command)
    lists = {each.name: each.default for each in signature.parameters.values() if _is_list(each)}

    @functools.wraps(command)
    def run(**values: object) -> int:
        for name, default in lists.items():
            parts = values.get(name)
            values[name] = ",".join(map(str, parts)) if isinstance(parts, list) else default
        return command(**values)

    parameters = [
        each.replace(
            annotation=Annotated[list[str] | None, *each.annotation.__metadata__],
            default=[each.default] if each.default else None,
        )
        if each.name in lists
        else each
        for each in signature.parameters.values()
    ]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # as above
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _is_list(parameter: inspect.Parameter) -> bool:
    """Whether a flag takes a list such as `NAME[,NAME...]`."""
    notes = getattr(parameter.annotation, "__metadata__", ())
    metavars = [each.metavar or "" for each in notes if isinstance(each, ParameterInfo)]
    return any("," in metavar and "..." in metavar for metavar in metavars)


def _with_settings(command: Command) -> Command:
    from xmir_cli.settings import method_settings  # reads the methods' files

    return method_settings(command)


def _open_screens(description: Description) -> "list[Screen]":
    """The terminal, where the pictures of records are to be shown on it; else nothing."""
    if not (getattr(description, "show", False) and description.shown.pictures):
        return []
    from xmir_cli.screen.pictures import open_screen  # Pillow

    screen = open_screen()
    return [] if screen is None else [screen]


def print_records(
    records: Records, description: Description, screen: "Screen | None" = None
) -> int:
    """Print records as they come; the exit code once all are printed and the ending is told.

    What goes wrong while one is printed is raised in the story too, where it waits, so that it can
    keep what is done.
    """
    null = bool(getattr(description, "null", False))
    with Printer(description.form, description.shown, null) as printer:
        if screen is None:
            ending = _print_all(records, printer.write)
        else:
            from xmir_cli.pages.viewing import Viewer  # Pillow

            viewer = Viewer(screen, printer.draw_now)

            def write(record: Record) -> None:
                viewer.take(record)
                printer.write(record)

            ending = _print_all(records, write)
            viewer.show()
    return ending.tell()


def _print_all(records: Records, write: Callable[[Record], None]) -> Ending:
    while True:
        try:
            record = next(records)
        except StopIteration as end:
            ending: Ending = end.value
            return ending
        try:
            write(record)
        except BaseException as error:
            with suppress(StopIteration):
                records.throw(error)
            raise


def _worded(command: Command) -> Command:
    """The same command, whose errors and notes name flags where the core names settings."""
    flags = flags_of(command)

    @functools.wraps(command)
    def run(**values: object) -> int:
        try:
            with speaking(lambda text: _spell(text, flags)):
                return command(**values)
        except SettingError as error:
            flag = flags.get(error.name, error.name)
            where = f"{flag} {error.value}" if error.value else flag
            message, hint = _spell(error.message, flags), _advise(error.hint, flags)
            raise UsageError(f"{where}: {message}", hint) from None
        except XmirError as error:
            error.args = (_spell(str(error), flags),)
            error.hint = _advise(error.hint, flags)
            raise

    return run


def _spell(text: str, flags: Mapping[str, str]) -> str:
    """Text with the flags of the settings that it names; others of them become plain words."""
    return _NAMED.sub(lambda name: flags.get(name[1], name[1].replace("_", " ")), text)


def _advise(hint: str, flags: Mapping[str, str]) -> str:
    """A hint in flags, without sentences and choices that the command has no flag for."""
    possible = _CHOICE.sub(lambda name: name[0] if name[1] in flags else "", hint)
    sentences = _BETWEEN_SENTENCES.split(possible)
    return _spell(
        " ".join(each for each in sentences if flags.keys() >= set(_NAMED.findall(each))), flags
    )
