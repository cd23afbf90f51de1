"""What is to be explained: retrieval records, bare image paths, or a pair that is named."""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from xmir_cli.console import Skips
from xmir_cli.errors import ItemError, SettingError
from xmir_cli.pictures.frames import expand_frames
from xmir_cli.wire.checks import check_identity
from xmir_cli.wire.model import ModelSpec, need_model
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import PATH, key, read_view, until_stage
from xmir_cli.wire.schemas.cluster import ClusterRecord
from xmir_cli.wire.schemas.retrieval import RetrievalRecord
from xmir_cli.wire.schemas.saliency import SaliencyRecord
from xmir_cli.wire.words import Words


@dataclass(frozen=True)
class Request:
    """A query and a retrieved image under a network; the same path twice is self-similarity."""

    name: str  # for skip lines
    record: Record  # as it came
    query: str  # path; empty where words ask alone
    retrieved: str  # path
    spec: ModelSpec
    similarity: float | None = None  # as recorded
    query_identity: str | None = None  # as recorded
    retrieved_identity: str | None = None  # as recorded
    mean: str | None = None  # SHA-256 of the mean that was taken off, as recorded
    words: Words | None = None  # that ask, alone or together with the query

    @property
    def asked(self) -> tuple[str, str | None, Words | None]:
        """Which query it is: its path, and the image that was there as far as is recorded."""
        return self.query, self.query_identity, self.words

    @property
    def images(self) -> list[tuple[str, str | None]]:
        """The paths of its images, the query's first if it has one, and which images they were."""
        retrieved = (self.retrieved, self.retrieved_identity)
        return [(self.query, self.query_identity), retrieved] if self.query else [retrieved]

    @property
    def is_self(self) -> bool:
        """Whether an image is compared with itself."""
        if self.words is not None:
            return False
        if self.query_identity is not None and self.retrieved_identity is not None:
            return self.query_identity == self.retrieved_identity
        return self.query == self.retrieved

    def check_identities(self, query: str, retrieved: str) -> None:
        """Raise ItemError unless the images are those that the record is about."""
        if self.query:
            check_identity(self.query_identity, query, self.query)
        check_identity(self.retrieved_identity, retrieved, self.retrieved)


@dataclass(frozen=True)
class ImagePath:
    """A record that names nothing but an image."""

    record: Record
    path: str = key(PATH, "the image", needed=True)


def read_requests(
    lines: Iterable[tuple[int, Record | ItemError]],
    given: ModelSpec | None,
    skips: Skips,
    bare: ModelSpec | None = None,
) -> Iterator[Request]:
    """The requests of numbered lines in order; lines that are none go to `skips`.

    `given` is the network that is named: it serves bare paths, and says where a record's network
    lies now. `bare` serves bare paths where none is named. Raises SettingError for a bare path when
    there is none.
    """
    for line, record in lines:
        name = f"line {line}"
        if isinstance(record, ItemError):
            skips.add(name, record)
            continue
        try:
            yield from _requests(name, record, given, bare)
        except ItemError as error:
            skips.add(name, error)


def pair_requests(query: str, images: Sequence[str], spec: ModelSpec) -> list[Request]:
    """One request for each image, as if it had been retrieved by the query."""
    return [Request(image, _pair_record(query, image), query, image, spec) for image in images]


def group_requests(requests: Iterable[Request], limit: int) -> Iterator[list[Request]]:
    """Consecutive requests of one query and network, and consecutive bare images, together.

    All of a group name the same index.

    At most `limit` in a group, so that a stream is answered as it comes.
    """
    for _, group in itertools.groupby(requests, key=_group_key):
        while part := list(itertools.islice(group, limit)):
            yield part


def _group_key(request: Request) -> tuple[ModelSpec, object, object]:
    alone = request.is_self and "rank" not in request.record  # a bare image, no hit
    return request.spec, None if alone else request.asked, request.record.get("index")


def _requests(
    name: str, record: Record, given: ModelSpec | None, bare: ModelSpec | None
) -> Iterator[Request]:
    if "path" in record and "retrieved" not in record:
        yield from _self_requests(name, record, given or bare)
        return
    mean = find_center(record)
    kept = {"path": record["path"]} if "path" in record else {}
    # a map of another stage is none of this one's, nor are its numbers
    record = {**until_stage(record, RetrievalRecord, ClusterRecord), **kept}
    view = read_view(SaliencyRecord, record)
    spec = need_model(view.model)
    if given is not None:
        spec = replace(spec, architecture=given.architecture, weights=given.weights)
    words = view.words
    yield Request(
        name,
        record,
        "" if words is not None and words.weight is None else view.query,
        view.retrieved,
        spec,
        view.similarity,
        view.query_identity,
        view.retrieved_identity,
        mean,
        words,
    )


def find_center(record: Record) -> str | None:
    """The SHA-256 of the mean that a map or a relevance was made without, as recorded."""
    settings = record.get("settings")
    named = settings.get("center") if isinstance(settings, Mapping) else None
    found = named or record.get("center")
    return found if isinstance(found, str) else None


def _self_requests(name: str, record: Record, given: ModelSpec | None) -> Iterator[Request]:
    """One request for each picture that the path asks for."""
    named = read_view(ImagePath, record).path
    if given is None:
        raise SettingError(
            "model",
            f"{name} is an image path, which says nothing about the network",
            "Name it with `model` or `architecture`, or pipe in the records of 'xmir query'.",
        )
    for path in expand_frames(named):
        asked = {**record, "path": path, **_pair_record(path, path)}
        yield Request(name, asked, path, path, given)


def _pair_record(query: str, retrieved: str) -> Record:
    absolute = os.path.abspath(retrieved)  # noqa: PTH100 # Path.resolve would follow links
    return {"query": query, "retrieved": absolute}
