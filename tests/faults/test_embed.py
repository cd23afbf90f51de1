"""The fault table's rows of `embed`: every file is embedded or skipped by its code, and counted."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from xmir_cli.pictures.items import Item

TORTURE = Path(__file__).parents[1] / "torture"


@pytest.fixture(scope="module")
def corpus() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TORTURE))
        import corpus

        yield corpus
    del sys.modules["corpus"]


@pytest.fixture
def model(tiny_arch: str) -> tuple[str, ...]:
    return ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")


def listed(path: str = "skips.jsonl") -> dict[str, str]:
    skips = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return {Path(skip["path"]).name: skip["code"] for skip in skips}


def test_every_file_is_embedded_or_skipped_by_its_code(xmir, corpus: ModuleType, model):
    Path("d").mkdir()
    expected, good = {}, 0
    for name, data, code in corpus.images():
        (Path("d") / name).write_bytes(data)
        expected |= {name: code} if code else {}
        good += not code
    result = xmir("embed", "d", *model, "-o", "a.parquet", "--skips", "skips.jsonl")
    assert (result.code, listed()) == (3, expected)
    (receipt,) = result.records()
    assert (receipt["rows"], receipt["skipped"]) == (good, len(expected))
    lines = result.stderr.splitlines()
    assert len(lines) == 22  # 20 skips by name, the sum, and that there are several grey scales
    assert lines[-1].startswith(f"xmir: note: {good} embedded, {len(expected)} skipped (")
    everything = [path.read_bytes() for path in Path().glob("*.*")] + [result.stdout_bytes]
    assert not any(corpus.CANARY.encode() in data for data in everything)
    assert corpus.CANARY not in result.stderr
    assert not Path("PWNED").exists()


def test_no_files_words_go_anywhere(xmir, corpus: ModuleType, model):
    """A patient's name in tags, EXIF and text is in no output of any command."""
    Path("d").mkdir()
    named = ("plain.dcm", "comment.jpg", "text.png", "trailer.png")
    for name, data, _ in corpus.images():
        if name in named:
            assert corpus.CANARY.encode() in data
            (Path("d") / name).write_bytes(data)
    said = []

    def run(*arguments: object, stdin: str = "") -> str:
        result = xmir(*arguments, stdin=stdin)
        assert result.code == 0, result.stderr
        said.append(result.stdout + result.stderr)
        return result.stdout

    cpu = ("--device", "cpu")
    run("embed", "d", *model, "-o", "a.parquet")
    run("index", "a.parquet", "-o", "a.xmir")
    found = run("query", "-i", "a.xmir", "d", *cpu)
    maps = run("saliency", "--on", "both", "--method", "activation", *cpu, stdin=found)
    run("causal-metric", "--curve-steps", 2, "--curves", "curves", *cpu, stdin=maps)
    run("montage", "-o", "page.png", stdin=maps)
    run("montage", "-o", "page.pdf", stdin=maps)
    run("info", "d/plain.dcm", "d/text.png", "a.parquet", "a.xmir", "page.png")
    written = [p for p in Path().rglob("*") if p.is_file() and p.parent.name != "d"]
    assert len(written) > 50
    assert not [path for path in written if corpus.CANARY.encode() in path.read_bytes()]
    assert not any(corpus.CANARY in text for text in said)


def test_every_file_bad(xmir, model):
    Path("a.png").write_bytes(b"")
    Path("b.png").write_bytes(b"x")
    result = xmir("embed", "a.png", "b.png", *model, "-o", "a.parquet", "--skips", "s.jsonl")
    assert (result.code, result.stdout) == (5, "")
    last = result.stderr.splitlines()[-1]
    assert last == "xmir: error: none of 2 inputs could be read; nothing was written"
    assert not Path("a.parquet").exists()
    assert listed("s.jsonl") == {"a.png": "empty", "b.png": "not-an-image"}


@pytest.mark.usefixtures("world")
def test_files_that_are_none(xmir, model):
    os.mkfifo("fifo.png")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.png")
    Path("loop.png").symlink_to("loop.png")
    Path("zero.png").symlink_to("/dev/zero")
    Path("folder.png").mkdir()
    with Path("sparse.png").open("wb") as file:
        file.truncate(5 << 30)
    long = "x" * 300 + ".png"
    names = ("d/0.png", "gone.png", "fifo.png", "socket.png", "loop.png", "zero.png", "sparse.png")
    result = xmir("embed", *names, long, *model, "-o", "b.parquet", "--skips", "skips.jsonl")
    assert result.code == 3
    assert listed() == {
        "gone.png": "missing",
        "fifo.png": "not-regular",
        "socket.png": "not-regular",
        "loop.png": "symlink-loop",
        "zero.png": "not-regular",
        "sparse.png": "too-large",
        long: "name-too-long",
    }
    assert result.records()[0]["rows"] == 1


@pytest.mark.usefixtures("world")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_that_may_not_be_read(xmir, model):
    Path("d/0.png").chmod(0)
    Path("d/closed").mkdir(mode=0)
    result = xmir("embed", "d", *model, "-o", "b.parquet", "--skips", "skips.jsonl")
    assert result.code == 3
    assert listed() == {"0.png": "permission", "closed": "not-regular"}


@pytest.mark.usefixtures("world")
def test_a_file_that_vanishes_after_it_was_listed(xmir, model, monkeypatch):
    from xmir_cli.stories import embed

    listing = embed.list_items

    def vanish(*arguments: object) -> list[Item]:
        items = listing(*arguments)
        Path("d/1.png").unlink()
        return items

    monkeypatch.setattr(embed, "list_items", vanish)
    result = xmir("embed", "d", *model, "-o", "b.parquet")
    assert (result.code, result.records()[0]["rows"]) == (3, 3)
    assert "skipped d/1.png: missing: no such file" in result.stderr


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("command", ["embed", "query", "saliency"])
def test_libraries_that_talk_to_descriptor_2_are_not_heard(calls, corpus: ModuleType, command):
    """libtiff tells of damage there, past every handler."""
    noisy = next(data for name, data, _ in corpus.images() if name == "noisy.tif")
    Path("noisy.tif").write_bytes(noisy)
    arguments, stdin = [*calls[command].arguments, *calls[command].output], ""
    if command == "saliency":
        record = json.loads(Path("retrieval.jsonl").read_text().splitlines()[0])
        stdin = json.dumps({**record, "retrieved": str(Path("noisy.tif").absolute())})
    else:
        arguments.append("noisy.tif")
    done = subprocess.run(
        [sys.executable, "-m", "xmir_cli", *arguments], input=stdin, capture_output=True,
        text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert "corrupt: damaged file" in done.stderr
    assert all(line.startswith("xmir: ") for line in done.stderr.splitlines())
