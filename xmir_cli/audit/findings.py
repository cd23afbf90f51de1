"""All that an audit finds, as findings: an image, another one that says why, and numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xmir_cli.arrays import Integers
from xmir_cli.audit.apart import Hubs, Outliers
from xmir_cli.audit.archive import Archive
from xmir_cli.audit.copies import EQUAL_BYTES, Copies
from xmir_cli.audit.doubts import Doubts
from xmir_cli.audit.leaks import Leak, kept_first
from xmir_cli.console import show
from xmir_cli.wire.records import Record


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with an image."""

    finding: str  # one of names.FINDINGS
    row: int  # of the image
    other: int | None  # the image beside which it shows; None: there is none
    why: str  # in words
    numbers: Record = field(default_factory=dict)
    leaves: bool = False  # whether an archive without faults leaves the image out


def duplicates(archive: Archive, copies: Copies, splits: Sequence[str | None]) -> Iterator[Finding]:
    """Every copy but the one that stays, with that one, in the order of the archive."""
    groups: dict[int, list[int]] = {}
    for row, group in enumerate(copies.groups.tolist()):
        if group:
            groups.setdefault(group, []).append(row)
    stays = {group: kept_first(rows, splits)[0] for group, rows in groups.items()}
    for row, group in enumerate(copies.groups.tolist()):
        if group and row != stays[group]:
            why, bits = _say_copy(archive, copies, row, stays[group])
            numbers: Record = {"hash_bits": bits, "group": group}
            yield Finding("duplicate", row, stays[group], why, numbers, leaves=True)


def _say_copy(archive: Archive, copies: Copies, row: int, stays: int) -> tuple[str, int | None]:
    """Why an image is a copy of the one that stays, and in how many bits the two differ."""
    own = archive.identities[row]
    if own is not None and own == archive.identities[stays]:
        return EQUAL_BYTES, None
    link = copies.link_to(row, stays)
    if link is not None:
        return link.why, link.bits
    return f"{copies.strongest(row).why} of a copy", None


def leaks(found: Sequence[Leak], splits: Sequence[str | None]) -> Iterator[Finding]:
    """The images that another split knows."""
    for leak in found:
        sides = f"{_told(splits[leak.row])} and {_told(splits[leak.other])}"
        yield Finding("leak", leak.row, leak.other, f"{leak.how} in {sides}", leaves=True)


def labels(
    archive: Archive, doubts: Doubts | None, conflicts: Sequence[tuple[int, int]]
) -> Iterator[Finding]:
    """Labels that copies contradict, then those that neighbours doubt."""
    texts = archive.label_texts
    for row, other in conflicts:
        yield Finding("label", row, other, f"a copy is {_told(texts[other])}", leaves=True)
    for doubt in (doubts and doubts.found) or ():
        numbers = {
            "likely_label": doubt.label,
            "probability": doubt.probability,
            "own_probability": doubt.own,
        }
        why = f"neighbours are {_told(doubt.label)}"
        yield Finding("label", doubt.row, doubt.other, why, numbers)


def outliers(archive: Archive, found: Outliers) -> Iterator[Finding]:
    """What lies apart, beside what is least unlike it."""
    for row in found.rows.tolist():
        numbers: Record = {
            "distance": float(found.distances[row]),
            "percentile": float(found.percentiles[row]),
        }
        yield Finding("outlier", row, _nearest(archive, row), "unlike all others", numbers)


def hubs(archive: Archive, found: Hubs) -> Iterator[Finding]:
    """Images in very many answers."""
    for row in _rows(found.rows):
        count = int(found.counts[row])
        why = f"in {count} of {len(archive)} answers"
        yield Finding("hub", row, _nearest(archive, row), why, {"occurrences": count})


def unreached(archive: Archive, found: Hubs) -> Iterator[Finding]:
    """Images in none."""
    for row in _rows(found.unreached):
        yield Finding("unreached", row, _nearest(archive, row), "in no answer", {"occurrences": 0})


def _rows(found: Integers | None) -> list[int]:
    return [] if found is None else found.tolist()


def _nearest(archive: Archive, row: int) -> int | None:
    other = int(archive.around.others.rows[row, 0])
    return other if other >= 0 else None


def _told(text: str | None) -> str:
    return show(text or "nothing")
