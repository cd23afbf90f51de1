"""Rankings as checks: by what two runs are compared; imports nothing heavy."""

import re

from xmir_cli.scoring.check_rules import CheckRules
from xmir_cli.scoring.numbers import name_numbers
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.retrieval_metric import RetrievalMetricRecord
from xmir_cli.wire.schemas.retrieval_query import RetrievalQueryRecord

# the means of a whole set; an end of an interval is none
_NUMBER = re.compile(r"(macro\.)?(map|mrr|r_precision|map_at_r|ndcg|(p|recall|ndcg)_at_[0-9]+)")
_HOW = ("protocol", "map_mode", "exclude_same", "where")
_SAMPLE = ("sample.queries", "sample.seed")
_SETTINGS = ("protocol", "gallery", "map_mode", "exclude_same", "where")
_ADVICE = "Make the baseline with `per_query`, which compares each query, or without."


def _goodness(record: Record) -> dict[str, float]:
    """The numbers over all queries and over labels, or those of one query: more is better."""
    return {
        name: value
        for name, value in name_numbers(record).items()
        if value is not None and _NUMBER.fullmatch(name)
    }


def _has_numbers(record: Record) -> bool:
    return record.get("map") is not None


MEANS = CheckRules(
    command="retrieval-metric",
    schema=RetrievalMetricRecord,
    keys=(*_HOW, *_SAMPLE),
    settings=(*_SETTINGS, "sample", "seed"),
    goodness=_goodness,
    advice=_ADVICE,
    given=("gallery",),
    counted=("queries", "gallery_size"),
    what="runs",
    deep=True,
)
QUERIES = CheckRules(
    command="retrieval-metric",
    schema=RetrievalQueryRecord,
    keys=_HOW,
    settings=_SETTINGS,
    goodness=_goodness,
    advice=_ADVICE,
    given=("gallery",),
    counted=("gallery_size",),
    subject="query_identity",
    name="query",
    what="queries",
    is_check=_has_numbers,
)
