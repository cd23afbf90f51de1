"""Embeddings tables as other programs write them: the same values in other types."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli import console
from xmir_cli.errors import DataError
from xmir_cli.store.cells import (
    clean_texts,
    is_flat,
    is_text,
    name_kind,
    read_cells,
    to_plain,
    to_text,
)

_OPTIONAL = ("label", "patient", "split")  # columns in which nothing need be known


def find_columns(where: str, schema: pa.Schema, contract: Mapping[str, pa.DataType]) -> None:
    """Raise DataError for a column of the contract that is missing, or of a type that will not do.

    A text may be of any of Arrow's layouts, a whole number of any width; a label, patient or split
    may be a number.
    """
    for name, kind in contract.items():
        if name not in schema.names:
            if name in _OPTIONAL:
                continue
            raise DataError(f"{where}: column {name}: expected {kind}, found nothing")
        found = _plain_type(schema.field(name).type)
        fits = is_text(found) if is_text(kind) else pa.types.is_integer(found)
        if not (fits or (name in _OPTIONAL and is_flat(found))):
            raise DataError(f"{where}: column {name}: expected {kind}, found {found}")


def note_dropped(where: str, schema: pa.Schema, contract: Mapping[str, pa.DataType]) -> None:
    """Say which columns `to_contract` leaves out."""
    dropped = [field for field in schema if not _is_kept(field, contract)]
    if dropped:
        named = ", ".join(f"{field.name} ({name_kind(field.type)})" for field in dropped)
        console.note(f"{where}: left out {named}: only texts, numbers and dates are kept")


def to_contract(items: pa.Table, contract: Mapping[str, pa.DataType]) -> pa.Table:
    """Items with the columns of the contract in their types, then all others that are flat.

    Texts have no white space around them, and are nothing where they say so, as in a manifest; but
    ids, paths and hashes are as they are.
    """
    columns = {
        name: _cast(items[name], kind) if name in items.column_names else pa.nulls(len(items), kind)
        for name, kind in contract.items()
    }
    for field in items.schema:
        if field.name not in contract and _is_kept(field, contract):
            columns[field.name] = to_plain(items[field.name])
    for name in columns.keys() - (contract.keys() - {*_OPTIONAL}):
        columns[name] = clean_texts(columns[name])
    return pa.table(columns)


def join_schemas(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of tables below each other; one whose types do not go together becomes text."""
    kinds: dict[str, set[pa.DataType]] = {}
    for field in itertools.chain.from_iterable(schemas):
        kinds.setdefault(field.name, set()).add(field.type)
    texts = {name for name, types in kinds.items() if not _go_together(types - {pa.null()})}
    tables = [_as_text(schema.empty_table(), texts) for schema in schemas]
    joined: pa.Schema = pa.concat_tables(tables, promote_options="permissive").schema
    return joined


def fit_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """One of the tables with the columns that `join_schemas` found for all."""
    texts = {field.name for field in schema if is_text(field.type)}
    table = _as_text(table, texts)
    return pa.concat_tables([schema.empty_table(), table], promote_options="permissive")


def is_vectors(kind: pa.DataType) -> bool:
    """Whether a column of this type holds vectors of numbers, of one length or any."""
    lists = (pa.types.is_fixed_size_list, pa.types.is_list, pa.types.is_large_list)
    return any(check(kind) for check in lists) and bool(pa.types.is_floating(kind.value_type))


def read_vectors(where: str, values: pa.Array, dim: int, start: int = 0) -> np.ndarray:
    """The vectors [n, D] of rows from `start` on; DataError for missing ones and other lengths."""
    flat = values.flatten()  # unlike .values it minds slices
    if values.null_count or flat.null_count:
        raise DataError(f"{where}: column embedding: missing vectors")
    if not pa.types.is_fixed_size_list(values.type):
        lengths = pc.list_value_length(values).to_numpy()
        if (lengths != dim).any():
            row = int(np.argmax(lengths != dim))
            found = f"expected {dim} numbers, found {lengths[row]}"
            raise DataError(f"{where}: row {start + row}: {found}")
    if len(flat) != len(values) * dim:
        raise DataError(f"{where}: column embedding: missing vectors")
    return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(-1, dim)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if is_text(kind) and not is_text(_plain_type(column.type)):
        return pa.chunked_array([[to_text(value) for value in read_cells(column)]], kind)
    return pc.cast(to_plain(column), kind)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_kept(field: pa.Field, contract: Mapping[str, pa.DataType]) -> bool:
    return field.name in contract or is_flat(field.type)


def _go_together(kinds: set[pa.DataType]) -> bool:
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds)
    return len(kinds) < 2 or numbers


def _as_text(table: pa.Table, names: set[str]) -> pa.Table:
    for name in names & set(table.column_names):
        place = table.column_names.index(name)
        table = table.set_column(place, name, pc.cast(table[name], pa.string()))
    return table
