"""What can be refused before the work begins: nobody types records, and an index is one."""

import io
import sys
from pathlib import Path

import pytest

from xmir_cli.errors import DataError, UsageError
from xmir_cli.inputs import find_index, refuse_embeddings, refuse_records, refuse_stdin


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nobody_is_made_to_type_records(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(UsageError) as caught:
        refuse_records("-", "saliency")
    assert str(caught.value) == (
        "saliency waits for records on standard input and found a terminal"
    )
    assert caught.value.hint == "Pipe records in, or see 'xmir saliency --help'."
    with pytest.raises(UsageError, match=r"^embed waits for records"):
        refuse_stdin(["a.png", "-"], "embed")
    with pytest.raises(UsageError, match="which is a terminal"):
        refuse_embeddings("cxr.parquet", "-", None)


def test_where_stdin_is_not_asked_it_may_be_anything(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", Terminal())
    refuse_stdin(["a.png"], "embed")
    refuse_embeddings("cxr.parquet", None)
    Path("hits.jsonl").touch()
    refuse_records("hits.jsonl", "saliency")


def test_closed_stdin_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", None)
    for refuse in (
        lambda: refuse_records("-", "saliency"),
        lambda: refuse_stdin(["-"], "embed"),
        lambda: refuse_embeddings("-"),
    ):
        with pytest.raises(DataError, match=r"^standard input is closed$"):
            refuse()


def test_records_that_are_not_there_are_told_before_anything_is_loaded(xmir):
    result = xmir("causal-metric", "gone.jsonl")
    assert (result.code, result.stderr) == (
        5,
        "xmir: error: gone.jsonl: no such file or directory\n",
    )


def test_the_index_is_the_one_named_or_the_only_one_here(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match=r"^which index\? no \*.xmir is here"):
        find_index(None)
    Path("a.xmir").mkdir()
    assert find_index(None) == "a.xmir"
    Path("b.xmir").mkdir()
    with pytest.raises(UsageError, match=r"^which index\? 2 are here: a.xmir, b.xmir"):
        find_index(None)
    monkeypatch.setenv("XMIR_INDEX", "c.xmir")
    assert find_index(None) == "c.xmir"
    assert find_index("d.xmir") == "d.xmir"


@pytest.mark.parametrize("url", ["qdrant://127.0.0.1/a", "postgresql:/h/db?table=xr"])
@pytest.mark.parametrize(
    "words",
    [
        ("embed", "pictures", "-o"),
        ("train", "pictures", "-o"),
        ("saliency", "records.jsonl", "-o"),
        ("embed", "pictures", "-o", "a.parquet", "--skips"),
    ],
    ids=" ".join,
)
def test_a_url_in_the_place_of_a_path_is_told(xmir, words, url):
    result = xmir(*words, url)
    told, hint = result.stderr.splitlines()[:2]
    scheme = url.partition(":")[0]
    assert told.endswith(f": expected a path, found {scheme}://...")
    assert hint.startswith("xmir: hint: An index may lie on a server, and 'xmir index EMBEDDINGS")
    assert result.code == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("index", "qdrant://h/c", "-o", "a.xmir"), "expected what 'xmir embed' wrote, found"),
        (("report", "qdrant://h/c", "-o", "page.html"), "expected a path, found a URL"),
    ],
    ids=lambda each: each[0],
)
def test_a_url_in_the_place_of_a_source_is_told(xmir, words, told):
    result = xmir(*words)
    assert told in result.stderr.splitlines()[0]
    assert "qdrant://..." in result.stderr
    assert "hint" in result.stderr
    assert result.code in {2, 5}


def test_a_folder_whose_name_ends_with_a_colon_is_one(xmir):
    Path("odd:").mkdir()
    result = xmir("embed", "gone", "--weights", "random:0", "-o", "odd:/a.parquet")
    assert "URL" not in result.stderr
