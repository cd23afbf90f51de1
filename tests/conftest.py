"""The front door for tests, and tiny data with known truth."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from xmir_cli import main
from xmir_cli.wire.schema import keys_of
from xmir_cli.wire.schemas import all_schemas

os.environ["XMIR_NETWORKS"] = str(Path(__file__).parent / "networks")  # of commands, too
os.environ["TERM"] = "xterm"  # a dumb one gets no progress

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
        files = [Path(str(each)) for each in arguments if str(each).endswith(".jsonl")]
        given = [each.read_bytes() for each in files if each.is_file()]
        _check_keys(raw_out.getvalue(), b"\n".join([data, *given]))
        return Result(
            int(code),
            raw_out.getvalue().decode("utf-8", "replace"),
            raw_err.getvalue().decode("utf-8", "replace"),
            raw_out.getvalue(),
        )

    return run


def _check_keys(stdout: bytes, stdin: bytes) -> None:
    """Every key that a command adds to a record stands in the table of its schema."""
    came = {key for record in _objects(stdin) for key in record}
    for record in _objects(stdout):
        schema = all_schemas().get(record.get("schema"))
        if schema is None:
            assert "schema" not in record, f"{record['schema']}: no such schema in the table"
            continue
        patterns = [re.sub("[A-Z]+", r"[\\w-]+", name) for name in vars(schema).get("OTHERS", ())]
        for key in record.keys() - keys_of(schema).keys() - came - {"schema"}:
            known = any(re.fullmatch(pattern, key) for pattern in patterns)
            assert known, f"{record['schema']}: {key} is not in the table"


def _objects(data: bytes) -> Iterator[dict]:
    for line in data.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            if line.startswith(b"{") and isinstance(found := json.loads(line), dict):
                yield found


@pytest.fixture(scope="session")
def tiny_arch() -> str:
    """An architecture small enough for every test: 32 px in, 16 channels on an 8 x 8 grid."""
    return f"{Path(__file__).parent / 'networks' / 'tiny.py'}:network"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("XMIR_INDEX", "COLUMNS"):  # a runner of tests may set the latter
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "cache"))


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A virtual environment for scripts, whose `xmir` starts at once: see torture/server.py."""
    folder = tmp_path_factory.mktemp("warm")
    server = Path(__file__).parent / "torture" / "server.py"
    with subprocess.Popen([sys.executable, server, folder], stdin=subprocess.PIPE) as process:
        while not (folder / "bin" / "xmir").exists():
            assert process.poll() is None
            time.sleep(0.02)
        yield folder
        process.stdin.close()
