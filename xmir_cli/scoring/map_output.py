"""What a command that scores maps prints: its records, their means, or those of each query."""

from collections.abc import Iterator

from xmir_cli.errors import ItemError
from xmir_cli.scoring.evaluation import MapEvaluation, whose
from xmir_cli.scoring.tally import Tally
from xmir_cli.wire.records import Record

_TOLD = ("query", "query_text", "query_identity", "query_label")
_WORDS = ("query_text", "query_templates", "text_weight")


class MapOutput:
    """Takes the outcomes as they come, and has the means at the end."""

    def __init__(self, whole: Tally, summary: bool, per_query: bool) -> None:
        self._whole, self._summary, self._per_query = whole, summary, per_query
        self._queries: dict[tuple[str, ...], tuple[Record, Tally]] = {}

    def take(self, record: Record | ItemError) -> Iterator[Record]:
        """What is printed of a record now."""
        if isinstance(record, ItemError):
            return
        if self._per_query:
            self._tally(self._whole.evaluation, record).add(record)
        elif not self._summary:
            yield record

    def rest(self) -> Iterator[Record]:
        """What is printed at the end: of each query a record a method, as those of a summary."""
        if self._summary:
            yield from self._whole.rows()
        for told, tally in self._queries.values():
            for row in tally.rows():
                yield {"schema": row["schema"], **told, **row}

    def _tally(self, evaluation: MapEvaluation, record: Record) -> Tally:
        told = {name: record[name] for name in _TOLD if record.get(name) is not None}
        patient = whose(record, "query")
        told |= {"query_patient": patient} if patient else {}
        image = str(record.get("query_identity") or record.get("query") or "")
        key = image, *(str(record.get(name)) for name in _WORDS)
        if key not in self._queries:
            self._queries[key] = told, Tally(evaluation, self._whole.seed)
        return self._queries[key][1]
