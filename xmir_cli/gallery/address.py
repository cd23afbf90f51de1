"""URLs of indexes: told apart, taken to pieces, and refused where they hold a secret.

A URL stands in records, histories of shells and lists of processes, so no secret may be in it: it
is refused before anything is read, written or said of it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from xmir_cli.errors import UsageError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_SECRETS = {  # parameters, without what stands between their words
    *("password", "passwd", "pwd", "pass", "sslpassword", "apikey", "key", "token", "secret"),
    *("accesskey", "accesstoken", "auth", "oauthclientsecret", "scramclientkey", "scramserverkey"),
}
_SECONDS = 60.0  # that a request may take
_LONGEST = 86_400.0


@dataclass(frozen=True)
class Address:
    """The pieces of a URL, which holds no secret."""

    url: str
    scheme: str
    place: str  # user, host and port, as they stand there
    path: str  # decoded, without the first slash
    parameters: Mapping[str, str]

    @property
    def seconds(self) -> float:
        """How long a request may take: `timeout`; raises UsageError where that is no time."""
        text = self.parameters.get("timeout", str(_SECONDS))
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= _LONGEST:
            raise UsageError(f"{self.url}: timeout: expected seconds, such as timeout=60")
        return seconds

    def know(self, names: Collection[str]) -> None:
        """Raise UsageError for a parameter that is none of these."""
        for name in self.parameters.keys() - names:
            known = ", ".join(sorted(names))
            raise UsageError(f"{self.url}: unknown parameter {name}; there are {known}")


def is_url(name: str) -> bool:
    """Whether a name is no path."""
    return _URL.match(name) is not None


def scheme_of(name: str) -> str:
    """What stands before ://, in small letters; the empty text where nothing does."""
    match = _URL.match(name)
    return match[1].lower() if match else ""


def parse_url(url: str) -> Address:
    """The pieces of a URL; raises UsageError where it holds a secret, or a parameter twice."""
    refuse_secrets(url)
    match = _URL.fullmatch(url)
    if match is None:
        raise UsageError(f"{url.partition('://')[0]}://...: not a URL")
    scheme, place, path, query = match.groups()
    pairs = parse_qsl(query or "", keep_blank_values=True)
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise UsageError(f"{url}: a parameter is there twice")
    return Address(url, scheme.lower(), place, unquote(path.removeprefix("/")), parameters)


def refuse_secrets(name: str) -> None:
    """Raise UsageError, without it, for a URL with a password or key in it."""
    match = _URL.match(name)
    if match is None:
        return
    scheme, place, _, query = match.groups()
    password = place.rpartition("@")[0].partition(":")[2]
    if ":" in place and "@" not in place:  # unless it holds one of /?#, which belongs in %..
        password = name[match.end(2) :].rpartition("@")[0]
    if scheme.lower().startswith("qdrant") and "@" in place:
        password = place  # which has no users, so that is a key
    named = {re.sub("[^a-z]", "", key.lower()): value for key, value in parse_qsl(query or "")}
    if password or any(named.get(key) for key in _SECRETS):
        raise UsageError(
            f"{scheme}://...: a secret in a URL gets into histories and lists of processes",
            _instead(scheme.lower()),
        )


def _instead(scheme: str) -> str:
    if scheme.startswith("qdrant"):
        return "Leave it out, and put the key into $QDRANT_API_KEY."
    if scheme.startswith("postgres"):
        return "Leave it out, and put the password into ~/.pgpass or $PGPASSWORD."
    return "Leave it out."
