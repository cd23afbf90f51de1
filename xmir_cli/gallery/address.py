"""URLs of indexes: told apart, taken to pieces, and refused where they hold a secret.

A URL stands in records, histories of shells and lists of processes, so no secret may be in it: it
is refused before anything is read, written or said of it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from xmir_cli.errors import UsageError

_URL = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
)
_SPELT_AS_URL = re.compile(  # with slashes lost or turned, or as other programs want it
    r"\s*(?:jdbc:)?(postgres|postgresql|qdrants?):[/\\]*(.*)", re.DOTALL | re.IGNORECASE
)
_HOSTS = re.compile(r"(?:(?:\[[^\]]*\]|[^:,\[\]]*)(?::\d{0,5})?(?:,|$))*")
_SECRET_WORDS = ("pass", "pwd", "pw", "key", "token", "secret", "jwt", "auth", "credential")
_NO_SECRETS = {  # parameters of libpq that name files, kinds and times
    *("passfile", "sslkey", "sslkeylogfile", "require_auth"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
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
            raise UsageError(f"{self.scheme}://...: unknown parameter {name}; there are {known}")


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
    scheme, place, path, query, rest = match.groups()
    if rest is not None:
        raise UsageError(f"{scheme}://...: nothing stands behind #, which is %23 in a name")
    pairs = parse_qsl(query or "", keep_blank_values=True)
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise UsageError(f"{scheme}://...: a parameter is there twice", "Leave one of them out.")
    return Address(url, scheme.lower(), place, unquote(path.removeprefix("/")), parameters)


def refuse_misspelt(name: str) -> None:
    """Raise UsageError for the URL of an index that lost a slash and would pass as a path."""
    spelt = _SPELT_AS_URL.match(name)
    if spelt is None or is_url(name) or Path(f"{spelt[1]}:").exists() or Path(name).exists():
        return
    scheme = spelt[1].lower()
    form = "HOST:6334/NAME" if scheme.startswith("qdrant") else "HOST/DATABASE?table=NAME"
    raise UsageError(
        f"{scheme}:...: not spelt as the URL of an index", f"Expected {scheme}://{form}"
    )


def refuse_secrets(name: str) -> None:
    """Raise UsageError, without it, for a URL with a password or key in it.

    A password with one of /?#@ that is not written as %.. divides the URL elsewhere, and is told
    by the @ behind it; a URL that lacks a slash is one, too. So HOST:PORT/A@B, which may be
    USER:PASSWORD/WORD@HOST, is refused, and the hint tells how a name with @ is written.
    """
    spelt = _SPELT_AS_URL.match(name)
    match = _URL.match(f"{spelt[1]}://{spelt[2]}" if spelt else name)
    if match is None:
        return
    scheme, place, path, query, rest = match.groups()
    behind = f"{path}?{query or ''}#{rest or ''}"
    if (
        _holds_password(scheme.lower(), place, path, behind)
        or any(map(_is_secret, _split_parameters(query, rest)))
        or (":" in place and any("@" in key for key, _ in _split_parameters(query, rest)))
    ):
        raise UsageError(
            f"{scheme}://...: a secret in a URL gets into histories and lists of processes",
            _instead(scheme.lower()) + (" An @ in a name is written %40." if "@" in path else ""),
        )


def _holds_password(scheme: str, place: str, path: str, behind: str) -> bool:
    user, _, hosts = place.rpartition("@")
    if user.partition(":")[2] or (":" in place and "@" in path):
        return True
    if scheme.startswith("qdrant") and (user or re.search("@.*/", path)):
        return True  # it has no users, so that is a key; and its names have no /
    return not _HOSTS.fullmatch(hosts) and "@" in behind


def _split_parameters(*texts: str | None) -> list[tuple[str, str]]:
    """Names and values, whatever divides them."""
    return [
        (unquote(key), value)
        for text in texts
        for key, _, value in (pair.partition("=") for pair in re.split("[&;#?]", text or ""))
    ]


def _is_secret(parameter: tuple[str, str]) -> bool:
    key, value = parameter[0].lower(), parameter[1]
    known = key in _NO_SECRETS
    return bool(value) and not known and any(word in key for word in _SECRET_WORDS)


def _instead(scheme: str) -> str:
    if scheme.startswith("qdrant"):
        return "Leave it out, and put the key into $QDRANT_API_KEY."
    if scheme.startswith("postgres"):
        return "Leave it out, and put the password into ~/.pgpass or $PGPASSWORD."
    return "Leave it out."
