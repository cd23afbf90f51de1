"""Rankings as checks: by what two runs are compared; imports nothing heavy."""

import re

from xmir_cli.metrics.retrieval_rows import flat
from xmir_cli.scoring.tested import CheckRules
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.retrieval_metric import RetrievalMetricRecord
from xmir_cli.wire.schemas.retrieval_query import RetrievalQueryRecord

# the means of a whole set; an end of an interval is none
_NUMBER = re.compile(r"(macro\.)?(map|mrr|r_precision|map_at_r|ndcg|(p|recall|ndcg)_at_[0-9]+)")
_HOW = ("protocol", "map_mode", "exclude_same")


def _goodness(record: Record) -> dict[str, float]:
    """The numbers over all queries and over labels, or those of one query: more is better."""
    return {name: value for name, value in flat(record).items() if _NUMBER.fullmatch(name)}


def _has_numbers(record: Record) -> bool:
    return record.get("map") is not None


MEANS = CheckRules(
    command="retrieval-metric",
    schema=RetrievalMetricRecord,
    keys=_HOW,
    settings=_HOW,
    goodness=_goodness,
    what="runs",
    numbers=flat,
)
QUERIES = CheckRules(
    command="retrieval-metric",
    schema=RetrievalQueryRecord,
    keys=_HOW,
    settings=_HOW,
    goodness=_goodness,
    subject="query_identity",
    name="query",
    what="queries",
    is_check=_has_numbers,
)
