"""Insertion and deletion as an evaluation of maps; imports nothing heavy."""

from xmir_cli.scoring.evaluation import MapEvaluation, name_query, whose
from xmir_cli.scoring.names import CONTROLS
from xmir_cli.wire.old_settings import renew_protocol
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.causal import CausalRecord
from xmir_cli.wire.schemas.causal_summary import CausalSummaryRecord


def _query_of(record: Record) -> tuple[str, str | None]:
    """Which query it is, and whose."""
    return name_query(record), whose(record, "query")


CAUSAL = MapEvaluation(
    "causal-metric",
    CausalRecord,
    CausalSummaryRecord,
    "causal",
    ("insertion", "deletion"),
    frozenset({"deletion"}),
    CONTROLS,
    ("blur", "curve_steps", "substrate", "order", "ties", "seed"),
    "queries",
    _query_of,
    # of another network the numbers are compared: that is what a baseline is for
    free=frozenset({"weights_sha256", "fill"}),
    ties="tie_effect",
    curve="deletion_curve",
    of_one=frozenset({"fill"}),
    renew=renew_protocol,
)
