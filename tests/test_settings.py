import inspect
from collections.abc import Mapping

import pytest
import typer

from xmir_cli.errors import MethodError
from xmir_cli.saliency import catalogue
from xmir_cli.settings import method_settings


def command(name: str = "x", *, settings: Mapping[str, str]) -> int:
    """A command with settings."""
    seen.append((name, dict(settings)))
    return 0


seen: list[tuple[str, dict[str, str]]] = []


@pytest.fixture
def run():
    seen.clear()
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command()(method_settings(command))

    def run(*arguments):
        app(list(arguments), standalone_mode=False)
        return seen[-1]

    return run


def test_every_setting_of_every_method_has_a_flag():
    parameters = inspect.signature(method_settings(command)).parameters
    settings = {f"setting_{own.name}" for entry in catalogue().values() for own in entry.settings}
    assert set(parameters) == {"name"} | settings


def test_only_what_was_typed_arrives_as_text(run):
    assert run() == ("x", {})
    assert run("--name", "y", "--window-size", "9", "--abs") == (
        "y",
        {"window_size": "9", "abs": "true"},
    )
    assert run("--no-abs") == ("x", {"abs": "false"})


def test_help_names_the_methods_of_a_shared_setting(run, capsys):
    with pytest.raises(IndexError):  # help runs no command
        run("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "activation: how many of the strongest pairs" in text
    assert "bilrp: how many of the strongest pairs" in text


def test_setting_named_like_a_flag_of_the_command_is_a_bug():
    def clashing(window_size: int = 3, *, settings: Mapping[str, str]) -> int:
        return window_size + len(settings)

    with pytest.raises(MethodError, match="window_size: the command has a flag"):
        method_settings(clashing)
