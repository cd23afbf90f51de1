"""Which place of masks or boxes is meant by what was typed."""

import os
from collections.abc import Sequence
from pathlib import Path

from xmir_cli.errors import DataError, SettingError
from xmir_cli.store.manifest import parse_names
from xmir_cli.truth.columns import MaskColumns
from xmir_cli.truth.folder import MaskFolder
from xmir_cli.truth.marks import Truth
from xmir_cli.truth.rows import is_table, read_rows
from xmir_cli.truth.tables import BoxTable, MaskTable, has_box


def open_truth(
    masks: str | None, boxes: Path | None, columns: Sequence[str] | None
) -> Truth | None:
    """The place of `masks` or `boxes`; None where neither is given.

    `columns` say what a table calls its columns. Raises SettingError for what can be no such place,
    DataError for a table that is none.
    """
    names = parse_names(columns)
    if boxes is not None:
        if not is_table(str(boxes)):
            expected = "expected a .csv, .tsv, .parquet, .json or .jsonl file"
            raise SettingError("boxes", expected, value=str(boxes))
        return BoxTable(boxes, names)
    if masks is None:
        return None
    if is_table(masks):
        return MaskTable(Path(masks), names)
    if names:
        raise SettingError("columns", "only with a table of masks or boxes")
    if Path(masks).is_dir():
        return MaskFolder(Path(masks))
    if os.sep in masks:
        raise DataError(f"{masks}: no such folder")
    return MaskColumns(tuple(dict.fromkeys(each for each in masks.split(",") if each)))


def open_marks(text: str) -> Truth:
    """The place of masks or of boxes, whichever is meant.

    Raises SettingError and DataError as `open_truth`.
    """
    rows = read_rows(Path(text), {}) if is_table(text) else []
    if not rows or "mask" in rows[0]:
        found = open_truth(text, None, None)
        assert found is not None
        return found
    if not has_box(rows[0]):
        expected = "expected a column 'mask', or x, y, w, h"
        raise DataError(f"{text}: {expected}; there are {', '.join(rows[0])}")
    return BoxTable(Path(text), {})
