"""What stands in the cells of a table: texts, numbers, dates; nothing is None."""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.store.names import escape_name

Cell = str | int | float | date | Decimal  # a bool is an int, a datetime is a date

KEYS = ("id", "path", "label", "patient", "split")  # columns that always hold texts
NOTHING = {"", "nan", "NaN", "NAN", "-nan", "<NA>", "NaT"}  # as NumPy and pandas write nothing
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")
_BROKEN = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_LARGEST = 2**63 - 1
_EXACT = 2**53  # up to here every whole number is a float


def to_text(value: object) -> str | None:
    """A value as a label, a patient, a split or an id: no white space around it, 1.0 is 1.

    A list becomes a set of labels, `A|B`.
    """
    if isinstance(value, list | tuple):
        return "|".join(filter(None, map(to_text, value))) or None
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            return None
        value = int(value) if value == int(value) else value
    return None if value is None else clean(plain_text(value))


def clean(text: str) -> str | None:
    """A text without white space around it; None where it says that nothing is known."""
    text = text.strip()
    return None if text in NOTHING else text


def clean_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column with its texts as `clean` makes them; one of another type as it is."""
    if column.type != pa.string():
        return column
    texts = pc.utf8_trim_whitespace(column)
    known = pc.invert(pc.is_in(texts, value_set=pa.array(sorted(NOTHING))))
    return texts if pc.all(known).as_py() else keep_where(known, texts)


def plain_text(value: object) -> str:
    """A value as Arrow's own cast writes it, by which texts are compared."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return str(pa.scalar(value).cast(pa.string()).as_py())


def guess_numbers(texts: Sequence[str | None]) -> Sequence[Cell | None]:
    """Texts as numbers where all of them are, and none would lose how it is written.

    A column with `007`, `+1` or `1e5` stays text, for that may be an id; so does one in which two
    texts are one number, as 1.1 and 1.10.
    """
    distinct = {text for text in texts if text is not None}
    if not distinct or not all(
        _WHOLE.fullmatch(text) or _BROKEN.fullmatch(text) for text in distinct
    ):
        return texts
    whole = all(_WHOLE.fullmatch(text) for text in distinct)
    numbers = {text: int(text) if whole else float(text) for text in distinct}
    limit = _LARGEST if whole else _EXACT - 1
    if len(set(numbers.values())) < len(distinct) or max(map(abs, numbers.values())) > limit:
        return texts
    return [None if text is None else numbers[text] for text in texts]


def to_column(values: Sequence[Cell | None], kind: pa.DataType | None = None) -> pa.Array:
    """Cells as a column of one type, that of `column_type` unless it is given.

    Texts are escaped as `escape_name` says.
    """
    kind = column_type(values) if kind is None else kind
    if kind != pa.string():
        return pa.array(values, kind)
    texts = [None if value is None else escape_name(_any_text(value)) for value in values]
    return pa.array(texts, kind)


def column_type(values: Sequence[Cell | None]) -> pa.DataType:
    """The type of a column of cells: numbers stay numbers; what does not go together is text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float} and all(_is_exact(value) for value in values):
        return pa.float64()
    if len(kinds) == 1 and str not in kinds:
        for wanted in (None, pa.uint64()) if kinds == {int} else (None,):
            with suppress(pa.ArrowException, OverflowError):  # numbers beyond 64 bits
                return pa.array(values, wanted).type
    return pa.string()


def to_json(value: object) -> object:
    """A cell as JSON has it: dates become texts, decimals numbers, NaN nothing."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, str | int) else None


def read_cells(column: pa.Array | pa.ChunkedArray) -> list[Cell | None]:
    """The values of a column of one of Arrow's types that `is_flat` knows; NaN is nothing.

    Numbers of float32 are those of the fewest digits: 0.1, not 0.10000000149.
    """
    column = to_plain(column)
    if column.type in {pa.float16(), pa.float32()}:
        texts = pc.cast(pc.cast(column, pa.float32()), pa.string()).to_pylist()
        return [None if text is None else float(text) for text in texts]
    return [value if value != "" else None for value in column.to_pylist()]


def to_plain(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """A flat column in a type that Python has values for; NaN is nothing."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return to_plain(pc.cast(column, kind.value_type))
    if is_text(kind) or pa.types.is_null(kind) or _is_clock(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_timestamp(kind):
        return pc.cast(column, pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    return column


def keep_where(mask: pa.ChunkedArray, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of texts with nothing where a mask is false or nothing.

    `if_else` of texts and nothing gives broken texts for rows of the middle (seen with pyarrow 16
    and 20).
    """
    rows = pa.array(np.arange(len(column)))
    return column.take(pc.if_else(mask, rows, pa.scalar(None, rows.type)))


def is_flat(kind: pa.DataType) -> bool:
    """Whether a column of this type holds texts, numbers, dates or nothing."""
    if pa.types.is_dictionary(kind):
        return is_flat(kind.value_type)
    checks = (
        *(is_text, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating),
        *(pa.types.is_decimal, pa.types.is_date, pa.types.is_timestamp, _is_clock),
        pa.types.is_null,
    )
    return any(check(kind) for check in checks)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds texts, in whichever of Arrow's layouts."""
    return str(kind) in {"string", "large_string", "string_view"}


def name_kind(kind: pa.DataType) -> str:
    """What a column that is not flat holds, in a word."""
    if pa.types.is_nested(kind):
        return "structs" if pa.types.is_struct(kind) else "lists"
    return "bytes" if "binary" in str(kind) else str(kind)


def _is_clock(kind: pa.DataType) -> bool:
    return bool(pa.types.is_time(kind) or pa.types.is_duration(kind))


def _is_exact(value: object) -> bool:
    return not isinstance(value, int) or abs(value) <= _EXACT


def _any_text(value: Cell) -> str:
    return value.isoformat() if isinstance(value, datetime) else plain_text(value)
