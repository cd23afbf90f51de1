from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.errors import UsageError
from xmir_cli.gallery.address import parse_url, refuse_secrets
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)

SECRETS = [
    "postgresql://me:s3cret@h/db?table=a",
    "postgresql://me:s3%40cret@h/db?table=a",
    "POSTGRES://h/db?table=a&password=s3cret",
    "postgresql://h/db?sslpassword=s3cret&table=a",
    "postgresql:///db?table=a&PassWord=s3cret",
    "qdrant://:s3cret@h:6334/a",
    "qdrant://h/a?api_key=s3cret",
    "qdrant://h/a?api-key=s3cret",
    "qdrants://h/a?apiKey=s3cret&timeout=3",
    "qdrants://s3cret@h:6334/a",
    "redis://me:s3cret@h/0",
    "postgresql://me:s3/cr3t@h/db?table=a",
    "postgresql://me:s3?cr3t@h/db?table=a",
    "qdrant://:s3#cr3t@h:6334/a",
    "https://h/a?token=s3cret#x",
    "postgresql://me@corp:s3c/r3t@localhost:1/db?table=c",
    "postgresql://me:12/s3@h/db?table=a",
    "postgresql://me:12?s3@h/db?table=a",
    "postgresql://h/db?table=c&PGPASSWORD=s3cret",
    "postgresql://h/db?table=c&pw=s3cret",
    "postgresql://h/db?table=c&passphrase=s3cret",
    "postgresql://h/db?table=c&PASSFILE_PASSWORD=s3cret",
    "postgresql://h/db?table=c#password=s3cret",
    "postgresql://h/db?table=c;password=s3cret",
    "postgresql:/me:s3cret@localhost:1/db",
    " postgresql://me:s3cret@localhost:1/db",
    "qdrant://h/c?x-api-key=s3cret",
    "qdrant://h/c?jwt=s3cret",
    "qdrant://s3c/r3t@localhost:1/c",
]


@pytest.mark.parametrize("url", SECRETS)
def test_a_url_with_a_secret_is_refused_without_it(url):
    with pytest.raises(UsageError) as found:
        refuse_secrets(url)
    assert "s3" not in f"{found.value}{found.value.hint}"
    assert "a secret in a URL" in str(found.value)
    with pytest.raises(UsageError):
        parse_url(url)


@pytest.mark.parametrize(
    "name",
    [
        *("postgresql://postgres:@/db?host=/run&table=a", "postgresql://me@h1:1,h2:2/db?table=a"),
        *("qdrant://h:6334/a", "qdrant://[::1]:6334/a", "a:b@c/d", "./x://me:pw@h", "a.xmir"),
        "postgresql://localhost:5432/db?table=c&user=me@corp.com",
        "postgresql://[::1]:5432,h:1/db?table=c&keepalives_idle=3&require_auth=scram-sha-256",
        "postgresql://me@corp@h:5432/db?table=c&sslkey=/home/me@h/key&host=/run",
        *("qdrant://h:6334/a%40b", "postgresql://me@h:5432/db?table=a@b", "qdrant://h/a@b"),
        "postgresql:///db?service=archive&table=a&passfile=/home/me/.pgpass",
    ],
)
def test_what_holds_no_secret_is_let_through(name):
    refuse_secrets(name)


@pytest.mark.parametrize("scheme", ["postgresql", "qdrant"])
def test_a_name_with_an_at_behind_a_port_may_be_a_password_and_the_hint_says_how_to_write_it(
    scheme,
):
    with pytest.raises(UsageError) as found:
        refuse_secrets(f"{scheme}://h:1/a@b")
    assert found.value.hint.endswith(" An @ in a name is written %40.")
    assert parse_url(f"{scheme}://h:1/a%40b").path == "a@b"
    with pytest.raises(UsageError) as found:
        refuse_secrets(f"{scheme}://h/a?password=s3cret")
    assert "%40" not in found.value.hint


@pytest.mark.parametrize("url", SECRETS[::4])
@pytest.mark.parametrize(
    "call",
    [
        ("query", "--id", "a", "-i"),
        ("index", "e.parquet", "-o"),
        ("info", "no such file"),
        ("info",),
        ("retrieval-metric",),
        ("retrieval-metric", "--queries", "q.parquet"),
        ("index", "e.parquet"),  # which takes no more
        ("no-such-command",),
    ],
    ids=" ".join,
)
def test_no_command_repeats_a_secret(xmir, monkeypatch, url, call):
    result = xmir(*call, url)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith(
        f"xmir: error: {url.strip().partition(':')[0]}://...: a secret in a URL"
    )
    assert "s3" not in result.stderr
    result = xmir("query", "--id", "a", f"--index={url}")
    assert (result.code, result.stdout, "s3" in result.stderr) == (2, "", False)
    monkeypatch.setenv("XMIR_INDEX", url)
    result = xmir("query", "--id", "a")
    assert (result.code, result.stdout) == (2, "")
    assert "s3" not in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        *("jdbc:postgresql://h/db?user=me&password=s3cret", "postgresql:me:s3cret@localhost/db"),
        *("qdrant:s3cret@h/a", "postgresql:\\\\me:s3cret@localhost/db", "JDBC:postgres:me:s3@h/db"),
    ],
)
def test_a_secret_in_what_is_hardly_a_url_is_not_repeated(xmir, url):
    for call in (("info",), ("index", "e.parquet", "-o"), ("query", "--id", "a", "-i")):
        result = xmir(*call, url)
        assert (result.code, result.stdout, "s3" in result.stderr) == (2, "", False)
        assert "://...: a secret in a URL" in result.stderr


@pytest.mark.parametrize(
    "call",
    [
        *(
            ("info",),
            ("retrieval-metric",),
            ("query", "--id", "a", "-i"),
            ("atlas", "-o", "a.html"),
        ),
        *(("index", "e.parquet", "-o"), ("index", "-o", "a.xmir"), ("cluster",)),
        ("retrieval-metric", "e.parquet", "--gallery"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("qdrant:/h/x", "qdrant://HOST:6334/NAME"),
        ("postgresql:/h/db?table=x", "postgresql://HOST/DATABASE?table=NAME"),
        ("jdbc:postgresql://h/db?table=x", "postgresql://HOST/DATABASE?table=NAME"),
    ],
)
def test_a_url_that_lost_a_slash_is_no_path(xmir, call, url, form):
    if "--gallery" in call:
        texts = {name: ["a"] for name in ("id", "path", "sha256", "label")}
        items = pa.table({**texts, "width": [1], "height": [1]})
        write_embeddings(Path("e.parquet"), Embeddings(items, np.ones((1, 2), np.float32), MODEL))
    result = xmir(*call, url)
    if call == ("cluster",) and not url.startswith("jdbc"):  # which wants a path
        assert "expected a path, found a URL" in result.stderr
        return
    assert (result.code, result.stdout) == (2, "")
    scheme = form.partition(":")[0]
    assert result.stderr == (
        f"xmir: error: {scheme}:...: not spelt as the URL of an index\n"
        f"xmir: hint: Expected {form}\n"
    )


def test_a_folder_that_looks_like_a_url_is_a_path(xmir):
    Path("qdrant:/h").mkdir(parents=True)
    assert "no such file" in xmir("retrieval-metric", "qdrant:/h/x").stderr


def test_the_pieces_of_a_url():
    found = parse_url("Postgresql://me@h:1/d%20b?table=a%2Bb&timeout=2.5")
    assert (found.scheme, found.place, found.path) == ("postgresql", "me@h:1", "d b")
    assert (found.parameters["table"], found.seconds) == ("a+b", 2.5)
    assert parse_url("qdrant://h/a").seconds == 60


@pytest.mark.parametrize("time", ["0", "-1", "soon", "", "nan", "inf", "1e9"])
def test_a_time_that_is_none_is_refused(time):
    with pytest.raises(UsageError, match="timeout: expected seconds"):
        _ = parse_url(f"qdrant://h/a?timeout={time}").seconds


def test_a_parameter_is_there_once():
    with pytest.raises(UsageError, match="twice"):
        parse_url("postgresql://h/d?table=a&table=b")
    with pytest.raises(UsageError, match="unknown parameter nonsense; there are table"):
        parse_url("qdrant://h/a?nonsense=1").know({"table"})
    with pytest.raises(UsageError, match="nothing stands behind #"):
        parse_url("postgresql://h/d?table=a#b")


@pytest.mark.parametrize(
    ("flag", "told"), [("--reproducible", "--reproducible"), ("--seed=1", "--seed")]
)
def test_what_a_server_does_in_its_own_way_is_said(xmir, flag, told):
    result = xmir("index", "e.parquet", "-o", "qdrant://127.0.0.1:1/a", flag)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == (
        f"xmir: error: {told}: a server builds its graph in its own way, each time another one\n"
    )
