"""Earlier records of maps, by what they are about: paths are not in it, for files move."""

import json
from collections import Counter
from collections.abc import Hashable, Mapping

from xmir_cli.errors import DataError, ItemError
from xmir_cli.scoring.baseline import AGAIN, Baseline, refuse_line
from xmir_cli.scoring.evaluation import MapEvaluation, tell_settings
from xmir_cli.scoring.repeated import OneRun
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas.saliency import SaliencyRecord

# identities of query, with its words, and retrieved image, method, explains, which of its parts,
# the method's settings, which of equal ones
MapKey = tuple[str, str, str, str, str, str, int]


def read_baseline(source: str | None, evaluation: MapEvaluation) -> Baseline | None:
    """The earlier records in the file `source`; DataError where it holds others, or two runs."""
    if source is None:
        return None
    records: dict[Hashable, Record] = {}
    keys, run = Keys(), OneRun(source)
    with open_lines(source) as stream:
        for number, line in read_records(stream):
            where = f"{source}: line {number}"
            if isinstance(line, ItemError) or line.get("schema") != evaluation.schema.NAME:
                own = {evaluation.summary.NAME}
                refuse_line(where, line, own, evaluation.command, evaluation.advice)
            view = _read_view(line, evaluation, where)
            if not isinstance(line.get(evaluation.key), Mapping):
                raise DataError(f"{where}: {evaluation.key}: how it was scored is not there", AGAIN)
            part = str(line.get(evaluation.part) or "")
            run.check(number, view, part, evaluation.find_mask(line))
            records[keys.of(view, _identities(view, where), part)] = line
    return Baseline(records, source, evaluation)


class Keys:
    """Knows records by what they are about; equal ones are numbered in their order."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, str, str, str, str, str]] = Counter()

    def of(self, view: SaliencyRecord, identities: tuple[str, str], part: str) -> MapKey:
        """The key of the next record; paths are not in it, for files move.

        A concept is known by the name of its file, for that of another model is fitted again.
        `identities` are those of the query and of the retrieved image; `part` tells several records
        of one map apart.
        """
        query, retrieved = identities
        asked = query if view.words is None else f"{query} {view.words.said}"
        asked = f"{view.concept} {asked}" if view.concept else asked
        known = (asked, retrieved, view.method, view.explains, part, name_settings(view))
        self._seen[known] += 1
        return *known, self._seen[known]


def name_settings(view: SaliencyRecord) -> str:
    """In JSON, with the concept, without what is each index's and network's own: its hashes."""
    asked = tell_settings(view.method, view.settings)
    asked |= {"concept": view.concept} if view.concept else {}
    return json.dumps(asked, sort_keys=True)


def bare_key(key: MapKey) -> MapKey:
    """The key without the method's settings: where there is one map of it, these may change."""
    query, retrieved, method, explains, part, _, count = key
    return query, retrieved, method, explains, part, "", count


def _read_view(record: Record, evaluation: MapEvaluation, where: str) -> SaliencyRecord:
    try:
        view = read_view(evaluation.schema, record)
        _ = view.words  # raises, too
    except ItemError as error:
        raise DataError(f"{where}: {error.reason}") from None
    return view


def _identities(view: SaliencyRecord, where: str) -> tuple[str, str]:
    query = view.query_identity if view.query else ""  # none where words ask alone
    if query is None or view.retrieved_identity is None:
        raise DataError(
            f"{where}: query_identity, retrieved_identity: expected the hashes of the images, "
            "found nothing",
            AGAIN,
        )
    return query, view.retrieved_identity
