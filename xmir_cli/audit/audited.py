"""An audit: every test that is asked for, its findings, and what it counts."""

from collections import Counter
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.atlas.nearest import NearRows
from xmir_cli.audit import findings
from xmir_cli.audit.apart import Hubs, Outliers, find_hubs, find_outliers
from xmir_cli.audit.archive import Archive
from xmir_cli.audit.copies import Copies
from xmir_cli.audit.doubts import Doubts, find_doubts, list_conflicts
from xmir_cli.audit.findings import Finding
from xmir_cli.audit.leaks import PATIENT, Leak, find_leaks, fold
from xmir_cli.audit.looked import Looked
from xmir_cli.audit.names import COPY_TESTS, UNREACHED
from xmir_cli.labels import parse_labels
from xmir_cli.wire.records import Record

HUB = 5.0  # times the mean number of answers, above which an image is a hub


@dataclass(frozen=True)
class AuditRules:
    """What is looked for, and from where on something is a finding."""

    tests: Sequence[str]
    split: str | None  # the column of splits; None: there is none
    probability: float
    fence: float
    images: bool = True  # whether they are looked at


@dataclass(frozen=True, eq=False)
class Audited:
    """What is found; each test is made when it is first asked for."""

    archive: Archive
    rules: AuditRules
    copies: Copies
    looked: Looked

    @cached_property
    def splits(self) -> list[str | None]:
        """The split of each image."""
        return self.archive.texts(self.rules.split) if self.rules.split else []

    @cached_property
    def leaks(self) -> list[Leak]:
        """What several splits know."""
        return find_leaks(self.copies.groups, self.archive.patients, self.splits)

    @cached_property
    def doubts(self) -> Doubts | None:
        """Labels that neighbours doubt; None where nobody can."""
        return find_doubts(self.archive, self.copies.groups, self.rules.probability)

    @cached_property
    def conflicts(self) -> list[tuple[int, int]]:
        """Labels that copies contradict."""
        texts = [parse_labels(text) for text in self.archive.label_texts]
        return list_conflicts(self.copies.groups, texts)

    @cached_property
    def outliers(self) -> Outliers:
        """What lies apart."""
        return find_outliers(NearRows(*self.archive.others).means, self.rules.fence)

    @cached_property
    def hubs(self) -> Hubs:
        """What is in very many answers, or in none."""
        return find_hubs(self.archive.others[0], HUB, self.archive.patients)

    @cached_property
    def findings(self) -> list[Finding]:
        """All of them, test by test."""
        return list(chain.from_iterable(self._of(test) for test in self.rules.tests))

    def _of(self, test: str) -> Iterator[Finding]:
        archive = self.archive
        if test == "duplicates":
            return findings.duplicates(archive, self.copies, self.splits or [None] * len(archive))
        if test == "leaks":
            return findings.leaks(self.leaks, self.splits) if self.rules.split else iter(())
        if test == "labels":
            return findings.labels(archive, self.doubts, self.conflicts)
        if test == "outliers":
            return findings.outliers(archive, self.outliers)
        return (findings.unreached if test == UNREACHED else findings.hubs)(archive, self.hubs)

    @cached_property
    def to_leave_out(self) -> list[Finding]:
        """Of each image that is to be left out one finding, the first."""
        return list({each.row: each for each in reversed(self.findings) if each.leaves}.values())[
            ::-1
        ]

    def counts(self) -> Record:
        """The numbers of all tests that are asked for."""
        told: Record = {
            "images": len(self.archive),
            "patients": len(np.unique(self.archive.patients[self.archive.patients >= 0])),
        }
        if COPY_TESTS & set(self.rules.tests):
            told |= self._count_looks()
        for test in self.rules.tests:
            told |= self._count(test)
        return {**told, "left_out": len(self.to_leave_out)}

    def _count(self, test: str) -> Record:
        if test == "duplicates":
            return self._count_copies()
        if test == "leaks":
            return self._count_leaks()
        if test == "labels":
            return self._count_labels()
        if test == "outliers":
            fence = self.outliers.fence
            return {"outliers": None if fence is None else len(self.outliers.rows), "fence": fence}
        hubs = self.hubs
        return {
            "hubs": _count_of(hubs.rows),
            "unreached": _count_of(hubs.unreached),
            "skewness": hubs.skewness,
        }

    def _count_copies(self) -> Record:
        groups, limit = self.copies.groups, self.copies.limit
        found = [each for each in self.findings if each.finding == "duplicate"]
        known = self.rules.images and (bool(self.looked.known.any()) or not self.looked.bad)
        near = sum(each.why.startswith("near") for each in found)
        return {
            "duplicates": len(found),
            "duplicate_groups": int(groups.max(initial=0)),
            "near_copies": near if known else None,
            "similarity_limit": None if limit is None else min(limit, 1.0),  # but for rounding
        }

    def _count_looks(self) -> Record:
        """How many images were looked at, and how many could not be."""
        bad = self.looked.bad
        return {
            "looked_at": int(self.looked.known.sum()),
            "unreadable": len(bad) if self.rules.images else None,
            **({"unreadable_causes": self.looked.causes} if bad else {}),
        }

    def _count_leaks(self) -> Record:
        if self.rules.split is None:
            return {"leaks": None, "leaked_patients": None}
        patients: Integers = self.archive.patients
        rows = [leak.row for leak in self.leaks if leak.how == PATIENT]
        roles = fold(self.splits)
        splits = Counter(role for role in roles if role is not None)
        of_known = {roles[row] for row in np.flatnonzero(patients >= 0)} - {None}
        return {
            "leaks": len(self.leaks) if len(splits) > 1 else None,
            "leaked_patients": len(np.unique(patients[rows])) if len(of_known) > 1 else None,
            "splits": dict(sorted(splits.items())),
        }

    def _count_labels(self) -> Record:
        doubts, kinds = self.doubts, self.archive.kinds
        may_conflict = len(np.unique(kinds[kinds >= 0])) > 1
        return {
            "suspect_labels": _count_of(doubts.found) if doubts else None,
            "suspect_labels_expected": doubts.expected if doubts else None,
            "label_conflicts": len(self.conflicts) if may_conflict else None,
            "calibration_error": doubts.calibration_error if doubts else None,
            **({"votes": doubts.rule.told} if doubts else {}),
        }


def _count_of(found: Sized | None) -> int | None:
    return None if found is None else len(found)
