"""Groups of requests to records: images loaded, similarities checked, maps made."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TypeVar

from xmir_cli.errors import ItemError, SettingError, need_usable
from xmir_cli.explain.asked import case_of_words
from xmir_cli.explain.cases import Case, Cases, Lender
from xmir_cli.explain.comparisons import Comparisons
from xmir_cli.explain.concept_target import refuse_other_model, tell_of_order
from xmir_cli.explain.fit import warn_of_unfit
from xmir_cli.explain.galleries import begin_run, mean_in, origin_of
from xmir_cli.explain.maps import LoadedPair, Output, make_map, names_of
from xmir_cli.explain.refused import Refusals
from xmir_cli.explain.requests import Request
from xmir_cli.explain.turned import tell_of_turn
from xmir_cli.model.embedder import Embedder
from xmir_cli.program.workers import share_out, single_thread
from xmir_cli.saliency import catalogue
from xmir_cli.saliency.forms import needs_image
from xmir_cli.saliency.sample import Method, similarity
from xmir_cli.wire.checks import check_similarity
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.saliency import SaliencyRecord

T = TypeVar("T")
R = TypeVar("R")
# a request, what asks, its negatives, and the image it is contrasted with
AskedRequest = tuple[Request, Case | ItemError, list[str] | ItemError, str | ItemError | None]


class Explainer:
    """Makes the maps of all methods for all sides asked for; keeps the network used last."""

    def __init__(
        self,
        load: Callable[[ModelSpec], Cases],
        methods: Mapping[str, Method],
        explains: Sequence[str],
        output: Output,
        comparisons: Comparisons = Comparisons(),  # noqa: B008 # frozen
    ) -> None:
        self.methods, self.explains, self.output = methods, explains, output
        self.comparisons = comparisons
        begin_run()
        self.refusals = Refusals()
        self._warned = False  # of methods that are unfit for a network
        self._told = False  # which frame a point is in
        self._ordered = False  # that something else than the similarity ordered the hits
        self._load = load
        self._loaded: tuple[ModelSpec, Cases] | None = None

    def explain(self, group: Sequence[Request]) -> Iterator[tuple[Request, Record | ItemError]]:
        """Each request with one record a method and side, or with why there is none.

        Raises ModelError when the network is not the recorded one.
        """
        self._refuse_maps_of_words(group)
        cases = self._cases(group[0].spec)
        if self.comparisons.target is not None:
            refuse_other_model(self.comparisons.target, cases.embedder.spec)
        else:
            self._ordered = self._ordered or tell_of_order(group)
        against = self.comparisons.find_contrasts(group)
        named = [path for path in against if isinstance(path, str)]
        paths = [path for request in group for path, _ in request.images]
        identities = _identities(group)
        light = self._is_light(cases.embedder)
        lender = self._lender(group[0], identities) if light else None
        found = cases.load([*self.comparisons.list_named_negatives(), *named, *paths], lender)
        targets = [self._target(cases.embedder, request, found) for request in group]
        negatives = [
            self._negatives(request, target, identities)
            for request, target in zip(group, targets, strict=True)
        ]
        more = [path for each in negatives if isinstance(each, list) for path in each]
        found.update(cases.load((path for path in more if path not in found), lender))

        def answer(asked: AskedRequest) -> list[Record | ItemError]:
            return list(self._answer(cases.embedder, asked, found))

        asked = list(zip(group, targets, negatives, against, strict=True))
        for request, records in zip(group, self._in_turn(answer, asked, light), strict=True):
            for record in records:
                yield request, record

    def _in_turn(self, answer: Callable[[T], R], asked: Sequence[T], light: bool) -> Iterable[R]:
        """The answers in order, as they are made.

        Threads are in each other's way in a map of features, which takes less than a millisecond,
        but not in the drawing of it, which takes longer than many.
        """
        if not light:
            return map(answer, asked)
        if self.output.draws:
            return share_out(answer, asked)
        with single_thread():
            return [answer(each) for each in asked]

    def _is_light(self, embedder: Embedder) -> bool:
        """Whether no method needs inputs or forward passes."""
        entries = [(catalogue()[name], vars(method)) for name, method in self.methods.items()]
        return all(
            entry.from_features and not (entry.of_places and needs_image(embedder, settings))
            for entry, settings in entries
        )

    def _answer(
        self, embedder: Embedder, asked: AskedRequest, found: Mapping[str, Case | ItemError]
    ) -> Iterator[Record | ItemError]:
        """One record a method and side, or why there is none."""
        request, target, told_apart, other = asked
        try:
            named = (need_usable(told_apart), need_usable(other))
            pair = self._pair(request, need_usable(target), named, found)
            request.check_identities(pair.query.identity, pair.retrieved.identity)
            check = similarity(pair.query.sample, pair.retrieved.sample)
            check_similarity(request.similarity, check)
            if self.comparisons.center:
                mean = mean_in(request.record, embedder.spec, request.mean)
                pair = replace(pair, mean=mean)
        except ItemError as error:
            yield error.bare
            return
        seen: Record = {"negatives": told_apart} if told_apart else {}
        seen |= {} if other is None else {"contrast": other}
        for record in self._records(embedder, request, pair, check):
            yield {**record, **seen}

    def _cases(self, spec: ModelSpec) -> Cases:
        if self._loaded is None or self._loaded[0] != spec:
            self._loaded = None  # the old network goes before the new one comes
            self._loaded = (spec, self._load(spec))
            if not self._warned:
                self._warned = warn_of_unfit(self.methods, self._loaded[1].embedder)
        return self._loaded[1]

    def _lender(self, request: Request, identities: Mapping[str, str]) -> Lender | None:
        """The index of a request, if it has feature maps and they are all that the methods need.

        It is asked for the images of those paths whose `identities` are known by then.
        """
        if "index" not in request.record:
            return None
        try:
            origin = origin_of(request)
        except ItemError:  # the images are there all the same
            return None
        if not origin.gallery.has_features:
            return None
        return lambda embedder, paths: origin.lend(
            embedder, {path: identities[path] for path in paths if path in identities}
        )

    def _refuse_maps_of_words(self, group: Sequence[Request]) -> None:
        """Raise SettingError where the query's map is asked for and words are the query."""
        if "query" in self.explains and any(request.words for request in group):
            raise SettingError(
                "on", "words have no map, and they ask in these records", "Leave it at retrieved."
            )

    def _target(
        self, embedder: Embedder, request: Request, found: Mapping[str, Case | ItemError]
    ) -> Case | ItemError:
        """What asks: an image, words, or both together."""
        try:
            image = _case(found, request.query) if request.query else None
        except ItemError as error:
            return error.bare
        if request.words is not None:
            return case_of_words(embedder, request.words, image)
        assert image is not None
        return image

    def _negatives(
        self,
        request: Request,
        target: Case | ItemError,
        identities: MutableMapping[str, str],
    ) -> list[str] | ItemError:
        """The paths of its negatives; which images they are joins the `identities`."""
        try:
            chosen = self.comparisons.find_negatives(request, need_usable(target))
        except ItemError as error:
            return error.bare
        identities.update({path: identity for path, identity in chosen if identity is not None})
        return [path for path, _ in chosen]

    def _pair(
        self,
        request: Request,
        target: Case,
        named: tuple[list[str], str | None],
        found: Mapping[str, Case | ItemError],
    ) -> LoadedPair:
        """The images of a request; raises ItemError when one is missing.

        `named` are its negatives and the image it is contrasted with.
        """
        negatives, other = named
        needed = any(catalogue()[name].need_gallery for name in self.methods)
        lent = needed and "index" in request.record
        return LoadedPair(
            target,
            _case(found, request.retrieved),
            tuple(_case(found, path, "negative ") for path in negatives),
            None if other is None else _case(found, other, "contrast "),
            origin_of(request) if lent else None,
            words=request.words,
            concept=self.comparisons.target,
        )

    def _records(
        self, embedder: Embedder, request: Request, pair: LoadedPair, check: float
    ) -> Iterator[Record]:
        common: Record = {
            "schema": "",  # stands first, as in every record
            **request.record,
            **({"query_identity": pair.query.identity} if request.query else {}),
            "retrieved_identity": pair.retrieved.identity,
            "similarity": request.similarity if request.similarity is not None else check,
            "model": _to_json(embedder.spec),
            "similarity_check": check,
        } | {"schema": SaliencyRecord.NAME}
        names = names_of(request.query or "words", request.retrieved)
        # the methods of one side come together, as 'xmir causal-metric' takes them
        for explains in ("retrieved",) if request.is_self else self.explains:
            side = replace(pair, explains=explains)
            self._told = self._told or tell_of_turn(request, side, self.methods.values())
            make = partial(make_map, embedder, side, output=(self.output, names))
            for made in self.refusals.try_all(self.methods, make).values():
                yield {**common, **made}


_to_json = cache(ModelSpec.to_json)


def _identities(group: Sequence[Request]) -> dict[str, str]:
    """Which images the paths of the requests are, where their records say so."""
    known = (named for request in group for named in request.images)
    return {path: identity for path, identity in known if identity is not None}


def _case(found: Mapping[str, Case | ItemError], path: str, kind: str = "") -> Case:
    case = found[path]
    if isinstance(case, ItemError):
        raise case.because(f"{case.detail} ({kind}{path})")
    return case
