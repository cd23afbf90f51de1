"""Findings as records of the wire."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from xmir_cli.audit.archive import Archive
from xmir_cli.audit.findings import Finding
from xmir_cli.labels import share_label
from xmir_cli.pictures.identity import file_of
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.audit import AuditRecord
from xmir_cli.wire.schemas.audit_query import AuditQueryRecord


@dataclass(frozen=True, eq=False)
class FindingRecords:
    """Makes records that tell of an image its id, patient, split and label, and nothing else."""

    archive: Archive
    columns: dict[str, str]  # under `meta`, of each name: the archive's column
    index: str | None  # where the images are indexed, if they are

    def of(self, findings: Iterable[Finding]) -> Iterator[Record]:
        """One record a finding."""
        return map(self._record, findings)

    def of_images(self, numbers: Iterable[Record]) -> Iterator[Record]:
        """One record an image, with the numbers of each in their order."""
        archive = self.archive
        for row, own in enumerate(numbers):
            meta = self._meta(row)
            yield {
                "schema": AuditQueryRecord.NAME,
                "query": archive.paths[row],
                "query_id": meta.get("id"),
                "query_identity": archive.identities[row],
                "query_label": archive.label_texts[row],
                **({"query_patient": meta["patient"]} if "patient" in meta else {}),
                **({"split": meta["split"]} if "split" in meta else {}),
                **own,
                "model": self._model,
            }

    def _record(self, finding: Finding) -> Record:
        archive, row = self.archive, finding.row
        other = row if finding.other is None else finding.other
        labels = archive.label_texts
        return {
            "schema": AuditRecord.NAME,
            "finding": finding.finding,
            "why": finding.why,
            "query": archive.paths[row],
            "retrieved": archive.paths[other],
            "query_identity": archive.identities[row],
            "retrieved_identity": archive.identities[other],
            "similarity": archive.similarity(row, other),
            "query_label": labels[row],
            "retrieved_label": labels[other],
            "match": share_label(labels[row], labels[other]),
            "leave_out": finding.leaves,
            **finding.numbers,
            **self._size(row),
            **({"query_meta": self._meta(row)} if other != row else {}),
            **({"index": self.index} if self.index else {}),
            "model": self._model,
            "meta": self._meta(other),
        }

    @cached_property
    def _model(self) -> Record:
        return self.archive.model.to_json()

    def _meta(self, row: int) -> Record:
        return {name: texts[row] for name, texts in self._texts.items() if texts[row]}

    @cached_property
    def _texts(self) -> dict[str, list[str | None]]:
        return {name: self.archive.texts(column) for name, column in self.columns.items()}

    def _size(self, row: int) -> Record:
        with suppress(OSError, ValueError):
            return {"query_bytes": Path(file_of(self.archive.paths[row])).stat().st_size}
        return {}
