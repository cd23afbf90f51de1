"""What is said of a mistake in the command line, as typer finds it."""

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from xmir_cli.flags import spell_flag
from xmir_cli.guesses import near_hint
from xmir_cli.wire.old_settings import RENAMED

if TYPE_CHECKING:
    from xmir_cli.workarounds.typer import Context

MESSAGE_LIMIT = 300  # characters
_CHOICE = re.compile(r"'(.*)' is not one of (.*)\.$", re.DOTALL)  # what typer says of a choice
_RENAMED = {  # by command, beside the settings of methods
    "causal-metric": {"--steps": "--curve-steps", "--preset": "--blur"},
    "embed": {"--format": "--file-format"},
}


def explain(error: Exception) -> tuple[str, str]:
    """The message and the hint for an error of typer's; words of its own only where that helps."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoSuchOption" and (new := _new_name(error, context)):
        return new, ""
    if wrong := _CHOICE.search(str(getattr(error, "message", ""))):
        choices = wrong[2].replace("'", "").split(", ")
        flag = max(getattr(getattr(error, "param", None), "opts", [""]), key=len)
        expected = f"{flag}: expected one of {', '.join(choices)}, found {wrong[1]}"
        return expected, near_hint(wrong[1], choices)
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined] # vendored type
    if len(message) > MESSAGE_LIMIT:  # such as every file of a glob that no argument takes
        message = f"{message[:MESSAGE_LIMIT]} ..."
    path = context.command_path if context is not None else "xmir"
    return message, f"See '{path} --help'."


def _new_name(error: Exception, context: "Context | None") -> str | None:
    """What is said of a flag that has another name now."""
    if context is None:
        return None
    old = str(error.option_name)  # type: ignore[attr-defined] # vendored type
    flags = {flag for parameter in context.command.params for flag in parameter.opts}
    new = _find_new_flag(str(context.info_name), old, flags)
    return new and f"{old}: it is {new} now"


def _find_new_flag(command: str, old: str, flags: Collection[str]) -> str | None:
    """What one of a command's flags is called that an earlier version called `old`."""
    names = {old: new for renamed in RENAMED.values() for old, new in renamed.items()}
    methods = {spell_flag(name): spell_flag(new) for name, new in names.items()}
    candidates = (_RENAMED.get(command, {}).get(old), methods.get(old))
    return next((new for new in candidates if new in flags), None)
