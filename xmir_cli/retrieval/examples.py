"""Examples of something: images, items of an index, embeddings or records, as unit vectors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from xmir_cli.errors import DataError, ItemError, SettingError
from xmir_cli.gallery.protocol import Columns, Gallery, identity_in
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.items import Item, list_items
from xmir_cli.pictures.reading import Reading, read_image
from xmir_cli.retrieval.chosen import STDIN, Choice, find_keys, read_choices
from xmir_cli.retrieval.collection import read_collection
from xmir_cli.retrieval.conditions import allowed_by, check_column
from xmir_cli.retrieval.image_queries import ask_images
from xmir_cli.retrieval.queries import ImageOptions, Question, ask_items
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.store.kinds import find_kind
from xmir_cli.store.names import escape_typed
from xmir_cli.store.where import Condition, parse_where
from xmir_cli.wire.model import ModelSpec

_ROWS = 8192  # of an index looked at together
_EMBEDDINGS = {"parquet", "stream", "parts"}

Skip = Callable[[str, ItemError], None]


@dataclass(frozen=True)
class ConceptExample:
    """One example: its name, unit vector [D], and which image and patient it is, where known."""

    name: str
    vector: Vectors
    identity: str | None
    patient: str | None

    @property
    def unit(self) -> str:
        """What examples that are not independent share."""
        return self.patient or self.identity or self.name


class ExampleSource:
    """Where examples come from; an index is opened, and a network loaded, when one needs it."""

    def __init__(
        self,
        open_index: Callable[[], Gallery],
        load: Callable[[ModelSpec], Embedder],
        named: ModelSpec | None,
        jobs: int | None,
        skip: Skip,
    ) -> None:
        """With a model that is `named` images need no index."""
        self._open, self._load, self._named, self._jobs, self._skip = (
            open_index,
            load,
            named,
            jobs,
            skip,
        )
        self._spec: tuple[str, ModelSpec] | None = None  # whose examples came first

    @cached_property
    def gallery(self) -> Gallery:
        """The index."""
        return self._open()

    @cached_property
    def embedder(self) -> Embedder:
        """The network of images."""
        return self._load(self._named or self.gallery.model)

    @property
    def spec(self) -> ModelSpec:
        """What embedded the examples, once there are any."""
        assert self._spec is not None
        return self._spec[1]

    def find(self, setting: str, name: str) -> list[ConceptExample]:
        """The examples that one value of a setting names.

        Raises SettingError for what names nothing, DataError for embeddings of another model.
        """
        path = Path(name)
        kind = "records" if name == STDIN else find_kind(path)
        if kind == "records":
            return self._of_choices(read_choices(False, name), setting)
        if kind in _EMBEDDINGS and not self._is_manifest(name, kind):
            return self._of_embeddings(name)
        if not path.exists() and (found := self._of_index(setting, name)) is not None:
            return found
        return self._of_images(list_items([name], False, None))

    def _is_manifest(self, name: str, kind: str) -> bool:
        """Whether a Parquet file is a table of images."""
        if kind != "parquet":
            return False
        import pyarrow.parquet as pq  # noqa: PLC0415 # only here

        from xmir_cli.store.embedding_header import EMBEDDING  # noqa: PLC0415

        return EMBEDDING not in pq.read_schema(name).names

    def _meet(self, name: str, spec: ModelSpec) -> None:
        if self._spec is None:
            self._spec = name, spec
        elif not self._spec[1].same_embedding(spec):
            raise DataError(
                f"{name}: embedded by another model than {self._spec[0]}",
                "A direction is one of a single model: embed both with it.",
            )

    def _of_embeddings(self, name: str) -> list[ConceptExample]:
        found: Embeddings = read_collection(name, self._skip)
        self._meet(name, found.model)
        return [
            _example(str(row["id"]), np.asarray(vector), row, identity_in(row))
            for vector, row in zip(found.vectors, found.items.to_pylist(), strict=True)
        ]

    def _of_index(self, setting: str, name: str) -> list[ConceptExample] | None:
        """The item of an id, or the items that are as COLUMN=VALUE says; None for another name."""
        if self._named is not None and not self._is_condition(name):
            return None
        condition = self._condition(name)
        if condition is None:
            keys = self.gallery.by_id([escape_typed(name)])
            if keys[0] is None:
                return None
            self._meet(self.gallery.name, self.gallery.model)
            return [_of_question(each) for block in ask_items(self.gallery, keys) for each in block]
        check_column(self.gallery.column_names, condition.column, setting)
        found = list(self._that_are(condition))
        if not found:
            raise SettingError(setting, f"no item of {self.gallery.name} has it", value=name)
        self._meet(self.gallery.name, self.gallery.model)
        return found

    def _is_condition(self, name: str) -> bool:
        return self._condition(name) is not None

    @staticmethod
    def _condition(name: str) -> Condition | None:
        try:
            (found,) = parse_where([name])
        except SettingError:
            return None
        return None if "/" in found.column else found

    def _that_are(self, condition: Condition) -> Iterator[ConceptExample]:
        for chunk in self.gallery.iterate(_ROWS):
            for row in np.flatnonzero(allowed_by(chunk.columns, [condition])).tolist():
                (columns,) = chunk.columns.slice(row, 1).to_pylist()
                vector = np.array(chunk.vectors[row], dtype=np.float32)
                yield _example(str(columns["id"]), vector, columns, identity_in(columns))

    def _of_choices(self, choices: Sequence[Choice], setting: str) -> list[ConceptExample]:
        """Records, ids and paths: items of the index, or images."""
        keys = [None for _ in choices] if self._named else find_keys(self.gallery, choices)
        found: list[ConceptExample] = []
        for choice, key in zip(choices, keys, strict=True):
            if key is not None:
                self._meet(self.gallery.name, self.gallery.model)
                found += [_of_question(each) for each in next(ask_items(self.gallery, [key]))]
            elif choice.path:
                found += self._of_images(list_items([choice.path], False, None))
            else:
                raise SettingError(setting, "no such item of the index", value=choice.id)
        return found

    def _of_images(self, items: Sequence[Item]) -> list[ConceptExample]:
        self._meet("the images", self.embedder.spec)
        if self._named is None:
            options = ImageOptions(self._jobs)
            blocks = ask_images(self.gallery, self.embedder, items, options, self._skip)
            return [_of_question(each) for block in blocks for each in block]
        return list(self._embed(items))

    def _embed(self, items: Sequence[Item]) -> Iterator[ConceptExample]:
        """Images under a model that is named, so that no index knows more of them."""
        embedder = self.embedder

        def load(path: str) -> Reading:
            return read_image(path, embedder.recipe)

        read = zip(items, decode_all([each.path for each in items], load, self._jobs), strict=True)
        usable = self._without_errors(read)
        while batch := list(islice(usable, embedder.batch)):
            vectors = embedder.embed(torch.stack([each.input for _, each in batch]), len(items))
            for (item, reading), vector in zip(batch, vectors.numpy(), strict=True):
                yield _example(item.id, vector, item.columns, reading.identity)

    def _without_errors(
        self, read: Iterator[tuple[Item, Reading | ItemError]]
    ) -> Iterator[tuple[Item, Reading]]:
        for item, each in read:
            if isinstance(each, ItemError):
                self._skip(item.id, each)
            else:
                yield item, each


def without_copies(examples: Sequence[ConceptExample]) -> list[ConceptExample]:
    """Each image once, in an order that is not that in which they come."""
    found: dict[str, ConceptExample] = {}
    for each in sorted(examples, key=lambda each: (each.identity or "", each.name)):
        found.setdefault(each.identity or f"\0{len(found)}", each)
    return list(found.values())


def refuse_shared(positive: Sequence[ConceptExample], negative: Sequence[ConceptExample]) -> None:
    """Raise SettingError for an image that is an example of both kinds."""
    known = {each.identity for each in positive if each.identity}
    for each in negative:
        if each.identity in known:
            raise SettingError("negative", "is a positive example, too", value=each.name)


def _of_question(question: Question) -> ConceptExample:
    name = str(question.columns.get("id") or question.name)
    return _example(name, question.vector, question.columns, question.identity)


def _example(name: str, vector: Vectors, columns: Columns, identity: str | None) -> ConceptExample:
    patient = columns.get("patient")
    return ConceptExample(name, vector, identity, str(patient) if patient else None)
