import pytest

from xmir_cli.errors import UsageError
from xmir_cli.gallery.address import parse_url, refuse_secrets

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
