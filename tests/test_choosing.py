"""A person chooses hits in fzf, between two commands, on a real terminal."""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

ANGLES = {"a": 0.0, "b": 0.1, "c": 0.2, "d": 0.5, "e": 0.3}
LIMIT = 30  # seconds


@pytest.fixture
def index(xmir):
    angles = np.array(list(ANGLES.values()))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    items = pa.table(
        {
            "id": list(ANGLES),
            "path": [f"/pictures/{name}.png" for name in ANGLES],
            "sha256": [name * 64 for name in ANGLES],
            "width": pa.array([64] * 5, pa.int32()),
            "height": pa.array([48] * 5, pa.int32()),
        }
    )
    model = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
    write_embeddings(Path("e.parquet"), Embeddings(items, vectors, model))
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0


class Person:
    """Somebody at a terminal on which a shell script runs."""

    def __init__(self, script: str) -> None:
        self.process, self.terminal = pty.fork()
        if not self.process:
            os.environ["TERM"] = "xterm-256color"
            termios.tcsetwinsize(1, (24, 80))
            launcher = f'xmir() {{ {sys.executable} -m xmir_cli "$@"; }}; '
            os.execlp("bash", "bash", "-c", launcher + script)  # noqa: S606
        self.seen = b""

    def wait_for(self, words: bytes) -> None:
        """Look until these words are there."""
        end = time.monotonic() + LIMIT
        while words not in self.seen:
            assert time.monotonic() < end, self.seen
            self._look()

    def press(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def leave(self) -> int:
        """The exit code of the script."""
        while self._look():
            pass
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def _look(self) -> bool:
        ready, _, _ = select.select([self.terminal], [], [], LIMIT)
        assert ready, self.seen
        try:
            part = os.read(self.terminal, 1 << 16)
        except OSError:
            return False
        self.seen += part
        return bool(part)


def query(flags):
    done = subprocess.run(
        [sys.executable, "-m", "xmir_cli", "query", *flags], capture_output=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("fzf") is None, reason="no fzf here")
@pytest.mark.usefixtures("index")
def test_the_hits_chosen_in_fzf_are_liked():
    person = Person("xmir query --id a | fzf -m | xmir query --like - --format jsonl > out.jsonl")
    person.wait_for(b"5/5")
    person.press(b"\t\x1b[A\t")  # the lowest line, and the one above it
    person.wait_for(b"(2)")
    person.press(b"\r")
    assert person.leave() == 0
    found = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert found == query(["--like", "a", "--like", "b"])


@pytest.mark.skipif(shutil.which("fzf") is None, reason="no fzf here")
@pytest.mark.usefixtures("index")
def test_nothing_chosen_in_fzf_is_said():
    person = Person("set -o pipefail; xmir query --id a | fzf -m | xmir query --like -")
    person.wait_for(b"5/5")
    person.press(b"\x1b")
    assert person.leave() == 5
    assert b"nothing was chosen: standard input is empty" in person.seen
