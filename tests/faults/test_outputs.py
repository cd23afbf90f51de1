"""Rows of the fault table about what is written: full disks, odd places, inputs as outputs."""

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from xmir_cli import main

WRITERS = [
    "embed", "index", "saliency", "causal-metric", "sanity-check", "montage", "train",
    "diff-saliency",
]  # fmt: skip
FILES = {"embed", "sanity-check", "montage", "train"}  # whose output is one file
FORCED = {"embed", "montage", "train", "index", "sanity-check"}


def given(call) -> str:
    return Path(call.stdin).read_text() if call.stdin else ""


def tree(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("xmir: error")]


def fail_with(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is to reach the disk, or to get its name there, does not."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(Path, "replace", fail)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("name", WRITERS)
def test_output_disk_full(xmir, calls, world: Path, name: str, number: int, monkeypatch):
    call, before = calls[name], tree(world)

    fail_with(number, monkeypatch)
    result = xmir(*call.arguments, *call.output, stdin=given(call))
    assert result.code == 5
    (line,) = errors(result.stderr)
    assert line.startswith("xmir: error: new")
    assert line.endswith(f": {os.strerror(number).lower()}")
    assert tree(world) == before


@pytest.mark.parametrize("name", sorted(FORCED))
def test_output_disk_full_keeps_the_old_output(xmir, calls, world: Path, name: str, monkeypatch):
    call = calls[name]
    assert xmir(*call.arguments, *call.output, stdin=given(call)).code == 0
    before = tree(world)

    fail_with(errno.ENOSPC, monkeypatch)
    result = xmir(*call.arguments, *call.output, "--force", stdin=given(call))
    assert result.code == 5
    assert tree(world) == before


@pytest.mark.usefixtures("world")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("name", WRITERS)
def test_read_only_folder(xmir, calls, name: str):
    call = calls[name]
    Path("ro").mkdir()
    Path("ro").chmod(0o500)
    flag, file = call.output
    result = xmir(*call.arguments, flag, f"ro/{file}", stdin=given(call))
    assert result.code == 5
    assert "Traceback" not in result.stderr
    assert len(errors(result.stderr)) == 1


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", sorted(FILES | {"index"}))
def test_no_folder(xmir, calls, name: str):
    call = calls[name]
    flag, file = call.output
    result = xmir(*call.arguments, flag, f"gone/{file}", stdin=given(call))
    assert (result.code, result.stdout if name != "sanity-check" else "") == (5, "")
    assert "gone" in errors(result.stderr)[0]


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
@pytest.mark.parametrize("name", sorted(FILES))
def test_output_is_a_fifo_device_or_folder(xmir, calls, world: Path, name: str, kind: str):
    call = calls[name]
    flag, file = call.output
    path = world / file
    {
        "fifo": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/null"),
        "folder": lambda: path.mkdir(),
    }[kind]()
    force = ("--force",) if name in FORCED else ()
    result = xmir(*call.arguments, flag, file, *force, stdin=given(call))
    assert result.code == 5
    assert len(errors(result.stderr)) == 1
    assert path.exists()
    assert not path.is_file()
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("name", sorted(FILES))
def test_output_is_a_symlink_and_never_written_through(xmir, calls, world: Path, name: str):
    call = calls[name]
    flag, file = call.output
    (world / "real").write_bytes(b"old")
    (world / file).symlink_to("real")
    force = ("--force",) if name in FORCED else ()
    assert xmir(*call.arguments, flag, file, *force, stdin=given(call)).code == 0
    assert not (world / file).is_symlink()
    assert (world / "real").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("embed", ("--force", "-o", "d/0.png")),
        ("embed", ("--force", "-o", "d/labels.csv")),
        ("index", ("--force", "-o", "a.parquet")),
        ("index", ("--force", "-o", "d")),
        ("montage", ("--force", "-o", "d/0.png")),
        ("train", ("--force", "-o", "d/labels.csv")),
        ("train", ("--force", "-o", "d/0.png")),
        ("sanity-check", ("--force", "--plot", "d/0.png")),
        ("sanity-check", ("--force", "--plot", "saliency.jsonl", "saliency.jsonl")),
        ("causal-metric", ("--force", "--junit", "d/0.png")),
        ("causal-metric", ("--force", "--junit", "MAP")),
        ("causal-metric", ("--force", "--junit", "a.csv", "--baseline", "a.csv")),
        ("montage", ("--force", "-o", "page.png")),
        ("embed", ("--force", "-o", "new.parquet", "--skips", "d/labels.csv")),
        ("embed", ("--force", "-o", "new.parquet", "--skips", "d/0.png")),
        ("embed", ("--force", "-o", "net.safetensors", "--weights", "net.safetensors")),
        ("embed", ("--force", "-o", "a.npy", "a.items.parquet", "--file-format", "npy")),
        ("train", ("--force", "-o", "net.safetensors", "--weights", "net.safetensors")),
        ("train", ("--force", "-o", "net", "net.state.safetensors")),
        ("diff-saliency", ("--force", "-o", "figures", "figures/figure.png")),
    ],
)
def test_output_is_an_input(xmir, calls, world: Path, name: str, arguments: tuple[str, ...]):
    saliency = json.loads(Path("saliency.jsonl").read_text().splitlines()[0])["saliency"]
    arguments = tuple(saliency if each == "MAP" else each for each in arguments)
    Path("page.png").hardlink_to("d/0.png")
    Path("figures").mkdir()
    Path("figures/figure.png").hardlink_to("d/1.png")
    Path("a.csv").write_text("path\nd/1.png\n")
    for file in ("a.items.parquet", "net.state.safetensors"):
        Path(file).hardlink_to("a.parquet")
    Path("net.safetensors").touch()
    before = tree(world)
    first = [each for each in calls[name].arguments if each != "-" or len(arguments) < 4]
    result = xmir(*first, *arguments, stdin=given(calls[name]))
    assert result.code in {2, 5}
    assert "is an input, too" in result.stderr or "not an index" in result.stderr
    assert len(errors(result.stderr)) == 1
    assert tree(world) == before


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", ["embed", "index"])
def test_two_runs_one_output(calls, name: str):
    """Both end well, and the file is whole."""
    call, codes = calls[name], []
    arguments = [*call.arguments, *call.output, "--force"]
    threads = [
        threading.Thread(target=lambda: codes.append(main.execute(arguments))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0, 0]
    assert main.execute(["info", call.output[1]]) == 0
    assert main.execute(arguments) == 0  # takes over what one of them could not remove
    assert not list(Path().glob(".xmir-*"))


@pytest.mark.parametrize("flags", [["causal-metric", "--junit"], ["sanity-check", "--plot"]])
def test_output_is_the_file_on_standard_input(world: Path, flags: list[str]):
    before = tree(world)
    with Path("saliency.jsonl").open() as given_on_stdin:
        done = subprocess.run(
            [sys.executable, "-m", "xmir_cli", *flags, "saliency.jsonl", "--force"],
            stdin=given_on_stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"xmir: error: {flags[1]} saliency.jsonl: is an input, too\n"
    assert tree(world) == before
