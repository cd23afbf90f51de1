"""The counts of an audit as checks: by what two runs are compared; imports nothing heavy."""

from xmir_cli.audit.names import NUMBERS
from xmir_cli.scoring.tested import CheckRules, own_numbers
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.audit_summary import AuditSummaryRecord

_SETTINGS = ("exclude_same", "split", "neighbors", "probability", "fence")
_HOW = ("exclude_same", "split", "neighbors", "probability", "fence_ranges")
_COUNTS = {name for names in NUMBERS.values() for name in names} - {"calibration_error", "skewness"}


def _goodness(record: Record) -> dict[str, float]:
    """The counts as their opposites: none may grow."""
    return {name: -each for name, each in own_numbers(record).items() if name in _COUNTS}


RULES = CheckRules(
    command="audit",
    schema=AuditSummaryRecord,
    keys=_HOW,
    settings=_SETTINGS,
    goodness=_goodness,
    what="runs",
)
