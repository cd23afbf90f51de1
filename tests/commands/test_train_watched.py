"""What somebody sees of `xmir train` on a terminal, and what comes out of it in a pipe."""

import contextlib
import csv
import fcntl
import json
import os
import pty
import re
import struct
import termios
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli import main, progress
from xmir_cli.training.loop import Trainer

ROWS = [(label, split) for label in ("lying", "standing") for split in ["train"] * 8 + ["val"] * 4]


@pytest.fixture
def arguments(tiny_arch) -> list[str]:
    """A run of two epochs with two steps each."""
    rng = np.random.default_rng(0)
    with Path("labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        for number, (label, split) in enumerate(ROWS):
            Image.fromarray(rng.integers(0, 256, (40, 40), dtype=np.uint8)).save(f"{number}.png")
            rows.writerow([f"{number}.png", label, split])
    model = ["--arch", tiny_arch, "--weights", "random:0", "--device", "cpu", "--jobs", "1"]
    return ["train", "labels.csv", *model, "--per-class", "4", "--epochs", "2", "-o", "n.st"]


@pytest.fixture(autouse=True)
def _slow_steps(monkeypatch) -> None:
    """Steps that take longer than two looks at the progress."""
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.02)
    monkeypatch.setattr(progress, "_PAUSE", 0.02)
    step = Trainer.step

    def slow(self, *arguments):
        time.sleep(0.1)
        return step(self, *arguments)

    monkeypatch.setattr(Trainer, "step", slow)


def watch(arguments: list[str], columns: int, piped: bool = False) -> tuple[int, str, str]:
    """Exit code, what a terminal shows, and what a pipe gets that stands in for its output."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # its end is closed
            while part := os.read(master, 1 << 16):
                shown.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    with (
        os.fdopen(slave, "w", 1) as err,
        os.fdopen(os.dup(slave), "w", 1) as terminal,
        Path("piped").open("w") as file,
        contextlib.redirect_stderr(err),
        contextlib.redirect_stdout(file if piped else terminal),
    ):
        code = main.execute(arguments)
    reader.join()
    os.close(master)
    return int(code), shown.decode(), Path("piped").read_text()


def lines_left(shown: str) -> list[str]:
    """What stands on the terminal in the end: nothing of what was drawn over."""
    plain = re.sub("\x1b\\[[0-9;]*m", "", shown.replace("\r\n", "\n"))
    return [line.rpartition("\x1b[K")[2] for line in plain.split("\n")]


def drawn(shown: str) -> list[str]:
    """The lines of progress, as they were drawn one after another."""
    return re.findall("\x1b\\[K([^\r\n\x1b]+)\r", shown)


def test_the_table_grows_above_a_line_of_progress(arguments):
    code, shown, _ = watch(arguments, 80)
    assert code == 0
    table = [line for line in lines_left(shown) if line and not line.startswith("xmir")]
    assert [row.split()[0] for row in table] == ["epoch", "1", "2"]
    inside = [line for line in drawn(shown) if line.startswith("epoch ")]
    for number in (1, 2):
        assert any(line.startswith(f"epoch {number}/2  ") for line in inside)
    assert any(
        re.search(
            r"1/2 steps  loss 0\.\d{3}  run ends in 0:\d\d  \d+\.\d images/s  0:\d\d left$", line
        )
        for line in inside
    )
    assert max(map(len, drawn(shown))) < 80
    assert re.search(r"K +1  +0\.\d{4}  ", shown[: shown.index("epoch 2/2")])  # as it ends


def test_forty_columns_are_enough(arguments):
    code, shown, _ = watch(arguments, 40)
    assert code == 0
    assert max(map(len, drawn(shown))) < 40
    assert any(re.fullmatch(r"epoch 1/2  1/2 steps  .*0:\d\d left", line) for line in drawn(shown))
    table = [line for line in lines_left(shown) if not line.startswith("xmir")]
    assert max(map(len, table)) <= 40
    assert [line.split()[1] for line in table if line.startswith("epoch")] == ["1", "2"]


def test_a_pipe_gets_nothing_but_records_under_the_line(arguments):
    code, shown, piped = watch(arguments, 80, piped=True)
    assert code == 0
    assert [json.loads(line).get("epoch") for line in piped.splitlines()] == [1, 2, None]
    assert "epoch 1/2" in shown
    assert [line for line in lines_left(shown) if not line.startswith("xmir: note: ")] == [""]


def test_nobody_at_a_terminal_reads_nothing(xmir, arguments):
    result = xmir(*arguments)
    assert (result.code, len(result.stderr.splitlines())) == (0, 3)  # what the run will do
    assert [record.get("epoch") for record in result.records()] == [1, 2, None]
