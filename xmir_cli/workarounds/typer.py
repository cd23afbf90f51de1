"""typer carries a click of its own, and exports neither its types nor the class of its errors."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from typer._click import Command as Command
    from typer._click import Context as Context
    from typer._click import HelpFormatter as HelpFormatter


def find_click_error() -> type[Exception]:
    """The class of all errors that click tells its user.

    Why: an unknown flag is none of the errors that typer exports, so it would end in a traceback.
    BadParameter < UsageError < ClickException is the way to their common class.
    Seen with: typer 0.29.2
    Fails without: tests/test_startup.py test_no_help_and_no_usage_error_imports_anything_heavy
    """
    found: type[Exception] = typer.BadParameter.__mro__[2]
    return found
