"""Maps that come again in a file of records: it is of two runs, whose numbers would be mixed."""

import json
from hashlib import sha256
from operator import attrgetter

from xmir_cli.errors import DataError
from xmir_cli.wire.schemas.saliency import SaliencyRecord

_TOLD = attrgetter(
    *("query", "query_text", "query_templates", "text_weight", "query_label", "retrieved"),
    *("region", "like", "unlike", "toward", "toward_sha256", "asked"),
    *("method", "settings", "explains", "negatives", "contrast", "target", "target_sha256"),
)


class Repeats:
    """Knows maps again: of the same images, made in the same way.

    Copies of an image lie in other files, and have maps of their own.
    """

    def __init__(self) -> None:
        self._lines: dict[bytes, int] = {}

    def find(self, number: int, view: SaliencyRecord, *parts: object) -> int:
        """The number under which the map came first, its own if that is now.

        `parts` tell several records of one map apart.
        """
        told = [*_TOLD(view), view.record.get("model"), *parts]
        known = sha256(json.dumps(told, sort_keys=True, default=str).encode()).digest()
        return self._lines.setdefault(known, number)


class OneRun:
    """Sees that each map comes once in a file."""

    def __init__(self, source: str) -> None:
        self._source, self._repeats = source, Repeats()

    def check(self, number: int, view: SaliencyRecord, *parts: object) -> None:
        """Raise DataError for a line whose map another one told before; see `Repeats.find`."""
        first = self._repeats.find(number, view, *parts)
        if first != number:
            raise DataError(
                f"{self._source}: records of two runs: line {number} is of the map of line {first}",
                "Name a file of one run.",
            )
