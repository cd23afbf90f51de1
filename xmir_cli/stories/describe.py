"""Name the terms nearest to an image, or that two images share."""

from collections.abc import Iterator
from itertools import chain

from xmir_cli import console
from xmir_cli.commands.describe import Describe, methods_as_maps
from xmir_cli.console import Ending, Records, Skips
from xmir_cli.errors import DataError, ItemError, need_usable
from xmir_cli.explain.cases import Cases
from xmir_cli.explain.explainer import Explainer
from xmir_cli.explain.maps import Output
from xmir_cli.explain.refused import Refusals
from xmir_cli.explain.requests import Request, group_requests, read_requests
from xmir_cli.explain.terms import Terms, describe, embed_terms, turned
from xmir_cli.gallery.engines import open_gallery
from xmir_cli.inputs import find_index
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.text_sources import refuse_wordless
from xmir_cli.pictures.items import list_items
from xmir_cli.render.overlay import Display
from xmir_cli.retrieval.words import ask_words
from xmir_cli.saliency import load_methods
from xmir_cli.store.atomic import settle
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.text_lines import read_text_lines
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.description import DescriptionRecord
from xmir_cli.wire.words import put_into

__all__ = ["Describe", "run"]


def run(asked: Describe) -> Records:
    """One `xmir.description/1` record a term, best first, in the order of the images or records.

    With maps one a term, image and method.
    """
    skips, done = Skips(), 0
    describer = _Describer(asked)
    requests = chain(_pictures(asked), _records(asked, skips))
    with console.progress("describing", None) as bar:
        for group in group_requests(requests, asked.batch):
            for request, found in describer.describe(group):
                if isinstance(found, ItemError):
                    skips.add(request.name, found)
                    continue
                yield from found
                done += 1
            bar.advance(len(group))
    if asked.output.is_dir():
        settle(asked.output)
    describer.refusals.count(skips)
    return _finish(done, skips)


class _Describer:
    """The model used last, its terms, and what maps them."""

    def __init__(self, asked: Describe) -> None:
        self._asked = asked
        texts = list(dict.fromkeys(read_text_lines(asked.terms)))
        self._texts = put_into(asked.templates or (), texts)
        self.refusals = Refusals()
        self._told = False  # that words beside an image do not count
        self._loaded: tuple[ModelSpec, Cases, Terms, Explainer | None] | None = None

    def describe(self, group: list[Request]) -> Iterator[tuple[Request, list[Record] | ItemError]]:
        """Each request with its records, or with why there are none."""
        cases, terms, explainer = self._load(group[0].spec)
        found = cases.load(path for request in group for path, _ in request.images)
        for request in group:
            self._tell_of_words(request)
            try:
                records = describe(terms, request, found, self._asked.top)
                yield request, records if explainer is None else _mapped(explainer, records)
            except ItemError as error:
                yield request, error.bare

    def _tell_of_words(self, request: Request) -> None:
        """Say once that words beside an image do not count: a pair is one of images."""
        if self._told or request.words is None or not request.query:
            return
        self._told = True
        console.note(
            f"{request.name}: an image and words asked together; the terms are those that the two "
            "images share, whatever the words were"
        )

    def _load(self, spec: ModelSpec) -> tuple[Cases, Terms, Explainer | None]:
        if self._loaded is None or self._loaded[0] != spec:
            self._loaded = None  # the old network goes before the new one comes
            asked = self._asked
            refuse_wordless(spec)
            embedder = load_embedder(spec, asked.device, asked.precision, asked.batch)
            terms = embed_terms(embedder, ask_words(embedder, self._texts))
            cases = Cases(embedder, asked.jobs, draws=asked.maps is not None)
            self._loaded = (spec, cases, terms, self._explainer(cases))
        return self._loaded[1:]

    def _explainer(self, cases: Cases) -> Explainer | None:
        asked = self._asked
        if asked.maps is None:
            return None
        asked.output.mkdir(parents=True, exist_ok=True)
        methods = load_methods(asked.maps, asked.settings)
        output = Output(asked.output, Display("auto", 0.6))
        explainer = Explainer(lambda _: cases, methods, ("retrieved",), output)
        explainer.refusals = self.refusals
        return explainer


def _mapped(explainer: Explainer, records: list[Record]) -> list[Record]:
    """The records with a map of each image that they are of; raises ItemError for the first."""
    sides = [
        each for one in records for each in ([one, turned(one)] if "shared_with" in one else [one])
    ]
    requests = read_requests(enumerate(sides), None, Skips())
    mapped: list[Record] = []
    for group in group_requests(requests, len(sides)):
        with methods_as_maps():
            found = [record for _, record in explainer.explain(group)]
        mapped += [{**need_usable(each), "schema": DescriptionRecord.NAME} for each in found]
    return mapped


def _pictures(asked: Describe) -> Iterator[Request]:
    """The images, under the model that is named or that of the index."""
    if not asked.pictures:
        return
    spec = _named(asked) or open_gallery(find_index(None)).model
    for item in list_items(asked.pictures, asked.null, None, asked.columns):
        yield Request(item.id, {}, item.path, item.path, spec)


def _records(asked: Describe, skips: Skips) -> Iterator[Request]:
    """What the files of records and standard input hold."""
    for source in asked.records:
        with open_lines(source) as stream:
            yield from read_requests(read_records(stream), _named(asked), skips)


def _named(asked: Describe) -> ModelSpec | None:
    if asked.index is not None:
        return open_gallery(asked.index, asked.model).model
    return resolve_model(asked.choice) if asked.choice.is_named else None


def _finish(done: int, skips: Skips) -> Ending:
    if not done:
        raise DataError(
            f"none of {skips.total} inputs could be described"
            if skips.total
            else "no records on standard input"
        )
    return skips.finish(done, "described")
