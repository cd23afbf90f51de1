from pathlib import Path

import pytest

from xmir_cli.errors import UsageError
from xmir_cli.gallery.engines import index_folder, is_index, is_url, make_absolute, open_gallery

TOLD = "xmir: error: redis://...: unknown kind of index; expected a folder NAME.xmir\n"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("redis://host:6379/0", True),
        ("postgresql+psycopg://u:p@h/db?table=cxr", True),
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
    for ask in (open_gallery, is_index, index_folder):
        with pytest.raises(UsageError, match=r"^redis://\.\.\.: unknown kind of index; ") as found:
            ask("redis://me:secret@host")
        assert "secret" not in str(found.value)


def test_an_unknown_kind_of_index_is_one_plain_line(xmir, monkeypatch):
    name = "redis://me:secret@host/0"
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
