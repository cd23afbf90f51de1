"""A stream of records, sorted by the schemas that they carry."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from xmir_cli.causes import Cause
from xmir_cli.console import Skips
from xmir_cli.errors import ItemError
from xmir_cli.pages.entries import PageEntry, entry_of
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import Schema, read_view
from xmir_cli.wire.schemas import all_schemas
from xmir_cli.wire.schemas.retrieval import RetrievalRecord
from xmir_cli.wire.schemas.saliency import SaliencyRecord


@dataclass
class Stream:
    """The usable records by their numbers on the page, from 1."""

    records: dict[int, tuple[type[Schema], Record]] = field(default_factory=dict)
    entries: dict[int, PageEntry] = field(default_factory=dict)  # of those about pairs of images

    def read(self, lines: Iterable[tuple[int, Record | ItemError]], skips: Skips) -> None:
        """Take the records that can be shown; the other lines go to `skips`."""
        for number, line in lines:
            try:
                if isinstance(line, ItemError):
                    raise line
                self._take(line)
            except ItemError as error:
                skips.add(f"line {number}", error)

    def of(self, schema: type[Schema]) -> dict[int, Record]:
        """The records of one schema."""
        return {number: record for number, (own, record) in self.records.items() if own is schema}

    @property
    def schemas(self) -> list[type[Schema]]:
        """Those that there are records of, in order of appearance."""
        return list(dict.fromkeys(schema for schema, _ in self.records.values()))

    def _take(self, record: Record) -> None:
        schema, number = _schema_of(record), len(self.records) + 1
        read_view(schema, record)
        if issubclass(schema, RetrievalRecord):
            self.entries[number] = entry_of(record)
        self.records[number] = schema, record


def _schema_of(record: Record) -> type[Schema]:
    """The schema that a record says; one that says none may be a pair."""
    name = record.get("schema")
    if name is None and "retrieved" in record:
        return SaliencyRecord if "method" in record else RetrievalRecord
    schema = all_schemas().get(name) if isinstance(name, str) else None
    if schema is None:
        found = "nothing" if name is None else repr(name)[:60]
        raise ItemError(Cause.BAD_RECORD, f"schema: expected one of xmir's, found {found}")
    return schema
