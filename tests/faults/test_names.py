"""Names of files that nobody would choose, through all commands: found again, shown harmlessly."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NAMES = {
    "not UTF-8": b"\xff\xfe.png",
    "looks like an escape": rb"\xff.png",
    "both": rb"\xff\\" + b"\xff.png",
    "newline": b"a\nb.png",
    "tab": b"a\tb.png",
    "terminal escape": b"\x1b[31mred\x1b]0;title\x07.png",
    "bidi": "\u202egnp.exe.png".encode(),
    "leading dash": b"-o.png",
    "quotes": b"a\"b'c`$(touch PWNED).png",
    "formula": b"=cmd|' C calc'!A0.png",
    "markup": b"[bold]<script>alert(1)<b>.png",
    "separator": "a\u2028b.png".encode(),
    "255 bytes": b"x" * 251 + b".png",
    "frame": b"a#frame=2.png",
    "glob": b"a[0-9]*?.png",
}


@pytest.fixture
def named(request: pytest.FixtureRequest) -> str:
    """A picture by that name in `d`, beside an ordinary one."""
    Path("d").mkdir()
    for number, name in enumerate((b"plain.png", NAMES[request.param])):
        values = np.random.default_rng(number).integers(0, 256, (40, 40), dtype=np.uint8)
        Image.fromarray(values).save("picture.png")
        shutil.move("picture.png", os.path.join(b"d", name))  # noqa: PTH118
    return os.fsdecode(NAMES[request.param])


def harmless(text: str) -> bool:
    """Whether a terminal would do nothing but print the text."""
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("named", NAMES, indirect=True)
def test_a_file_by_any_name_goes_through_the_whole_pipe(xmir, tiny_arch: str, named: str):
    model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")
    assert xmir("embed", "d", *model, "-o", "a.parquet").code == 0
    assert xmir("index", "a.parquet", "-o", "a.xmir").code == 0
    path = os.path.abspath(os.path.join("d", named))  # noqa: PTH100, PTH118

    asked = xmir("query", "-i", "a.xmir", "--device", "cpu", "--", f"./d/{named}")
    first = asked.records()[0]
    assert (asked.code, first["retrieved"], first["rank"]) == (0, path, 1)
    assert first["similarity"] > 1 - 1e-6
    same = xmir("query", "-i", "a.xmir", "--id", first["meta"]["id"], "--no-self").records()
    assert [Path(record["retrieved"]).name for record in same] == ["plain.png"]
    assert same[0]["query"] == path

    found = xmir("saliency", "--method", "activation", "--device", "cpu", stdin=asked.stdout)
    assert (found.code, found.stderr) == (0, "")
    assert all(Path(record["overlay"]).is_file() for record in found.records())
    assert {path.parent for path in Path("saliency").rglob("*")} == {Path("saliency")}
    assert (
        xmir("causal-metric", "--curve-steps", 2, "--device", "cpu", stdin=found.stdout).code == 0
    )
    assert xmir("montage", "-o", "page.png", stdin=found.stdout).code == 0
    assert not Path("PWNED").exists()


@pytest.mark.parametrize("named", NAMES, indirect=True)
@pytest.mark.usefixtures("named")
def test_embeddings_are_a_list_of_their_images(xmir, tiny_arch: str):
    model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")
    assert xmir("embed", "d", *model, "-o", "a.parquet").code == 0
    again = xmir("embed", "a.parquet", *model, "-o", "b.parquet")
    assert (again.code, again.stderr) == (0, "")
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()


@pytest.mark.parametrize("named", NAMES, indirect=True)
def test_what_people_read_is_harmless_and_what_programs_read_is_the_name(
    xmir, tiny_arch: str, named: str
):
    model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")
    assert xmir("embed", "d", *model, "-o", "a.parquet").code == 0
    assert xmir("index", "a.parquet", "-o", "a.xmir").code == 0
    ask = ("query", "-i", "a.xmir", "--all", "-k", 1)
    assert harmless(xmir(*ask, "--format", "table").stdout)
    assert os.fsencode(named) in xmir(*ask, "--format", "paths").stdout_bytes
    assert xmir(*ask, "--format", "tsv").stdout.count("\n") == 3
    cells = xmir(*ask, "--format", "csv").stdout.splitlines()
    assert not any(cell.startswith(tuple("=+-@")) for line in cells for cell in line.split(","))
    with Path(os.path.join("d", named)).open("wb"):  # noqa: PTH118
        pass
    skipped = xmir("embed", "d", *model, "-o", "c.parquet", "--skips", "skips.jsonl")
    assert skipped.code == 3
    assert harmless(skipped.stderr)
    assert len(skipped.stderr.splitlines()) == 2
    told = [json.loads(line) for line in Path("skips.jsonl").read_text().splitlines()]
    path = os.path.abspath(os.path.join("d", named))  # noqa: PTH100, PTH118
    assert told == [{"path": path, "code": "empty"}]
