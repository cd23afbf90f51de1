"""Records of the wire, one JSON object a line, and how their values are read."""

from collections.abc import Mapping

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

Record = dict[str, object]

LARGEST = 1e6  # pixels of a side


def match_boxes(record: Mapping[str, object], image: str) -> list[list[float]]:
    """The regions of a record's matches in its `query` or `retrieved` image, strongest first."""
    details = record.get("details")
    matches = details.get("matches", []) if isinstance(details, dict) else []
    if not isinstance(matches, list) or not all(isinstance(match, dict) for match in matches):
        raise ItemError(
            Cause.BAD_RECORD, f"matches: expected a list of regions, found {_kind(matches)}"
        )
    return [_box(match, image) for match in matches]


def _box(record: Mapping[str, object], key: str) -> list[float]:
    """The box [left, top, width, height] under `key`, in pixels; raises ItemError without one."""
    value = record.get(key)
    whole = isinstance(value, list) and len(value) == 4 and all(map(_is_pixels, value))
    if isinstance(value, list) and whole and min(value[2:]) >= 0:
        return [float(side) for side in value]
    raise ItemError(
        Cause.BAD_RECORD, f"{key}: expected a box of four numbers, found {_kind(value)}"
    )


def _is_pixels(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < LARGEST


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
