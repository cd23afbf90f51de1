"""Commands from Python: records in a list, how it ended, maps as arrays, errors that are raised."""

import importlib.util
import re
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xmir_cli
from xmir_cli.commands.compare import Compare
from xmir_cli.commands.embed import Embed
from xmir_cli.commands.index import Index
from xmir_cli.commands.query import Query
from xmir_cli.commands.saliency import Saliency
from xmir_cli.errors import DataError, Status, UsageError, XmirError
from xmir_cli.main import COMMANDS
from xmir_cli.python import list_fields, load_map, run

ROOT = Path(xmir_cli.__file__).parents[1]
needs_mypy = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="needs mypy")


@pytest.fixture
def study(tiny_arch: str) -> None:
    """Two models' embeddings, an index of the first, and three images."""
    Path("images").mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"images/{seed}.png")
    for number, name in enumerate(("old", "new")):
        run(
            Embed(
                images=["images"],
                architecture=tiny_arch,
                weights=f"random:{number}",
                output=Path(f"{name}.parquet"),
            )
        )
    run(Index(source="old.parquet", output="cxr.xmir"))


@pytest.mark.usefixtures("study")
def test_records_and_the_ending_are_those_of_the_command(xmir, capsys):
    capsys.readouterr()
    printed = xmir("query", "images/0.png", "gone.png", "-i", "cxr.xmir", "--top", 2)
    hits = run(Query(images=["images/0.png", "gone.png"], index="cxr.xmir", top=2))
    assert hits.records == printed.records()
    assert (hits.ending.status, printed.code) == (Status.SKIPPED, 3)
    assert hits.ending.notes == ("1 answered, 1 skipped (1 missing)",)
    assert capsys.readouterr().err == printed.stderr  # a skip and the sum, as a shell has them


@pytest.mark.usefixtures("study")
def test_records_go_to_the_next_command_and_maps_are_arrays():
    hits = run(Query(images=["images/0.png"], index="cxr.xmir", top=2))
    maps = run(Saliency(records=hits.save("hits.jsonl"), method="activation"))
    for record in maps.records:
        found = load_map(record)
        assert (found.shape, found.dtype) == ((32, 32), np.float64)  # the network's view
        assert np.array_equal(found, np.load(record["saliency"]))
    again = run(Saliency(records=hits.save("hits.jsonl"), method="activation"))  # as a cell may
    assert again.records == maps.records
    with pytest.raises(DataError, match="saliency: expected the path of a map, found nothing"):
        load_map(hits.records[0])
    np.save("concept.npy", np.zeros(4))
    with pytest.raises(DataError, match=r"concept.npy: expected a map \[H, W\], found .* \(4,\)"):
        load_map({"saliency": "concept.npy"})


def test_what_is_no_description_is_refused():
    with pytest.raises(TypeError, match=r"expected a description such as Query\(...\), found str"):
        run("query")


@pytest.mark.usefixtures("study")
def test_the_text_of_what_is_found_is_the_table_of_a_terminal(xmir, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    hits = run(Query(images=["images/0.png"], index="cxr.xmir", top=2))
    table = xmir("query", "images/0.png", "-i", "cxr.xmir", "--top", 2, "--format", "table")
    assert repr(hits) == str(hits) == table.stdout.removesuffix("\n")
    monkeypatch.delenv("COLUMNS")
    assert max(map(len, repr(hits).splitlines())) <= 100


def test_the_lines_of_its_page_run(tiny_arch, capsys):
    text = (ROOT / "examples" / "python.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    Path("images").mkdir()
    for seed in range(4):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"images/{seed}.png" if seed else "new.jpg")
    assert 'architecture="resnet18"' in code
    names = {}
    exec(code.replace('"resnet18"', f'"{tiny_arch}", weights="random:0"'), names)  # noqa: S102 # ours
    assert names["first"].shape == (32, 32)
    assert capsys.readouterr().out.splitlines()[0].split()[:2] == ["rank", "similarity"]


@pytest.mark.usefixtures("study")
def test_a_gate_that_is_not_met_raises_nothing():
    found = run(Compare(old="old.parquet", new="new.parquet", summary=True, minimum=["rbo=2"]))
    assert found.ending.status == Status.GATE
    (failure,) = found.ending.failures
    assert failure.startswith("gate --min rbo=2: found ")
    assert len(found.records) == 1


def test_an_error_is_raised_whose_traceback_says_what_to_do():
    with pytest.raises(UsageError, match="nothing to ask with"):
        Query(index="a.xmir")
    asked = Embed(images=["gone"], weights="random:0", output=Path("a.parquet"))
    with pytest.raises(DataError, match="none of 1 inputs could be read"):
        run(asked)
    told = traceback.format_exception_only(DataError("it is broken", "Mend it."))
    assert "".join(told).endswith("DataError: it is broken\nMend it.\n")
    assert not hasattr(XmirError("without"), "__notes__")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_description_is_known_by_its_story(name):
    stem = name.replace("-", "_")
    described = vars(import_module(f"xmir_cli.stories.{stem}"))[
        "".join(part.title() for part in name.split("-"))
    ]
    assert described.__module__ == f"xmir_cli.commands.{stem}"  # by which `run` finds the story


def test_the_fields_of_a_description_are_told_in_their_own_names():
    told = list_fields(Query)
    assert "top = 5\n    How many for each query." in told
    assert "query itself: the same image" in told.split("\nno_self = False\n")[1].split("\n")[0]
    assert "ids = None\n    Ask with an indexed item; may be repeated; - is as for `like`." in told
    assert "--" not in told
    assert list_fields(Compare).startswith("old\n    Embeddings, an index, or records")
    assert "settings = {}" in list_fields(Saliency)
    assert "output = saliency" in list_fields(Saliency)


CALLS = """\
from pathlib import Path

from xmir_cli.commands.compare import Compare
from xmir_cli.commands.query import Query
from xmir_cli.commands.saliency import Saliency
from xmir_cli.errors import XmirError
from xmir_cli.python import Finished, load_map, run
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas.retrieval import RetrievalRecord


def nearest(image: str) -> tuple[str, float]:
    try:
        hits = run(Query(images=[image], index="cxr.xmir", top=1))
    except XmirError as error:
        print(error.hint)
        raise
    first = read_view(RetrievalRecord, hits.records[0])
    return first.retrieved, first.similarity or 0.0


def brightest(hits: Finished) -> float:
    maps = run(Saliency(records=hits.save(Path("hits.jsonl"))))
    return float(load_map(maps.records[0]).max())


compared = run(Compare(old="a.parquet", new="b.parquet", summary=True))
print(compared.records[0]["rbo"], compared.ending.status, compared.ending.failures)
"""


def check_types(code: str) -> list[str]:
    """What mypy says of a user's file, by the strict settings of this project."""
    Path("user.py").write_text(code)
    flags = ("--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *flags, Path("user.py").resolve()],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return re.findall(r"user\.py:(.*)", done.stdout) if done.returncode == 1 else [done.stderr]


@pytest.mark.slow
@needs_mypy
def test_a_users_file_is_typed_strictly():
    every = "".join(
        f"from xmir_cli.commands.{name.replace('-', '_')} import {described}\n"
        f"def ask_{described}(asked: {described}) -> Finished:\n    return run(asked)\n"
        for name in COMMANDS
        for described in ["".join(part.title() for part in name.split("-"))]
    )
    assert check_types(CALLS + every) == [""]
    wrong = check_types(
        "from xmir_cli.commands.query import Query\nfrom xmir_cli.python import run\n"
        'run(Query(images=["new.jpg"], top="3"))\nrun("query")\n'
    )
    assert [line.split(":")[0] for line in wrong] == ["3", "4"]
