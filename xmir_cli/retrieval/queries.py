"""Questions to a gallery: its own items, embeddings from elsewhere, and what is known of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError, SettingError
from xmir_cli.gallery.protocol import Columns, Gallery, ItemKey, identity_in
from xmir_cli.gallery.vectors import Vectors, unit_rows
from xmir_cli.retrieval.region import Region
from xmir_cli.store.arrays import read_array
from xmir_cli.store.concepts import StoredConcept
from xmir_cli.store.kinds import called, find_kind, next_step
from xmir_cli.store.names import escape_typed, restore_name
from xmir_cli.store.whitening import read_whitener
from xmir_cli.wire.records import Record
from xmir_cli.wire.words import Words

_BLOCK = 512  # queries searched at a time where no network sets the pace
_NAMES = 50_000  # ids that are looked through for one like a mistyped one, in a second


@dataclass(frozen=True)
class Question:
    """One query: the name it goes by in records, its unit vector [D], and what is known of it."""

    name: str
    vector: Vectors
    columns: Columns  # id, path, sha256, label, patient ..., those that are known
    identity: str | None = None  # which image it is, where it is one
    refinement: "Refinement | None" = None  # by which `vector` was moved
    contribution: "Contribution | None" = None  # of a region; `vector` is its direction
    words: "Asked | None" = None  # that ask, alone or with the image; the name is empty if alone
    pulls: "Sequence[Pull]" = ()  # concepts by which `vector` was moved, too

    @property
    def image(self) -> Vectors:
        """The unit vector [D] before anything moved it, whose similarities records tell."""
        moved = self.contribution or self.refinement
        return self.vector if moved is None else moved.image

    @property
    def moves(self) -> Record:
        """What records tell of what moved `vector`, or of which part of the image it is."""
        told: Record = {}
        if self.contribution is not None:
            told = self.contribution.told
        elif self.refinement is not None:
            told = self.refinement.told
        if self.pulls:
            told["toward"] = [each.told for each in self.pulls]
            told["toward_sha256"] = [each.concept.sha256 for each in self.pulls]
        return told


@dataclass(frozen=True)
class Asked:
    """Words as they ask: which, and how many tokens of their longest prompt were left out."""

    words: Words
    cut: int

    @property
    def told(self) -> Record:
        """What a record says of them."""
        words = self.words
        told: Record = {"query_text": words.text}
        told |= {"query_templates": list(words.templates)} if words.templates else {}
        told |= {} if words.weight is None else {"text_weight": words.weight}
        return {**told, "text_sha256": words.sha256, **({"text_cut": self.cut} if self.cut else {})}


@dataclass(frozen=True)
class Refinement:
    """Images to move a query towards and away from, and where the query was before [D]."""

    like: Sequence[Question]
    unlike: Sequence[Question]
    image: Vectors

    @property
    def told(self) -> Record:
        """What records say of the images; concepts may move a query without any."""
        if not (self.like or self.unlike):
            return {}
        return {
            "like": [example.name for example in self.like],
            "unlike": [example.name for example in self.unlike],
        }


@dataclass(frozen=True, eq=False)
class Pull:
    """A concept to move a query towards, or away from, and how far."""

    concept: StoredConcept
    weight: float

    @property
    def told(self) -> str:
        """As it was asked for."""
        return f"{self.concept.path}:{self.weight:g}"


@dataclass(frozen=True)
class Center:
    """The gallery's mean [D], its SHA-256, and the unit direction [D] of the query without it."""

    mean: Vectors
    sha256: str
    direction: Floats


@dataclass(frozen=True)
class Contribution:
    """What of a query's unit embedding `image` [D] comes from a region: `length` times a vector.

    With a `center` the length is divided by that of the image without the mean.
    """

    region: Region
    image: Vectors
    length: float
    center: Center | None = None

    @property
    def told(self) -> Record:
        """What records say of it."""
        center = {} if self.center is None else {"center": self.center.sha256}
        return {"region": list(self.region), **center}


@dataclass(frozen=True)
class ImageOptions:
    """With how many threads images are decoded, and which region of each asks."""

    jobs: int | None = None
    region: Region | None = None
    center: bool = False  # whether the gallery's mean is taken off the image and the hits


def ask_items(gallery: Gallery, keys: Sequence[ItemKey]) -> Iterator[list[Question]]:
    """Items of the gallery as queries, a block at a time."""
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK]
        yield _questions(gallery.vectors_of(block), gallery.columns_of(block))


def ask_all(gallery: Gallery) -> Iterator[list[Question]]:
    """Every item of the gallery as a query, a block at a time."""
    for chunk in gallery.iterate(_BLOCK):
        yield _questions(chunk.vectors, chunk.columns.to_pylist())


def ask_vectors(
    gallery: Gallery, files: Sequence[str], skip: Callable[[str, ItemError], None]
) -> Iterator[list[Question]]:
    """The embeddings in .npy files [D] or [N, D] as queries; `skip` is told of unusable rows.

    They are the network's own: what the gallery makes of them before it compares is done here.

    Raises DataError when a file holds anything but embeddings of the index's size.
    """
    whitening = gallery.model.whitening
    whitener = None if whitening is None or not files else read_whitener(whitening)
    dim = gallery.dim if whitener is None else len(whitener.mean)
    for file in files:
        kind = find_kind(Path(file))
        if kind not in {"", "array"}:
            step = next_step("vectors", kind, file)
            raise DataError(f"{file}: no matrix (.npy), but {called(kind)}", step)
        array = np.atleast_2d(read_array(Path(file)))
        if array.ndim != 2 or array.shape[1] != dim:
            found = f"found an array of {' x '.join(map(str, array.shape))}"
            raise DataError(f"{file}: expected embeddings of {dim} numbers, {found}")
        vectors, usable = unit_rows(_in_reach(array))
        for row in np.flatnonzero(~usable).tolist():
            skip(file, ItemError(Cause.BAD_VECTOR, f"row {row} is zero, NaN or infinite"))
        asked = vectors[usable] if whitener is None else whitener.whiten(vectors[usable])
        questions = [Question(file, vector, {}) for vector in asked]
        yield from (questions[i : i + _BLOCK] for i in range(0, len(questions), _BLOCK))


def _in_reach(array: np.ndarray) -> np.ndarray:
    """Rows [N, D] whose squares float32 holds: those far too long or too short are scaled."""
    largest = np.abs(array.astype(np.float64)).max(axis=1, keepdims=True)
    far = (largest > 1e6) | ((largest > 0) & (largest < 1e-6))
    return array / np.where(far, largest, 1.0) if far.any() else array


def find_ids(gallery: Gallery, ids: Sequence[str]) -> list[ItemKey]:
    """The items of these ids; raises SettingError with the names nearest to an unknown one."""
    if not ids:
        return []
    texts = [escape_typed(name) for name in ids]
    found = []
    for name, key in zip(texts, gallery.by_id(texts), strict=True):
        if key is None:
            close = _close_ids(gallery, name)
            hint = f"Did you mean {' or '.join(close)}?" if close else ""
            raise SettingError("ids", f"no such item in {gallery.name}", hint, value=name)
        found.append(key)
    return found


def look_up(gallery: Gallery, identities: Sequence[str]) -> list[Columns]:
    """Label, patient and the other columns of the first item that is each image; or nothing."""
    firsts = [keys[:1] for keys in gallery.by_identity(identities)]
    rows = iter(gallery.columns_of([key for keys in firsts for key in keys]))
    found = [next(rows) if keys else {} for keys in firsts]
    return [{name: value for name, value in row.items() if name != "path"} for row in found]


def _questions(vectors: Vectors, rows: Sequence[Columns]) -> list[Question]:
    return [
        Question(restore_name(str(row["path"])), np.asarray(vector), row, identity_in(row))
        for vector, row in zip(vectors, rows, strict=True)
    ]


def _close_ids(gallery: Gallery, name: str) -> list[str]:
    if len(gallery) > _NAMES:
        return []
    return get_close_matches(name, gallery.distinct("id").to_pylist(), n=3, cutoff=0.5)
