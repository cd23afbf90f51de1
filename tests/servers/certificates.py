"""A certificate of this machine that nobody vouches for but itself."""

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Files of the key and of the certificate of localhost."""
    key, certificate = folder / "server.key", folder / "server.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate


class EncryptedDoor:
    """A port of this machine that speaks TLS as PostgreSQL does, before one that does not."""

    def __init__(self, key: Path, certificate: Path, port: int) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._behind = ("127.0.0.1", port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._open, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._socket.close()

    def _open(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            client.recv(8)  # asks for TLS
            client.sendall(b"S")
            inside = self._context.wrap_socket(client, server_side=True)
            with inside, socket.create_connection(self._behind) as server:
                threading.Thread(target=_copy, args=(server, inside), daemon=True).start()
                _copy(inside, server)


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_RDWR)
