from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from xmir_cli.completion import complete_ids, complete_where
from xmir_cli.errors import UsageError
from xmir_cli.gallery import engines
from xmir_cli.gallery.engines import (
    Engine,
    flat_columns,
    is_index,
    is_url,
    make_absolute,
    open_gallery,
    refuse_output,
)
from xmir_cli.gallery.protocol import Built

TOLD = (
    "xmir: error: redis://...: unknown kind of index; expected a folder NAME.xmir, "
    "postgresql://HOST/DATABASE?table=NAME or qdrant://HOST:6334/NAME\n"
)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("redis://host:6379/0", True),
        ("postgresql+psycopg://u@h/db?table=cxr", True),
        ("HTTP://host", True),
        ("a.xmir", False),
        ("./redis://host", False),
        ("/d/redis:/host", False),
        ("C:/a.xmir", False),
        ("://x", False),
        ("", False),
    ],
)
def test_paths_and_urls_are_told_apart_by_their_names(name, url):
    assert is_url(name) is url
    assert make_absolute(name) == (name if url else str(Path(name).absolute()))


def test_what_no_engine_knows_is_said_without_its_secrets():
    for ask in (open_gallery, is_index, flat_columns, lambda name: refuse_output(name, force=True)):
        with pytest.raises(UsageError, match=r"^redis://\.\.\.: unknown kind of index; "):
            ask("redis://host")


def test_an_unknown_kind_of_index_is_one_plain_line(xmir, monkeypatch):
    name = "redis://host/0"
    calls = [
        ("query", "--id", "a", "--index", name),
        ("index", "e.parquet", "-o", name),
        ("retrieval-metric", name),
        ("info", name),
    ]
    for call in calls:
        result = xmir(*call)
        assert (result.code, result.stdout, result.stderr) == (2, "", TOLD)
    monkeypatch.setenv("XMIR_INDEX", name)
    result = xmir("query", "--id", "a")
    assert (result.code, result.stdout, result.stderr) == (2, "", TOLD)
    assert not list(Path().iterdir())


class Shelf:
    """An engine that keeps the ids of its indexes in this process."""

    def __init__(self) -> None:
        self.ids: dict[str, list[str]] = {}

    def is_index(self, name: str) -> bool:
        return name in self.ids

    def flat_columns(self, name: str) -> list[str]:
        return ["id"] * (name in self.ids)

    def column_values(self, name: str, column: str, start: str, most: int) -> list[str]:
        assert (column, most) == ("id", 200)
        return [each for each in self.ids[name] if each.startswith(start)]

    def refuse_output(self, name: str, force: bool) -> None:
        assert force
        assert name not in self.ids

    def refuse_build(self, name, build, source=None) -> None:
        assert name not in self.ids
        assert build.kind is None
        assert source is None or source.rows == 2

    def build_index(self, name, source, build) -> Built:
        assert (build.kind, build.graph.m, build.force) == (None, 16, True)
        blocks = source.blocks(1, ["id"])
        self.ids[name] = [name for block in blocks for name in block.items["id"].to_pylist()]
        return Built(source.rows, source.dim, "00ff", None)


def test_an_engine_of_the_table_builds_and_completes(xmir, tiny_arch, monkeypatch):
    shelf = Shelf()
    row = Engine("shelf://NAME", lambda name: name.startswith("shelf://"), lambda: shelf)
    monkeypatch.setattr(engines, "ENGINES", (row, *engines.ENGINES))
    for name in ("a.png", "b.png"):
        Image.new("L", (32, 32), 99).save(name)
    network = ("--arch", tiny_arch, "--weights", "random:0")
    assert xmir("embed", "a.png", "b.png", *network, "-o", "e.parquet").code == 0
    (record,) = xmir("index", "e.parquet", "-o", "shelf://x", "--force").records()
    assert (record["path"], record["rows"], record["sha256"]) == ("shelf://x", 2, "00ff")
    context = SimpleNamespace(params={"index": "shelf://x"}, args=[])
    assert complete_ids(context, "") == ["a.png", "b.png"]
    assert complete_where(context, "i") == ["id=a.png", "id=b.png"]
    context = SimpleNamespace(params={"index": "unknown://x"}, args=["shelf://x"])
    assert complete_ids(context, "b") == ["b.png"]
