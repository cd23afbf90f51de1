"""The stories are the Python API: typed, lazy, and the same as the commands."""

import io
import json
import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xmir_cli
from xmir_cli.console import Ending
from xmir_cli.errors import DataError, ExistsError, SettingError, Status, UsageError
from xmir_cli.main import COMMANDS
from xmir_cli.stories import causal_metric, embed, index, query, saliency

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def study(tiny_arch: str) -> None:
    """An index cxr.xmir of three images, and the image new.jpg, made from Python."""
    Path("images").mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"images/{seed}.png")
    Image.open("images/0.png").save("new.jpg", quality=95)
    asked = embed.Embed(
        images=["images"], architecture=tiny_arch, weights="random:0", output=Path("cxr.parquet")
    )
    assert [record["rows"] for record in embed.run(asked)] == [3]
    built = index.Index(source="cxr.parquet", output="cxr.xmir")
    assert [record["kind"] for record in index.run(built)] == ["index"]


@pytest.mark.usefixtures("study")
def test_the_lines_of_the_readme_run(capsys: pytest.CaptureFixture[str]):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 5
    exec(code, {})  # noqa: S102 # it is ours
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert lines[0].endswith("images/0.png")


@pytest.mark.usefixtures("study")
def test_a_story_yields_what_its_command_prints_and_returns_how_it_ends(xmir):
    printed = xmir("query", "new.jpg", "gone.png", "-i", "cxr.xmir", "--top", 2)
    records = query.run(query.Query(images=["new.jpg", "gone.png"], index="cxr.xmir", top=2))
    found = []
    while True:
        try:
            found.append(next(records))
        except StopIteration as end:
            ending: Ending = end.value
            break
    assert found == printed.records()
    assert (ending.status, printed.code) == (Status.SKIPPED, 3)
    assert ending.notes == ("1 answered, 1 skipped (1 missing)",)


@pytest.mark.usefixtures("study")
def test_records_go_from_story_to_story_through_a_file():
    hits = query.run(query.Query(images=["new.jpg"], index="cxr.xmir", top=2))
    Path("hits.jsonl").write_text("".join(json.dumps(hit) + "\n" for hit in hits))
    made = saliency.Saliency(records="hits.jsonl", method="activation", settings={"matches": "1"})
    maps = list(saliency.run(made))
    assert [len(record["details"]["matches"]) for record in maps] == [1, 1]
    Path("maps.jsonl").write_text("".join(json.dumps(record) + "\n" for record in maps))
    scored = list(
        causal_metric.run(causal_metric.CausalMetric(records="maps.jsonl", curve_steps=4))
    )
    assert all(0 <= record["insertion"] <= 1 for record in scored)


def test_a_description_refuses_what_cannot_be():
    with pytest.raises(UsageError, match="nothing to ask with"):
        query.Query(index="a.xmir")
    Path("there.parquet").touch()
    with pytest.raises(ExistsError, match="exists already"):
        embed.Embed(images=["a.png"], output=Path("there.parquet"))


def test_embeddings_are_not_made_for_a_stand_in_of_stdout_that_takes_no_bytes(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(SettingError, match=r"^output: expected a file"):
        embed.Embed(images=["a.png"])


def test_errors_of_a_story_are_raised():
    asked = embed.Embed(images=["nothing-here"], weights="random:0", output=Path("a.parquet"))
    with pytest.raises(DataError, match="none of 1 inputs could be read"):
        list(embed.run(asked))


def test_every_command_has_a_story_with_its_description():
    for name in COMMANDS:
        story = import_module(f"xmir_cli.stories.{name.replace('-', '_')}")
        description, run = story.__all__
        assert run == "run"
        assert description == "".join(part.title() for part in name.split("-"))


def test_types_are_shipped():
    assert (Path(xmir_cli.__file__).parent / "py.typed").is_file()
