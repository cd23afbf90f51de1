"""Truth that experts marked as an evaluation of maps, and its records; imports nothing heavy."""

from xmir_cli.scoring.evaluation import MapEvaluation, whose
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.localization import LocalizationRecord
from xmir_cli.wire.schemas.localization_summary import LocalizationSummaryRecord

MEASURES = ("hit", "energy", "rank_accuracy", "auroc", "auprc", "iou")


def _image_of(record: Record) -> tuple[str, str | None]:
    """Which image is explained, wherever it lies, and whose it is."""
    explained = "query" if record.get("explains") == "query" else "retrieved"
    image = record.get(f"{explained}_identity") or record.get(explained)
    return str(image or ""), whose(record, explained)


LOCALIZATION = MapEvaluation(
    "localization-metric",
    LocalizationRecord,
    LocalizationSummaryRecord,
    "localization",
    MEASURES,
    frozenset(),
    ("random", "center", "edges", "uniform"),
    ("masks", "boxes", "hit_tolerance", "threshold", "by"),
    "images",
    _image_of,
    free=frozenset({"seed"}),
    by_chance=frozenset(MEASURES) - {"iou"},
    mask="mask_sha256",
    part="mask_name",
)
