"""How the items' columns are kept on a server: as texts, whole numbers, numbers, or yes and no.

What a server has no kind for, such as dates, is kept as the text that Arrow's own cast writes. All
of it comes back as it was, in the type it had.
"""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, cast, get_args

import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.errors import DataError
from xmir_cli.store.cells import is_flat, is_text, name_kind, plain_text

ValueKind = Literal["text", "whole", "number", "boolean"]
Native = str | int | float | bool
ROW = "row"  # what the number of an item is called on a server
EMBEDDING = "embedding"
_SYSTEM = {"ctid", "cmax", "cmin", "tableoid", "xmax", "xmin"}  # that PostgreSQL adds itself
_PLAIN = re.compile("[A-Za-z][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True)
class KeptColumn:
    """A column of the items, and how it is kept."""

    name: str
    stored: str  # its name on the server
    type: pa.DataType
    kind: ValueKind

    def encode(self, values: pa.ChunkedArray | pa.Array) -> list[Native | None]:
        """Values as the server keeps them; raises DataError where they would not come back."""
        if self.kind != "text" or is_text(self.type):
            found: list[Native | None] = values.to_pylist()
            return found
        with suppress(pa.ArrowException):
            texts = pc.cast(_decoded(values), pa.string())
            if _is_same(_read_texts(texts, self.type), _decoded(values)):
                kept: list[Native | None] = texts.to_pylist()
                return kept
        raise _no_kind(self.name, self.type)

    def decode(self, values: Sequence[Native | None]) -> pa.Array:
        """What `encode` was given; raises ValueError or ArrowException for what it never made."""
        if self.kind == "text" and not is_text(self.type):
            return _read_texts(pa.array(values, pa.string()), self.type)
        if self.kind == "number":
            return pc.cast(pa.array(values, pa.float64()), self.type, safe=False)
        return pa.array(values, self.type)

    def having(self, text: str) -> Native | None:
        """The value that is compared as this text, as the server keeps it; None: there is none."""
        if self.kind == "text":
            return text
        try:
            value = pc.cast(pa.scalar(text), self.type)
        except pa.ArrowException:
            return None
        if plain_text(pc.cast(value, pa.string()).as_py()) != text:
            return None
        return cast("Native", value.as_py())


def plan_columns(schema: pa.Schema, kinds: Collection[ValueKind]) -> list[KeptColumn]:
    """How the columns of items are kept by a server that has these kinds of values.

    Raises DataError for a column that holds lists and the like.
    """
    columns, taken = [], {ROW, EMBEDDING, *_SYSTEM}
    for place, field in enumerate(schema):
        if not is_flat(field.type):
            raise _no_kind(field.name, field.type)
        kind = _kind_of(field.type)
        plain = _PLAIN.fullmatch(field.name) is not None and field.name.lower() not in taken
        stored = field.name if plain else f"column_{place}"
        while stored.lower() in taken:
            stored += "_"
        taken.add(stored.lower())
        kind = kind if kind in kinds else "text"
        columns.append(KeptColumn(field.name, stored, _value_type(field.type), kind))
    return columns


def parse_kind(text: object) -> ValueKind:
    """A kind as it was written down; raises ValueError for none."""
    if text not in get_args(ValueKind):
        raise ValueError
    return cast("ValueKind", text)


def _no_kind(name: str, kind: pa.DataType) -> DataError:
    return DataError(
        f"column {name} holds {name_kind(kind)}, which a gallery on a server does not keep",
        "Index into a folder, or leave the column out.",
    )


def _kind_of(kind: pa.DataType) -> ValueKind:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_floating(kind):
        return "number"
    return "whole" if pa.types.is_integer(kind) and kind != pa.uint64() else "text"


def _value_type(kind: pa.DataType) -> pa.DataType:
    return _value_type(kind.value_type) if pa.types.is_dictionary(kind) else kind


def _decoded(values: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    kind = _value_type(values.type)
    return values if kind == values.type else pc.cast(values, kind)


def _read_texts(texts: pa.ChunkedArray | pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts as Arrow's cast to text wrote them, in the type they had."""
    wide = pa.float32() if kind == pa.float16() else kind
    return pc.cast(pc.cast(texts, wide), kind)


def _is_same(one: pa.ChunkedArray | pa.Array, other: pa.ChunkedArray | pa.Array) -> bool:
    """Whether all values are equal, NaN among them."""
    first, second = one.to_pylist(), other.to_pylist()
    pairs = zip(first, second, strict=True)
    return all(a == b or (a != a and b != b) for a, b in pairs)  # NaN
