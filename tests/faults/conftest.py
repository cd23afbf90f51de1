"""A small world, made once by the commands themselves: each test works on a copy of it."""

import contextlib
import io
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli import main

CPU = ("--device", "cpu")
TRAIN = ("--per-class", "2", "--epochs", "1", "--classes-per-batch", "2")


@dataclass(frozen=True)
class Call:
    """A command that works here: its arguments, what it reads, and what it writes."""

    arguments: tuple[str, ...]
    stdin: str = ""
    output: tuple[str, ...] = ()  # flag and file


def _run(*arguments: str, stdin: str = "") -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    kept, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(out):
            assert main.execute(arguments) == 0
    finally:
        sys.stdin = kept
    return out.buffer.getvalue().decode()


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory, tiny_arch: str) -> Path:
    folder = tmp_path_factory.mktemp("world")
    model = ("--arch", tiny_arch, "--weights", "random:0", *CPU)
    with contextlib.chdir(folder):
        Path("d").mkdir()
        lines = ["path,label,patient"]
        for number in range(4):
            values = np.random.default_rng(number).integers(0, 256, (40, 40), dtype=np.uint8)
            Image.fromarray(values).save(f"d/{number}.png")
            lines.append(f"{number}.png,{'ab'[number % 2]},p{number}")
        Path("d/labels.csv").write_text("\n".join(lines) + "\n")
        _run("embed", "d/labels.csv", *model, "-o", "a.parquet")
        _run("index", "a.parquet", "-o", "a.xmir")
        found = _run("query", "-i", "a.xmir", "d/0.png", "-k", "2", *CPU)
        # the copies have their own paths
        Path("retrieval.jsonl").write_text(found.replace(str(folder), "WORLD"))
    return folder


@pytest.fixture
def world(_made: Path, tmp_path: Path) -> Path:
    """The current folder: pictures d, a.parquet, a.xmir, retrieval.jsonl and saliency.jsonl."""
    shutil.copytree(_made, tmp_path, dirs_exist_ok=True)
    found = Path("retrieval.jsonl").read_text().replace("WORLD", str(tmp_path))
    Path("retrieval.jsonl").write_text(found)
    maps = ("saliency", "-", "--method", "activation", "-o", "maps", *CPU)
    Path("saliency.jsonl").write_text(_run(*maps, stdin=found))
    return tmp_path


@pytest.fixture(scope="session")
def calls(tiny_arch: str) -> dict[str, Call]:
    """Each command as it works in the world."""
    model = ("--arch", tiny_arch, "--weights", "random:0", *CPU)
    method = ("--method", "activation")
    maps, found = "saliency.jsonl", "retrieval.jsonl"
    return {
        "embed": Call(("embed", "d/labels.csv", *model), "", ("-o", "new.parquet")),
        "index": Call(("index", "a.parquet"), "", ("-o", "new.xmir")),
        "query": Call(("query", "-i", "a.xmir", "d/0.png", *CPU)),
        "saliency": Call(("saliency", "-", *method, *CPU), found, ("-o", "new")),
        "causal-metric": Call(
            ("causal-metric", "-", "--curve-steps", "2", *CPU), maps, ("--curves", "new")
        ),
        "sanity-check": Call(
            ("sanity-check", "-", *method, "--seeds", "1", *CPU), found, ("--plot", "new.png")
        ),
        "montage": Call(("montage", "-"), maps, ("-o", "new.png")),
        "train": Call(("train", "d/labels.csv", *model, *TRAIN), "", ("-o", "new.safetensors")),
        "diff-saliency": Call(
            ("diff-saliency", "d/labels.csv", *model, *method), "", ("-o", "new")
        ),
        "retrieval-metric": Call(("retrieval-metric", "a.parquet")),
        "info": Call(("info", "a.parquet", "a.xmir", "d/0.png")),
    }
