"""Insertion and deletion as an evaluation of maps; imports nothing heavy."""

import json

from xmir_cli.scoring.evaluation import MapEvaluation, whose
from xmir_cli.scoring.names import CONTROLS
from xmir_cli.wire.old_settings import renew_protocol
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.causal import CausalRecord
from xmir_cli.wire.schemas.causal_summary import CausalSummaryRecord


def _query_of(record: Record) -> tuple[str, str | None]:
    """Which image the query is, wherever it lies, with the words that ask; and whose it is."""
    image = str(record.get("query_identity") or record.get("query") or "")
    words = [record.get(key) for key in ("query_text", "query_templates", "text_weight")]
    asked = image if words[0] is None else json.dumps([image, *words])
    return asked, whose(record, "query")


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
