"""The ranking of each query as a record, and queries that have none any more."""

from collections.abc import Sequence

from xmir_cli.console import Skips
from xmir_cli.errors import ItemError
from xmir_cli.metrics.scores import Scores
from xmir_cli.pictures.identity import identity_of
from xmir_cli.scoring.baseline import Baseline
from xmir_cli.scoring.retrieval import QUERIES
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.store.names import restore_name
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.retrieval_query import RetrievalQueryRecord

_COLUMNS = ("path", "id", "sha256", "label", "patient")
_SHARED = (
    "protocol",
    "gallery",
    "map_mode",
    "exclude_same",
    "where",
    "gallery_size",
)  # with the record of all queries


class LostRows(Skips):
    """Skips that know the id of each row left out."""

    def __init__(self) -> None:
        super().__init__()
        self._reasons: dict[str, str] = {}

    def add(self, name: str, error: ItemError, path: str | None = None) -> None:
        """Leave out the row with the id `name`."""
        self._reasons[name] = error.reason
        super().add(name, error, path)

    def lost(self, records: Sequence[Record], earlier: Baseline | None) -> dict[str, str]:
        """The queries that have no numbers any more, by identity, and why; others are missing."""
        found = {
            QUERIES.key_of(each)[0]: "it has nothing relevant to find"
            for each in records
            if not QUERIES.is_check(each)
        }
        if earlier is not None and earlier.comparison is QUERIES:
            for each in earlier.records.values():
                if (reason := self._reasons.get(str(each.get("id")))) is not None:
                    found[QUERIES.key_of(each)[0]] = reason
        return found


def list_queries(queries: Embeddings, scores: Scores, whole: Record) -> list[Record]:
    """A record a query, in their order; `whole` is that of all queries."""
    shared = {name: whole[name] for name in _SHARED}
    rows = queries.items.select([name for name in _COLUMNS if name in queries.items.column_names])
    return [
        {
            "schema": RetrievalQueryRecord.NAME,
            **_told(row),
            **shared,
            **_numbers(scores.names, values),
            "model": whole["model"],
        }
        for row, values in zip(rows.to_pylist(), scores.values.tolist(), strict=True)
    ]


def _told(row: Record) -> Record:
    path, sha256, patient = str(row["path"]), row.get("sha256"), row.get("patient")
    return {
        "query": restore_name(path),
        "id": str(row["id"]),
        "query_identity": identity_of(str(sha256), path) if sha256 else None,
        "query_label": row.get("label"),
        **({"query_patient": str(patient)} if patient else {}),
    }


def _numbers(names: Sequence[str], values: Sequence[float]) -> Record:
    return {
        name: None if value != value else value  # NaN: nothing to be found
        for name, value in zip(names, values, strict=True)
    }
