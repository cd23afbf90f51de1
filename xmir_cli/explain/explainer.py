"""Groups of requests to records: images loaded, similarities checked, maps made."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from xmir_cli.errors import ItemError
from xmir_cli.explain.cases import Case, Cases
from xmir_cli.explain.maps import Output, Pair, make_map, names_of
from xmir_cli.explain.requests import Request
from xmir_cli.model.embedder import Embedder
from xmir_cli.records import SALIENCY, ModelSpec, Record
from xmir_cli.saliency.sample import Method, similarity

TOLERANCE = 1e-3  # of a similarity computed again


class Explainer:
    """Makes the maps of all methods for all sides asked for; keeps the network used last."""

    def __init__(
        self,
        load: Callable[[ModelSpec], Cases],
        methods: Mapping[str, Method],
        explains: Sequence[str],
        output: Output,
        negatives: Sequence[str] = (),
    ) -> None:
        self.methods, self.explains, self.output = methods, explains, output
        self.negatives = negatives  # paths
        self._load = load
        self._loaded: tuple[ModelSpec, Cases] | None = None

    def explain(self, group: Sequence[Request]) -> Iterator[tuple[Request, Record | ItemError]]:
        """Each request with one record a method and side, or with why there is none.

        Raises ModelError when the network is not the recorded one.
        """
        cases = self._cases(group[0].spec)
        paths = [path for request in group for path in (request.query, request.retrieved)]
        found = cases.load([*self.negatives, *paths])
        for request in group:
            pair = self._pair(request, found)
            if isinstance(pair, ItemError):
                yield request, pair
                continue
            for record in self._records(cases.embedder, request, pair):
                yield request, record

    def _cases(self, spec: ModelSpec) -> Cases:
        if self._loaded is None or self._loaded[0] != spec:
            self._loaded = None  # the old network goes before the new one comes
            self._loaded = (spec, self._load(spec))
        return self._loaded[1]

    def _pair(self, request: Request, found: Mapping[str, Case | ItemError]) -> Pair | ItemError:
        query, retrieved = found[request.query], found[request.retrieved]
        for path, case in ((request.query, query), (request.retrieved, retrieved)):
            if isinstance(case, ItemError):
                return ItemError(f"{case.reason} ({path})")
        negatives = []
        for path in self.negatives:
            case = found[path]
            if isinstance(case, ItemError):
                return ItemError(f"{case.reason} (--negative {path})")
            negatives.append(case)
        assert isinstance(query, Case)
        assert isinstance(retrieved, Case)
        pair = Pair(query, retrieved, tuple(negatives), "retrieved")
        return _check(request, pair) or pair

    def _records(self, embedder: Embedder, request: Request, pair: Pair) -> Iterator[Record]:
        check = similarity(pair.query.sample, pair.retrieved.sample)
        common: Record = {
            "schema": "",  # stands first, as in every record
            **request.record,
            "similarity": request.similarity if request.similarity is not None else check,
            "model": embedder.spec.to_json(),
            "similarity_check": check,
        } | {"schema": SALIENCY}
        names = names_of(request.query, request.retrieved)
        for name, method in self.methods.items():
            for explains in ("retrieved",) if request.is_self else self.explains:
                side = Pair(pair.query, pair.retrieved, pair.negatives, explains)
                yield {**common, **make_map(embedder, side, name, method, (self.output, names))}


def _check(request: Request, pair: Pair) -> ItemError | None:
    """Why the record cannot be trusted: the images are no longer as similar as it says."""
    if request.similarity is None:
        return None
    found = similarity(pair.query.sample, pair.retrieved.sample)
    if abs(found - request.similarity) <= TOLERANCE:
        return None
    return ItemError(
        f"bad-record: similarity: expected {request.similarity:.4f} as recorded, "
        f"found {found:.4f}; another file, preprocessing or precision than when it was made"
    )
