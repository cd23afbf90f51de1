"""What the command line itself names; data name networks too, and are believed less."""

_named: set[str] = set()


def trust(name: str) -> None:
    """Let what has this name run as code, or be fetched: the command line says so."""
    _named.add(name)


def is_named(name: str) -> bool:
    """Whether the command line names it."""
    return name in _named
