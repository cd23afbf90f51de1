"""Requests to Qdrant over gRPC: with a time, asked again when it was lost, told in own words.

The key comes from $QDRANT_API_KEY. What the library says of an error is never repeated, for it
quotes what was asked.
"""

import math
import os
import re
import warnings
from collections.abc import Callable

import grpc
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse

from xmir_cli import console
from xmir_cli.errors import DataError, UsageError
from xmir_cli.gallery.address import Address
from xmir_cli.gallery.servers.retries import (
    CONNECTING,
    GOING_ON,
    LOADS_GO_ON,
    MEANWHILE,
    Answer,
    LostError,
    again,
)

KEY = "QDRANT_API_KEY"
PORT = 6334  # of gRPC
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]+)(?::([0-9]{1,5}))?")
_HERE = {"localhost", "127.0.0.1", "[::1]"}
_CHANNEL = {  # milliseconds
    "grpc.min_reconnect_backoff_ms": 5000,  # to reach a server
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2000,
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.enable_http_proxy": 0,
}
_CODES = {
    grpc.StatusCode.UNAUTHENTICATED: "a key is needed, or it is another one",
    grpc.StatusCode.PERMISSION_DENIED: "the key may not do that",
    grpc.StatusCode.NOT_FOUND: "the index was removed or replaced meanwhile",
    grpc.StatusCode.UNIMPLEMENTED: "it is no Qdrant, or an old one",
}
_HINTS = {
    grpc.StatusCode.UNAUTHENTICATED: f"Put it into ${KEY}.",
    grpc.StatusCode.PERMISSION_DENIED: f"Put it into ${KEY}.",
    grpc.StatusCode.NOT_FOUND: MEANWHILE,
}


class QdrantSession:
    """The server that an address names."""

    def __init__(self, address: Address) -> None:
        self.name, self.seconds = address.url, address.seconds
        self._client = connect(address)
        self._reached = False

    def ask(self, do: Callable[[QdrantClient], Answer]) -> Answer:
        """What is done with the client, again where the server was lost; or DataError.

        It may be done twice, where the first answer was lost.
        """
        found = again(lambda: self._once(do), GOING_ON if self._reached else CONNECTING)
        self._reached = True
        return found

    def _once(self, do: Callable[[QdrantClient], Answer]) -> Answer:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of indexes in memory, and of keys: see connect
                return do(self._client)
        except grpc.RpcError as error:
            raise self._told(error.code()) from None
        except ResourceExhaustedResponse:
            raise LostError(f"{self.name}: the server has too much to do") from None

    def _told(self, code: grpc.StatusCode) -> DataError:
        if code is grpc.StatusCode.UNAVAILABLE:
            said = "the connection was lost" if self._reached else "no server answers there"
            port = "" if self._reached else f"The port is that of gRPC, mostly {PORT}. "
            return LostError(f"{self.name}: {said}", port + LOADS_GO_ON)
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return LostError(f"{self.name}: the server has too much to do")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            hint = "Give it longer: timeout=SECONDS in the URL."
            return DataError(f"{self.name}: no answer within {self.seconds:g} s", hint)
        said = _CODES.get(code, f"the server refused it ({code.name.lower()})")
        return DataError(f"{self.name}: {said}", _HINTS.get(code, ""))


def connect(address: Address) -> QdrantClient:
    """A client of the server; nothing is sent yet."""
    match = _PLACE.fullmatch(address.place)
    if match is None or int(match[2] or PORT) > 65535:
        raise UsageError(f"{address.scheme}://...: expected qdrant://HOST:{PORT}/NAME")
    host, port = match[1], int(match[2] or PORT)
    secure, key = address.scheme == "qdrants", os.environ.get(KEY, "").strip() or None
    if key and not (key.isascii() and key.isprintable()):
        raise UsageError(f"${KEY}: a key has ASCII letters, digits and signs alone")
    if key and not secure and host not in _HERE:
        console.warning(f"{address.url}: ${KEY} is sent as it is; qdrants:// encrypts it")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the library would print what it meets
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the key, as above
        return QdrantClient(
            host=host,
            grpc_port=port,
            prefer_grpc=True,
            https=secure,
            api_key=key,
            timeout=math.ceil(address.seconds),
            check_compatibility=False,  # it would ask another port
            grpc_options=dict(_CHANNEL),
        )
