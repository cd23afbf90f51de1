"""The front door for tests, and tiny data with known truth."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from xmir_cli import main

os.environ["XMIR_NETWORKS"] = str(Path(__file__).parent / "networks")  # of commands, too

Xmir = Callable[..., "Result"]


@dataclass(frozen=True)
class Result:
    """What a run of the command line left behind."""

    code: int
    stdout: str
    stderr: str
    stdout_bytes: bytes

    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.stdout.splitlines()]


@pytest.fixture
def xmir(monkeypatch: pytest.MonkeyPatch) -> Xmir:
    """Run a command in this process: xmir("query", "a.png", stdin="...") -> Result."""

    def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
        data = stdin.encode() if isinstance(stdin, str) else (stdin or b"")
        raw_out, raw_err = io.BytesIO(), io.BytesIO()
        out = io.TextIOWrapper(
            raw_out, encoding="utf-8", errors="surrogateescape", write_through=True
        )
        err = io.TextIOWrapper(
            raw_err, encoding="utf-8", errors="surrogateescape", write_through=True
        )
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.execute([str(argument) for argument in arguments])
        return Result(
            int(code),
            raw_out.getvalue().decode("utf-8", "replace"),
            raw_err.getvalue().decode("utf-8", "replace"),
            raw_out.getvalue(),
        )

    return run


@pytest.fixture(scope="session")
def tiny_arch() -> str:
    """An architecture small enough for every test: 32 px in, 16 channels on an 8 x 8 grid."""
    return f"{Path(__file__).parent / 'networks' / 'tiny.py'}:network"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XMIR_INDEX", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "cache"))
