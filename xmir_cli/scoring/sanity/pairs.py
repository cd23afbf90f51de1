"""What the tests explain again: the pairs of the records, each image as the network sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xmir_cli.causes import Cause
from xmir_cli.console import Skips
from xmir_cli.errors import DataError, ItemError, need_usable
from xmir_cli.explain.requests import Request
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.batches import decode_all
from xmir_cli.scoring.inputs import Input, read_input
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas.retrieval import RetrievalRecord

Pair = tuple[str, str]  # paths of query and retrieved image; equal for itself


@dataclass(frozen=True)
class Known:
    """What the records say of an image; None where they do not."""

    label: str | None = None
    patient: str | None = None

    def beside(self, earlier: "Known") -> "Known":
        """What both say, the earlier where this one does not."""
        return Known(self.label or earlier.label, self.patient or earlier.patient)


@dataclass(frozen=True)
class Inputs:
    """What every test explains again."""

    images: Mapping[str, Input]  # by path
    pairs: Mapping[Pair, str]  # each with the name of its first record
    about: Mapping[str, Known]  # by path


def load_inputs(
    embedder: Embedder, requests: Sequence[Request], skips: Skips, jobs: int | None
) -> Inputs:
    """The images of the requests, each pair once; a pair without its images goes to `skips`.

    Raises DataError when no pair is left.
    """
    paths = list(dict.fromkeys(path for each in requests for path, _ in each.images))
    loaded = decode_all(paths, lambda path: read_input(embedder, path), jobs)
    found = dict(zip(paths, loaded, strict=True))
    images: dict[str, Input] = {}
    pairs: dict[Pair, str] = {}
    about: dict[str, Known] = {}
    for request in requests:
        try:
            _refuse_words(request)
            query, retrieved = (
                need_usable(found[path]) for path in (request.query, request.retrieved)
            )
            request.check_identities(query.identity, retrieved.identity)
            said = _read_known(request)
        except ItemError as error:
            skips.add(request.name, error)
            continue
        images |= {request.query: query, request.retrieved: retrieved}
        pairs.setdefault((request.query, request.retrieved), request.name)
        for path, known in said:
            about[path] = known.beside(about.get(path, Known()))
    if not pairs:
        raise DataError(f"none of {skips.total} records could be checked")
    return Inputs(images, pairs, about)


def read_again(embedder: Embedder, inputs: Inputs, jobs: int | None) -> Inputs:
    """The same images as another network sees them."""
    loaded = decode_all(inputs.images, lambda path: read_input(embedder, path), jobs)
    images = {path: need_usable(each) for path, each in zip(inputs.images, loaded, strict=True)}
    return Inputs(images, inputs.pairs, inputs.about)


def _read_known(request: Request) -> list[tuple[str, Known]]:
    """What a record says of its images; a bare image has its label and patient beside its path."""
    view, record = read_view(RetrievalRecord, request.record), request.record
    patient = (view.meta or {}).get("patient", record.get("patient"))
    label = view.retrieved_label
    if label is None and "rank" not in record:
        label = _text(record.get("label"))
    return [
        (request.retrieved, Known(label, _text(patient))),
        (request.query, Known(view.query_label, view.query_patient)),
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _refuse_words(request: Request) -> None:
    """Raise ItemError where words ask: a random network has no words in its space."""
    if request.words is not None:
        raise ItemError(Cause.BAD_RECORD, "query_text: the check takes pairs of images")
