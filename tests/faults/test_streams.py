"""Rows of the fault table that hold for all commands: standard input and standard output."""

import contextlib
import errno
import io
import os
import sys
from pathlib import Path

import pytest

from xmir_cli import main

READERS = ["saliency", "causal-metric", "sanity-check", "montage"]
PRINTERS = [
    "embed", "index", "query", "saliency", "causal-metric", "sanity-check", "train",
    "diff-saliency", "retrieval-metric", "info",
]  # fmt: skip
# with `-` as their input
LISTERS = [("embed", "-", "-o", "new.parquet"), ("index", "-", "-o", "new.xmir"), ("query", "-")]


def given(call) -> str:
    return Path(call.stdin).read_text() if call.stdin else ""


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", READERS)
def test_stdin_empty(xmir, calls, name: str):
    result = xmir(*calls[name].arguments, *calls[name].output, stdin="")
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr == "xmir: error: no records on standard input\n"
    assert not list(Path().glob("new.*"))


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("arguments", LISTERS, ids=lambda each: each[0])
def test_stdin_empty_where_a_list_is_read(xmir, arguments: tuple[str, ...]):
    result = xmir(*arguments, stdin="")
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr == "xmir: error: no records on standard input\n"
    assert not list(Path().glob("new.*"))


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", READERS)
def test_stdin_closed(calls, name: str, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert main.execute([*calls[name].arguments, *calls[name].output]) == 5
    assert capsys.readouterr().err == "xmir: error: standard input is closed\n"


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("arguments", LISTERS, ids=lambda each: each[0])
def test_stdin_closed_where_a_list_is_read(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert main.execute(arguments) == 5
    assert capsys.readouterr().err == "xmir: error: standard input is closed\n"


def with_stdout(call, stdout: object, monkeypatch) -> tuple[int, list[str]]:
    """The exit code and the lines for people when stdout is something else."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given(call).encode())))
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(stdout):  # type: ignore[type-var]
        code = main.execute([*call.arguments, *call.output])
    lines = err.buffer.getvalue().decode().splitlines()
    return code, [line for line in lines if " note: " not in line and " warning: " not in line]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", PRINTERS)
def test_stdout_closed(calls, name: str, monkeypatch):
    code, said = with_stdout(calls[name], None, monkeypatch)
    assert (code, said) == (5, ["xmir: error: standard output is closed"])


class Full(io.TextIOWrapper):
    """A full disk; tests/test_pipes.py asks a real one."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", PRINTERS)
def test_stdout_on_a_full_disk(calls, name: str, monkeypatch):
    code, said = with_stdout(calls[name], Full(io.BytesIO()), monkeypatch)
    assert (code, said) == (5, ["xmir: error: standard output: no space left on device"])


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
)
@pytest.mark.parametrize("name", ["embed", "query", "saliency", "causal-metric"])
def test_out_of_memory(xmir, calls, name: str, monkeypatch, error: Exception):
    def starve(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("xmir_cli.pictures.files.decode_bytes", starve)
    call = calls[name]
    result = xmir(*call.arguments, *call.output, stdin=given(call))
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr.splitlines()[-2:] == [
        "xmir: error: not enough memory",
        "xmir: hint: Try a smaller --batch or fewer --jobs.",
    ]


@pytest.mark.usefixtures("world")
def test_a_bug_is_still_a_traceback(xmir, monkeypatch):
    def stumble(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("xmir_cli.stories.query.open_gallery", stumble)
    with pytest.raises(RuntimeError, match="ours"):
        xmir("query", "-i", "a.xmir", "--all")


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", ["embed", "query", "saliency", "causal-metric", "train"])
def test_device_asked_for_but_absent(xmir, calls, name: str):
    arguments = [each if each != "cpu" else "cuda:99" for each in calls[name].arguments]
    result = xmir(*arguments, *calls[name].output, stdin=given(calls[name]))
    assert (result.code, result.stdout) == (6, "")
    assert "no such CUDA device" in result.stderr
