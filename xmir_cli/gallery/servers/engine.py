"""The engine of galleries on servers: opens, builds and describes them, whatever the server."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from xmir_cli.errors import DataError, ExistsError, SettingError
from xmir_cli.gallery.folder.build import build_gallery
from xmir_cli.gallery.folder.engine import open_gallery as open_folder
from xmir_cli.gallery.protocol import Build, Built, Gallery, GraphSettings
from xmir_cli.gallery.servers.about import AGAIN, About
from xmir_cli.gallery.servers.clauses import Clause
from xmir_cli.gallery.servers.collection import Place
from xmir_cli.gallery.servers.digest import ROWS, Digest
from xmir_cli.gallery.servers.gallery import ServerGallery
from xmir_cli.gallery.servers.loading import choose_kind, load_items, plan_load
from xmir_cli.labels import LABEL
from xmir_cli.model.folders import move
from xmir_cli.store.counts import show_counts, split_labels
from xmir_cli.store.embedding_source import EmbeddingSource
from xmir_cli.store.embedding_table import RowBlock
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

_ASKED = 20  # values of a column of which each is counted
RESUME = "Run the same 'xmir index' again: it goes on where it ended."


@dataclass(frozen=True)
class ServerEngine:
    """An `EngineFile` over the places that a server's URLs name."""

    find: Callable[[str], Place]

    def open_gallery(self, name: str, model: str | None = None) -> ServerGallery:
        """Open a whole collection; raises DataError for none, half of one or a damaged one."""
        place = self.find(name)
        about = _need(place, name)
        collection = place.open(about)
        found = collection.count([])
        if found != about.rows:
            raise DataError(f"{name}: damaged index ({found} items, {about.rows} expected)", AGAIN)
        spec = about.model if model is None else move(about.model, model)
        return ServerGallery(name, spec, collection, _copy)

    def is_index(self, name: str) -> bool:
        """Nothing else has such a name; whether it is there is said when it is opened."""
        return bool(name)

    def describe_index(self, name: str, verify: bool = False) -> Record:
        """What a collection says of itself; to `verify` all of it is compared with its digest."""
        gallery = self.open_gallery(name)
        about = gallery.about
        if verify and _digest_of(gallery) != about.digest:
            raise DataError(f"{name}: damaged index (digest)", AGAIN)
        told = about.to_json()
        return {
            "kind": "index",
            "search": about.kind,
            "store": gallery.store,
            **{key: told[key] for key in ("rows", "dim")},
            "columns": list(gallery.column_names),
            **_count_values(gallery),
            **{key: told[key] for key in ("model", "settings", "recall_at_10", "version")},
        }

    def flat_columns(self, name: str) -> list[str]:
        """The columns of the items."""
        return list(self.open_gallery(name).column_names)

    def column_values(self, name: str, column: str, start: str, most: int) -> list[str]:
        """Values of a column that begin with `start`, each once, as texts."""
        values = self.open_gallery(name).distinct(column).cast(pa.string()).to_pylist()
        return sorted(value for value in values if value and value.startswith(start))[:most]

    def refuse_output(self, name: str, force: bool) -> None:
        """Raise DataError for a place that cannot be had; `force` is asked for once it is known."""
        del force
        if self.find(name).look().foreign:
            raise _not_ours(name)

    def refuse_build(self, name: str, build: Build, source: EmbeddingSource | None = None) -> None:
        """Raise SettingError or DataError for what a server, or this kind of one, cannot have."""
        if build.store != "float32":
            raise SettingError(
                "store",
                "a server keeps float32; a folder NAME.xmir may keep less",
                value=build.store,
            )
        if build.whiten is not None:
            raise SettingError(
                "whiten",
                "a server has no place for a whitening; a folder NAME.xmir has",
                value=str(build.whiten),
            )
        place = self.find(name)
        place.refuse(build)
        if source is None:
            return
        if source.features is not None:
            raise DataError(
                "a gallery on a server keeps no feature maps",
                "Embed without them, or index into a folder.",
            )
        place.refuse(replace(build, kind=choose_kind(source, build)), source.dim)

    def build_index(self, name: str, source: EmbeddingSource, build: Build) -> Built:
        """Load the items; what has the name stays there until all are in.

        A load that was interrupted goes on. One that is there already is left alone.
        """
        self.refuse_build(name, build, source)
        place = self.find(name)
        about, before = plan_load(place, source, build), place.look()
        with place.locked():
            found = place.look()
            if found.foreign:
                raise _not_ours(name)
            if found.about is not None and found.about.is_same_load(about):
                return _built(found.about)
            # what another load has put there meanwhile is replaced: both end well
            if found.about is not None and before.about is not None and not build.force:
                raise ExistsError(f"{name}: exists already", "Replace it with `force`.")
            return _built(load_items(place, about, source))


def _count_values(gallery: ServerGallery) -> Record:
    """Rows by label and by split, `-` for none, where the values are few enough to ask for each."""
    found: Record = {}
    for name in (LABEL, "split"):
        column = gallery.about.by_name.get(name)
        values = [] if column is None else gallery.collection.distinct(column.stored)
        if column is None or not 0 < len(values) <= _ASKED:
            continue
        told = {str(value): Clause(column.stored, (value,)) for value in values if value}
        counts = Counter({each: gallery.collection.count([told[each]]) for each in told})
        counts = counts + Counter({"-": len(gallery) - counts.total()})
        several = 0
        if name == LABEL:
            counts, several = split_labels(counts)
        found[name] = show_counts(counts)
        if several:
            found["several_labels"] = several
    return found


def _digest_of(gallery: ServerGallery) -> str:
    digest = Digest()
    for chunk in gallery.iterate(ROWS):
        digest.add(chunk.columns, chunk.vectors)
    return digest.text


def _need(place: Place, name: str) -> About:
    found = place.look()
    if found.about is not None:
        return found.about
    if found.unfinished:
        raise DataError(f"{name}: an unfinished index; its load was interrupted", RESUME)
    if found.foreign:
        raise DataError(f"{name}: not an xmir index", "Name one that 'xmir index' has made.")
    raise DataError(f"{name}: no such index", "Build it: xmir index EMBEDDINGS -o URL")


def _not_ours(name: str) -> DataError:
    return DataError(f"{name}: not an index, so it is not replaced", "Choose another name.")


def _built(about: About) -> Built:
    return Built(about.rows, about.dim, about.sha256, about.recall_at_10)


@dataclass(frozen=True)
class _Whole:
    """A gallery as an `EmbeddingSource`."""

    gallery: ServerGallery
    made: Mapping[str, str] = field(default_factory=dict)
    features: None = None

    @property
    def rows(self) -> int:
        """How many items there are."""
        return len(self.gallery)

    @property
    def dim(self) -> int:
        """The length D of the vectors."""
        return self.gallery.dim

    @property
    def model(self) -> ModelSpec:
        """What made them."""
        return self.gallery.model

    def blocks(self, size: int, names: Sequence[str] | None = None) -> Iterator[RowBlock]:
        """The items, `size` at a time."""
        for chunk in self.gallery.iterate(size, names):
            yield RowBlock(chunk.columns, chunk.vectors)


def _copy(gallery: ServerGallery, folder: Path) -> Gallery:
    """All of a gallery in a folder; its keys are the same numbers."""
    build_gallery(_Whole(gallery), folder / "copy.xmir", "exact", GraphSettings())
    return open_folder(str(folder / "copy.xmir"))
