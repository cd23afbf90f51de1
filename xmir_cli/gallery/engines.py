"""The engines of galleries, by the names of the indexes they open.

A name is a path or a URL, and which of them is settled here, before anybody makes a Path of it: a
Path of scheme://place has lost a slash. A new engine is a file with what `EngineFile` asks for, and
a row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from xmir_cli.errors import DataError, UsageError
from xmir_cli.gallery.address import is_url, refuse_misspelt, refuse_secrets, scheme_of
from xmir_cli.wire.records import Record

if TYPE_CHECKING:
    from xmir_cli.gallery.protocol import Build, Built, Gallery
    from xmir_cli.store.embedding_source import EmbeddingSource


class EngineFile(Protocol):
    """What an engine's file has."""

    def open_gallery(self, name: str, model: str | None = None) -> "Gallery":
        """Open an index whose model lies elsewhere if `model` says so; or DataError."""

    def is_index(self, name: str) -> bool:
        """Whether there is an index of that name, and not something else; opens nothing large."""

    def describe_index(self, name: str, verify: bool = False) -> Record:
        """What 'xmir info' says of an index once it was checked; to `verify` is to read it all."""

    def flat_columns(self, name: str) -> list[str]:
        """The columns of an index's items but vectors; at once, for a shell completes them."""

    def column_values(self, name: str, column: str, start: str, most: int) -> list[str]:
        """Up to `most` values of a column that begin with `start`, each once; at once, too."""

    def refuse_output(self, name: str, force: bool) -> None:
        """Raise ExistsError or DataError where no index may be built, and none replaced."""

    def refuse_build(
        self, name: str, build: "Build", source: "EmbeddingSource | None" = None
    ) -> None:
        """Raise SettingError or DataError for what such an index cannot have.

        That is what shows before a row is read; `source` is None where it is not opened yet.
        """

    def build_index(self, name: str, source: "EmbeddingSource", build: "Build") -> "Built":
        """Build an index of unit vectors, whole or not at all.

        Raises SettingError for what such an index cannot have.
        """


@dataclass(frozen=True)
class Engine:
    """A kind of index."""

    called: str  # what its indexes are called, for people
    recognises: Callable[[str], bool]  # whether a name is that of such an index, if there is one
    file: Callable[[], EngineFile]


# an engine's file is imported when it is needed, for its libraries need not be installed
def _folder() -> EngineFile:
    from xmir_cli.gallery.folder import engine  # noqa: PLC0415

    return engine


def _postgres() -> EngineFile:
    try:
        import pgvector.psycopg  # noqa: F401, PLC0415
        import psycopg  # noqa: F401, PLC0415
    except ImportError:
        raise _needs("PostgreSQL", "postgres") from None
    from xmir_cli.gallery.postgres import engine  # noqa: PLC0415

    return engine.ENGINE


def _qdrant() -> EngineFile:
    try:
        import qdrant_client  # noqa: F401, PLC0415
    except ImportError:
        raise _needs("Qdrant", "qdrant") from None
    from xmir_cli.gallery.qdrant import engine  # noqa: PLC0415

    return engine.ENGINE


def _needs(server: str, extra: str) -> DataError:
    return DataError(f"an index of {server} needs its client", f"pip install 'xmir[{extra}]'")


def _of(*schemes: str) -> Callable[[str], bool]:
    return lambda name: scheme_of(name) in schemes


ENGINES = (
    Engine("a folder NAME.xmir", lambda name: not is_url(name), _folder),
    Engine("postgresql://HOST/DATABASE?table=NAME", _of("postgresql", "postgres"), _postgres),
    Engine("qdrant://HOST:6334/NAME", _of("qdrant", "qdrants"), _qdrant),
)


def make_absolute(name: str) -> str:
    """The name of the same index from wherever it is asked for.

    Raises UsageError for a URL with a secret, and for one that lacks a slash.
    """
    refuse_secrets(name)
    refuse_misspelt(name)
    return name if is_url(name) else str(Path(name).absolute())


def open_gallery(name: str, model: str | None = None) -> "Gallery":
    """Open the index of that name, its model lying elsewhere if `model` says so.

    Raises UsageError for a URL that no engine knows, DataError for what is no index or damaged.
    """
    return _engine(name).open_gallery(name, model)


def is_index(name: str) -> bool:
    """Whether there is an index of that name; raises UsageError as `open_gallery`."""
    return _engine(name).is_index(name)


def describe_index(name: str, verify: bool = False) -> Record:
    """What 'xmir info' says of it, to `verify` which all is read; raises as `open_gallery`."""
    return _engine(name).describe_index(name, verify)


def flat_columns(name: str) -> list[str]:
    """The columns of its items but vectors; raises UsageError as `open_gallery`."""
    return _engine(name).flat_columns(name)


def column_values(name: str, column: str, start: str, most: int) -> list[str]:
    """Up to `most` values of a column that begin with `start`; UsageError as `open_gallery`."""
    return _engine(name).column_values(name, column, start, most)


def refuse_output(name: str, force: bool) -> None:
    """Raise ExistsError or DataError where no index may be built, else as `open_gallery`."""
    _engine(name).refuse_output(name, force)


def refuse_build(name: str, build: "Build", source: "EmbeddingSource | None" = None) -> None:
    """Raise SettingError or DataError for what it cannot have, as it shows before a row is read."""
    _engine(name).refuse_build(name, build, source)


def build_index(name: str, source: "EmbeddingSource", build: "Build") -> "Built":
    """Build an index of unit vectors, whole or not at all; SettingError for what it cannot have."""
    return _engine(name).build_index(name, source, build)


def _engine(name: str) -> EngineFile:
    refuse_secrets(name)
    refuse_misspelt(name)
    for engine in ENGINES:
        if engine.recognises(name):
            return engine.file()
    raise _unknown(name)


def _unknown(name: str) -> UsageError:
    scheme = name.partition("://")[0]  # the rest may hold a password
    *others, last = [engine.called for engine in ENGINES]
    known = f"{', '.join(others)} or {last}"
    return UsageError(f"{scheme}://...: unknown kind of index; expected {known}")
