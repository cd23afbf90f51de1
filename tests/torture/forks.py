"""The command line in forked processes: everything is imported once, each run is a real process.

A real process can be killed, can lose its disk, its memory or its reader, and costs 10 ms.
"""

import importlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process with threads cannot be forked

import numpy as np
import torch
from PIL import Image

from xmir_cli import main

NETWORK = f"{Path(__file__).parents[1] / 'networks' / 'tiny.py'}:network"
os.environ["XMIR_NETWORKS"] = str(Path(NETWORK).parent)  # its records make it run, too
MODEL = ("--arch", NETWORK, "--weights", "random:0", "--device", "cpu")

LATE = (  # imported when they are needed
    "rich.progress",
    "torch._dynamo",  # by optimizers
    "xmir_cli.embedding.slots",
    "xmir_cli.explain.explainer",
    "xmir_cli.gallery.folder.gallery",
    "xmir_cli.gallery.folder.hnsw",
    "xmir_cli.model.loader",
    "xmir_cli.render.montage",
    "xmir_cli.retrieval.image_queries",
    "xmir_cli.scoring.outputs",
    "xmir_cli.scoring.pairs",
    "xmir_cli.store.embeddings",
    "xmir_cli.training.session",
)


@dataclass(frozen=True)
class Ended:
    """How a run ended; `code` is negative for a signal."""

    code: int
    out: bytes
    err: bytes
    megabytes: int  # the largest resident set


@dataclass
class Run:
    """A command that runs in a process of its own."""

    process: int
    out: Path
    err: Path

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.process, number)

    def wait(self) -> Ended:
        _, status, usage = os.wait4(self.process, 0)
        found = self.out.read_bytes(), self.err.read_bytes()
        self.out.unlink()
        self.err.unlink()
        code = os.waitstatus_to_exitcode(status)
        return Ended(code, *found, usage.ru_maxrss >> 10)


def warm() -> None:
    """Import what the commands import when they are called, without starting a thread."""
    for name in main.COMMANDS:
        main.load_command(name)
        importlib.import_module(f"xmir_cli.stories.{name.replace('-', '_')}")
    for name in LATE:
        importlib.import_module(name)
    torch.set_num_threads(1)


def start(
    arguments: Sequence[object],
    folder: Path,
    stdin: bytes = b"",
    prepare: Callable[[], None] | None = None,
) -> Run:
    """Start a command in `folder`; `prepare` is called in its process first."""
    name = f"{os.getpid()}-{time.monotonic_ns()}"
    out, err, given = (Path(f"/tmp/{name}.{part}") for part in ("out", "err", "in"))  # noqa: S108
    given.write_bytes(stdin)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    streams = [os.open(given, os.O_RDONLY), os.open(out, flags), os.open(err, flags)]
    given.unlink()
    process = os.fork()
    if process:
        for stream in streams:
            os.close(stream)
        return Run(process, out, err)
    become(arguments, folder, streams, prepare)
    raise AssertionError


def become(
    arguments: Sequence[object],
    folder: Path | str,
    streams: Sequence[int],
    prepare: Callable[[], None] | None = None,
) -> NoReturn:
    """Be a command from here on, with these descriptors as its standard streams."""
    try:
        os.chdir(folder)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        if prepare is not None:
            prepare()
        _open_streams()
        main.run([str(argument) for argument in arguments])
    except BaseException:  # noqa: BLE001 # as the interpreter would do it
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(1)
    os._exit(99)


def _open_streams() -> None:
    """What the interpreter does when it starts: a closed stream is None."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
        except OSError:
            stream = None
        setattr(sys, name, stream)


def run(
    arguments: Sequence[object],
    folder: Path,
    stdin: bytes = b"",
    prepare: Callable[[], None] | None = None,
) -> Ended:
    """Run a command in `folder` to its end."""
    return start(arguments, folder, stdin, prepare).wait()


def small_files(size: int) -> Callable[[], None]:
    """What makes every file that is written fail at `size` bytes, as on a full disk (EFBIG)."""

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return prepare


def pictures(folder: Path, count: int, side: int = 40) -> None:
    """Grey noise `0000.png` ... and its `labels.csv` of two classes and as many patients."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["path,label,patient"]
    for number in range(count):
        values = np.random.default_rng(number).integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{number:04}.png")
        lines.append(f"{number:04}.png,{'ab'[number % 2]},p{number}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def shell(script: str, folder: Path, **more: object) -> "subprocess.CompletedProcess[bytes]":
    """Run `script` in bash with `xmir` on hand."""
    launcher = f'xmir() {{ {sys.executable} -m xmir_cli "$@"; }}; set -o pipefail; '
    return subprocess.run(
        ["bash", "-c", launcher + script], cwd=folder, capture_output=True, check=False, **more
    )  # fmt: skip
