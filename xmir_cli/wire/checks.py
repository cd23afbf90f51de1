"""What a record says against what is found again."""

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.difference import DifferenceRecord

TOLERANCE = 1e-3  # of a similarity computed again


def check_identity(recorded: str | None, found: str, name: str) -> None:
    """Raise ItemError when the image `name` is no longer the one that its record is about."""
    if recorded is not None and recorded != found:
        raise ItemError(Cause.CHANGED, f"another image than when the record was made ({name})")


def check_similarity(recorded: float | None, found: float) -> None:
    """Raise ItemError when two images are no longer as similar as their record says."""
    if recorded is not None and abs(found - recorded) > TOLERANCE:
        raise ItemError(
            Cause.CHANGED,
            f"similarity: expected {recorded:.4f} as recorded, found {found:.4f}; another "
            "file, preprocessing or precision than when it was made",
        )


def need_map(record: Record) -> None:
    """Raise ItemError for a record without a saliency map of an image."""
    if record.get("schema") == DifferenceRecord.NAME:
        raise ItemError(Cause.NO_MAP, "a difference of classes is a map of no image")
    if record.get("saliency") is None:
        raise ItemError(
            Cause.NO_MAP, "the record names no saliency map; 'xmir saliency' makes them"
        )
