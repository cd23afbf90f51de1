"""Between the command line and the stories: the core names settings, the edge names flags."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import xmir_cli
from xmir_cli import console, edge
from xmir_cli.console import Ending
from xmir_cli.errors import DataError, SettingError, Status, UsageError
from xmir_cli.flags import flags_of
from xmir_cli.main import COMMANDS, execute
from xmir_cli.printer import Shown

PACKAGE = Path(xmir_cli.__file__).parent
# what makes, reads and words flags; gates and their names are the flags --min and --max
EDGE = {
    "main",
    "edge",
    "manual",
    "commands",
    "gate_options",
    "options",
    "recipe_options",
    "word_options",
    "asking",
    "settings",
    "inputs",
    "flags",
    "completion",
    "usage_errors",
    "gates",
}
SPOKEN = {
    "model/hub.py",  # the hub's and pip's own commands, to be typed as they stand
    "model/transformers_configs.py",
    "store/kinds.py",  # its hints are commands that can be typed as they stand
    "kept_training.py",  # the note of an interrupted run says how to continue
    "workarounds/__init__.py",  # what xmir --help must not import
}


def _texts(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_the_core_speaks_no_flags():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if place.parts[0].removesuffix(".py") in EDGE or place.as_posix() in SPOKEN:
            continue
        if place.is_relative_to("wire/schemas"):  # the manual says with which flags keys are there
            continue
        found += [
            f"{place}:{line}: {flag}"
            for line, text in _texts(path)
            for flag in re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*(?![\w-])", text)
        ]
    assert found == []


def test_every_setting_that_the_core_names_is_a_flag_of_some_command():
    """A name in backticks that no command has would reach the user as plain words."""
    known = {name for command in COMMANDS for name in flags_of(edge.build_function(command))}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Raise):
                continue
            for line, text in _texts_of(node):
                for name in re.findall("`([a-z_]+)`", text):
                    assert name in known, f"{path}:{line}: {name}"


def _texts_of(node):
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.lineno, part.value


@pytest.fixture
def raised(monkeypatch):
    """What becomes of an error in the story of a command."""

    def become(error, name="train"):
        def story(_):
            raise error
            yield

        monkeypatch.setattr(f"xmir_cli.stories.{name}.run", story)
        with pytest.raises(type(error).__mro__[0] if error.code != 2 else UsageError) as caught:
            edge.build_function(name)(images=["a"], output=Path("new"))
        return str(caught.value), caught.value.hint

    return become


def test_a_setting_becomes_its_flag(raised):
    assert raised(SettingError("learning_rate", "too large", "Lower it.")) == (
        "--learning-rate: too large",
        "Lower it.",
    )
    assert raised(SettingError("architecture", "unknown", value="resnet")) == (
        "--arch resnet: unknown",
        "",
    )
    assert raised(SettingError("images", "gone")) == ("IMAGES...: gone", "")


def test_messages_and_hints_name_flags_where_the_core_names_settings(raised):
    error = DataError("fewer than the 4 of `per_class`", "Lower `per_class`, not `head`.")
    assert raised(error) == ("fewer than the 4 of --per-class", "Lower --per-class, not --head.")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("embed", "need --mean 0.5, and --resize as large as --input-size"),
        ("montage", "need mean 0.5, and resize as large as input size"),
    ],
)
def test_notes_name_flags_where_the_core_names_settings(monkeypatch, capsys, name, said):
    def story(_):
        console.note(console.in_words("need `mean` 0.5, and `resize` as large as `input_size`"))
        return Ending()
        yield

    monkeypatch.setattr(f"xmir_cli.stories.{name}.run", story)
    values = {"images": ["a"]} if name == "embed" else {"output": Path("new.png")}
    assert edge.build_function(name)(**values) == 0
    assert capsys.readouterr().err == f"xmir: note: {said}\n"
    assert console.in_words("`mean`") == "`mean`"


def test_what_a_command_cannot_set_is_named_in_words(raised):
    assert raised(DataError("`fast_decode` moved it")) == ("fast decode moved it", "")
    assert raised(SettingError("XMIR_MAX_PIXELS", "expected a number")) == (
        "XMIR_MAX_PIXELS: expected a number",
        "",
    )


def test_a_hint_names_no_setting_that_the_command_cannot_set(raised):
    hint = "Use `like`. Name it with `weights` or `model`, or pipe it in. Lower `top` or `head`."
    assert raised(DataError("no", hint)) == ("no", "Name it with --weights, or pipe it in.")
    assert raised(DataError("no", "Use `like` a.png.")) == ("no", "")


class Asked:
    form = "table"
    shown = Shown(("a",))


def test_what_is_said_at_the_end_comes_after_the_table(capsys):
    def story():
        yield {"a": 1}
        return Ending(Status.SKIPPED, ("1 done",), ("ties",)).judged(["gate --min a=2: found 1"])

    assert edge.print_records(story(), Asked()) == 4
    captured = capsys.readouterr()
    assert [line.strip() for line in captured.out.splitlines()] == ["a", "1"]
    assert captured.err.splitlines() == [
        "xmir: warning: ties",
        "xmir: note: 1 done",
        "xmir: error: gate --min a=2: found 1",
    ]


@pytest.mark.parametrize("answer", [None, {"a": 2}])
def test_what_goes_wrong_in_printing_is_raised_in_the_story_too(monkeypatch, answer):
    kept = []

    def story():
        try:
            yield {"a": 1}
        except KeyboardInterrupt:
            kept.append("state")
            if answer is not None:
                yield answer

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("xmir_cli.printer.Printer.write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        edge.print_records(story(), Asked())
    assert kept == ["state"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sanity-check", "--window", "9"], "--window: it is --window-size now"),
        (["saliency", "--tolerance=1e-4"], "--tolerance: it is --similarity-tolerance now"),
        (["diff-saliency", "a", "--steps", "4"], "--steps: it is --path-steps now"),
        (["saliency", "--baseline", "blur"], "--baseline: it is --path-baseline now"),
        (
            ["saliency", "--method", "occlusion", "--clip", "none"],
            "--clip: of occlusion it is --clip-windows now",
        ),
        (["saliency", "--form", "triplet"], "--form: it is --tuple now"),
        (["diff-saliency", "a", "--preset", "paper"], "--preset: it is --variant now"),
        (["causal-metric", "--preset", "rise"], "--preset: it is --blur now"),
        (["causal-metric", "--steps", "4"], "--steps: it is --curve-steps now"),
        (["embed", "a.png", "--format", "npy"], "--format: it is --file-format now"),
    ],
)
def test_the_spelling_of_earlier_versions_is_refused_in_one_line(xmir, arguments, message):
    result = xmir(*arguments)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == f"xmir: error: {message}\n"


def test_a_flag_that_never_was_is_unknown_as_ever(xmir):
    result = xmir("causal-metric", "--window", "4")
    assert result.code == 2
    assert result.stderr.startswith("xmir: error: No such option: --window")


@pytest.mark.parametrize(
    ("command", "flag", "parts"),
    [
        ("causal-metric", "--control", ["random", "center"]),
        ("saliency", "--method", ["occlusion", "rise"]),
        ("sanity-check", "--seeds", ["1", "2"]),
        ("retrieval-metric", "--k", ["1", "3"]),
        ("diff-saliency", "--classes", ["a", "b"]),
    ],
)
def test_a_list_with_commas_may_also_be_repeated(monkeypatch, command, flag, parts):
    asked = []
    stem = command.replace("-", "_")
    monkeypatch.setattr(edge, "print_records", lambda _, description: asked.append(description))
    monkeypatch.setitem(sys.modules, f"xmir_cli.stories.{stem}", SimpleNamespace(run=lambda _: 0))
    Path("r.jsonl").touch()
    once = [flag, ",".join(parts)]
    twice = [flag, parts[0], flag, parts[1]]
    for given in (once, twice, []):
        execute([command, "r.jsonl", *given])
    name = {"--k": "k"}.get(flag, flag.removeprefix("--"))
    first, second, neither = (getattr(each, name) for each in asked)
    assert first == second == ",".join(parts)
    assert neither == getattr(type(asked[0]), name, None)


def test_a_current_folder_that_is_gone_is_one_line(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = (
        "import os, sys\n"
        f"os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\n"
        "from xmir_cli import main\n"
        "sys.exit(main.execute(['embed', '/a.png', '-o', '/a.parquet']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 5
    assert done.stderr.splitlines() == [
        "xmir: error: the current folder cannot be used: it was deleted",
        "xmir: hint: Change to one that is there: cd ~",
    ]
