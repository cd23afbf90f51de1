"""Images beside the pair: negatives, and the other image of a contrast."""

from collections.abc import Sequence
from dataclasses import dataclass

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.explain.cases import Case
from xmir_cli.explain.galleries import origin_of
from xmir_cli.explain.requests import Request
from xmir_cli.labels import parse_labels, share_label
from xmir_cli.store.concepts import StoredConcept

NEXT, LABEL = "next", "label"
AUTO = "auto"


@dataclass(frozen=True)
class Comparisons:
    """Which images a pair is told apart from."""

    negatives: tuple[str, ...] = ()  # paths, or auto
    contrast: str | None = None  # next, label or a path
    center: bool = False  # whether the mean of its index is taken off both images
    target: StoredConcept | None = None  # a concept that maps are of in the query's place

    def list_named_negatives(self) -> list[str]:
        """The negatives that are the same for all."""
        return [name for name in self.negatives if name != AUTO]

    def find_negatives(self, request: Request, query: Case) -> list[tuple[str, str | None]]:
        """The paths of a request's negatives: in place of each auto the next best of its index.

        With them come the identities of those from the index. Raises ItemError where it has none.
        """
        count = self.negatives.count(AUTO)
        best = iter(origin_of(request).negatives(request, query, count) if count else ())
        return [next(best) if name == AUTO else (name, None) for name in self.negatives]

    def find_contrasts(self, group: Sequence[Request]) -> list[str | ItemError | None]:
        """For each result of a query, best first, the path of the image it is contrasted with.

        next: the result that comes after it; label: the best result of another label, which shares
        none. None without a contrast; where there is nothing to contrast with, why.
        """
        if self.contrast == NEXT:
            return [_next(group[place:]) for place in range(len(group))]
        if self.contrast == LABEL:
            return [_of_another_label(request, group) for request in group]
        return [self.contrast for _ in group]


def _next(rest: Sequence[Request]) -> str | ItemError:
    for other in rest[1:]:
        if _can_contrast(rest[0], other):
            return other.retrieved
    return ItemError(Cause.NO_CONTRAST, "no result of this query comes after it")


def _of_another_label(request: Request, group: Sequence[Request]) -> str | ItemError:
    own = request.record.get("retrieved_label")
    if not isinstance(own, str) or not parse_labels(own):
        return ItemError(Cause.NO_CONTRAST, "retrieved_label: expected a string, found nothing")
    for other in group:
        shared = share_label(own, other.record.get("retrieved_label"))
        if shared is False and _can_contrast(request, other):
            return other.retrieved
    return ItemError(Cause.NO_CONTRAST, f"all results of this query are {own}")


def _can_contrast(request: Request, other: Request) -> bool:
    """Whether another result of the query is another image, and not the query itself."""
    return other.asked == request.asked and not other.is_self and _image(other) != _image(request)


def _image(request: Request) -> str:
    return request.retrieved_identity or request.retrieved
