"""The stories from Python: what a command does, without its command line."""

import importlib
import inspect
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.errors import ExistsError, SettingError, UsageError
from xmir_cli.main import COMMANDS
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.stories import index, query
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)


@pytest.fixture
def embeddings():
    angles, names = np.array([0, 0.1, 0.3, 1]), ["a", "b", "c", "d"]
    sides = pa.array([64] * 4, pa.int32())
    items = pa.table(
        dict.fromkeys(("id", "path", "sha256"), names)
        | {"width": sides, "height": sides}
        | {name: pa.array(["x"] * 4) for name in ("label", "patient", "split")}
    )
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    write_embeddings(Path("e.parquet"), Embeddings(items, vectors, MODEL))


@pytest.mark.usefixtures("embeddings")
def test_an_index_is_built_and_asked_from_python():
    [receipt] = index.run(index.Index(source="e.parquet", output=Path("e.xmir")))
    assert (receipt["kind"], receipt["rows"], receipt["path"]) == ("index", 4, "e.xmir")
    hits = list(query.run(query.Query(index="e.xmir", ids=["b"], top=2, no_self=True)))
    assert [hit["meta"]["id"] for hit in hits] == ["a", "c"]


@pytest.mark.usefixtures("embeddings")
def test_the_same_is_refused_as_on_the_command_line():
    with pytest.raises(UsageError, match="nothing to ask with"):
        query.Query(index="e.xmir")
    list(index.run(index.Index(source="e.parquet", output=Path("e.xmir"))))
    with pytest.raises(ExistsError) as caught:
        index.Index(source="e.parquet", output=Path("e.xmir"))
    assert (str(caught.value), caught.value.hint) == (
        "e.xmir: exists already",
        "Replace it with `force`.",
    )
    with pytest.raises(SettingError, match=r"^ids zzz: no such item in "):
        list(query.run(query.Query(index="e.xmir", ids=["zzz"])))


@pytest.mark.usefixtures("embeddings")
def test_how_it_ends_is_what_the_generator_returns():
    story = index.run(index.Index(source="e.parquet", output=Path("e.xmir")))
    next(story)
    with pytest.raises(StopIteration) as end:
        next(story)
    assert (end.value.value.status, end.value.value.notes) == (0, ())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_story_offers_its_description_and_run(name):
    story = importlib.import_module(f"xmir_cli.stories.{name.replace('-', '_')}")
    described = "".join(part.title() for part in name.split("-"))
    assert story.__all__ == [described, "run"]
    assert vars(story)[described].__module__ == f"xmir_cli.commands.{name.replace('-', '_')}"


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_story_is_asked_hides_nothing_of_its_module(name):
    story = importlib.import_module(f"xmir_cli.stories.{name.replace('-', '_')}")
    assert not inspect.signature(story.run).parameters.keys() & vars(story).keys()
