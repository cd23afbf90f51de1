"""Look for what is wrong with an archive: copies, leaks, wrong labels, outliers and hubs."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from xmir_cli import console
from xmir_cli.atlas.axes import principal_axes
from xmir_cli.atlas.neighbours import EXACT, find_neighbours
from xmir_cli.atlas.points import AskedPoints, number_values, read_points
from xmir_cli.atlas.projections import AXES
from xmir_cli.audit.archive import Archive
from xmir_cli.audit.audited import Audited, AuditRules
from xmir_cli.audit.copies import MaybeCopies, find_copies, list_candidates
from xmir_cli.audit.images import image_numbers
from xmir_cli.audit.judging import RULES
from xmir_cli.audit.leaks import fold
from xmir_cli.audit.looked import Looked, look_at, nothing_looked_at
from xmir_cli.audit.names import COPY_TESTS, UNREACHED
from xmir_cli.audit.records import FindingRecords
from xmir_cli.commands.audit import Audit
from xmir_cli.console import Records, Skips
from xmir_cli.errors import SettingError
from xmir_cli.gallery.engines import is_index
from xmir_cli.labels import LABEL
from xmir_cli.scoring.image_set import hash_images
from xmir_cli.scoring.tested import Checks, read_baseline
from xmir_cli.store.jsonl import write_records
from xmir_cli.store.where import parse_where
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.audit_summary import AuditSummaryRecord

__all__ = ["Audit", "run"]

_PATIENT, _SPLIT = "patient", "split"
_NOTED = (  # by test, the count that is told of, and what it is called
    ("duplicates", "duplicates", "duplicates"),
    ("leaks", "leaks", "leaks"),
    ("labels", "suspect_labels", "labels in doubt"),
    ("outliers", "outliers", "outliers"),
    ("hubs", "hubs", "hubs"),
    (UNREACHED, "unreached", "unreached"),
)
_EXPLAINED = {"labels", "outliers", "hubs", UNREACHED}  # why null; leaks are told of before
_COMPARED = 10  # neighbours that may be copies of an image, however few are asked for


def run(asked: Audit) -> Records:
    """One `xmir.audit/1` record a finding, test by test; summed up, one `xmir.audit-summary/1`.

    Per query, one `xmir.audit-query/1` an image.
    """
    if LABEL in (asked.exclude_same, asked.split):
        setting = "split" if asked.split == LABEL else "exclude_same"
        raise SettingError(setting, "the labels are what is in doubt")
    skips, earlier = Skips(), read_baseline(asked.baseline, RULES)
    archive = _read(asked, skips)
    split = _find_splits(asked, archive)
    _tell_of_patients(archive, leaks="leaks" in asked.tests and split is not None)
    rules = AuditRules(asked.tests, split, asked.probability, asked.fence, not asked.no_images)
    candidates = list_candidates(archive)
    looked = _look(asked, archive, candidates)
    audited = Audited(archive, rules, find_copies(archive, candidates, looked), looked)
    columns = {"id": "id", _PATIENT: asked.exclude_same or _PATIENT}
    columns |= {_SPLIT: split} if split else {}
    records = FindingRecords(archive, columns, asked.source if is_index(asked.source) else None)
    if asked.exclude_to is not None:
        write_records(asked.exclude_to, records.of(audited.to_leave_out))
    summary = {**_sum_up(asked, audited), "skipped": skips.total}
    if asked.summary:
        yield summary
    elif asked.per_query:
        yield from records.of_images(image_numbers(audited))
    else:
        yield from records.of(audited.findings)
    ending = skips.finish(len(archive), "audited")
    ending = replace(ending, notes=(*ending.notes, *_notes(asked, summary)))
    checks = Checks(RULES, [summary])
    checks.take_lost(skips.reasons)
    checks.take_unread((archive.paths[row], bad.reason) for row, bad in looked.bad.items())
    checks.ask(asked.gates)
    checks.compare(earlier, asked.tolerance)
    checks.write(asked.junit)
    return ending.judged(checks.unmet)


def _find_splits(asked: Audit, archive: Archive) -> str | None:
    """The column of splits, where an image has one."""
    column = asked.split or _SPLIT
    roles = [role for role in fold(archive.texts(column)) if role is not None]
    if "leaks" in asked.tests:
        _tell_of_splits(roles, len(archive))
    return column if roles else None


def _tell_of_splits(roles: Sequence[str], count: int) -> None:
    if not roles:
        told = "no image has a split: no leaks are looked for; `split` names their column"
        console.note(console.in_words(told))
    elif len(set(roles)) == 1:
        console.note(f"there is one split alone, {roles[0]}: no leaks are looked for")
    elif len(roles) < count:
        console.note(f"{count - len(roles)} of {count} images have no split, and leak nothing")


def _tell_of_patients(archive: Archive, leaks: bool) -> None:
    unknown = int((archive.patients < 0).sum())
    alone = ", and leaks are of copies alone" if leaks else ""
    if unknown == len(archive):
        console.note(f"no patient is known: each image counts as of another patient{alone}")
    elif unknown:
        told = f"{unknown} of {len(archive)} images are of no known patient"
        console.note(f"{told}: each counts as of another{alone.replace('leaks', 'leaks of these')}")


def _read(asked: Audit, skips: Skips) -> Archive:
    """The images with their neighbours."""
    named = {"split": asked.split, "exclude_same": asked.exclude_same}
    wanted = AskedPoints(
        {setting: [column] for setting, column in named.items() if column},
        parse_where(asked.where),
        None,
        0,
        welcome=(_SPLIT,),
    )
    points = read_points(asked.source, wanted, skips.add, Path(tempfile.gettempdir()))
    column = asked.exclude_same or _PATIENT
    patients = np.full(len(points.items), -1)
    if column in points.items.column_names:
        patients = number_values(points.items[column])
    axes = principal_axes(points.vectors, AXES)
    wide = max(asked.neighbors, _COMPARED)
    around = find_neighbours(points.vectors, patients, wide, axes, "comparing")
    return Archive(points.items, points.vectors, points.model, patients, around, asked.neighbors)


def _look(asked: Audit, archive: Archive, candidates: MaybeCopies) -> Looked:
    if asked.no_images or not COPY_TESTS & set(asked.tests):
        return nothing_looked_at(len(archive))
    rows: Sequence[int] = range(len(archive))
    if len(archive) > EXACT:
        rows = candidates.rows.tolist()
    with console.progress("looking", len(rows)) as bar:
        looked = look_at(archive, rows, candidates.nearly_one, asked.jobs, bar.advance)
    if looked.bad:
        console.warning(looked.complaint(archive.paths))
    return looked


def _sum_up(asked: Audit, audited: Audited) -> Record:
    recall = audited.archive.around.recall
    column = asked.exclude_same or _PATIENT
    return {
        "schema": AuditSummaryRecord.NAME,
        "embeddings": asked.source,
        "tests": list(asked.tests),
        "where": list(map(str, parse_where(asked.where))) or None,
        "no_images": asked.no_images,
        "images_sha256": hash_images(audited.archive.items),
        **audited.counts(),
        "neighbours": {
            "number": asked.neighbors,
            "other": column if (audited.archive.patients >= 0).any() else None,
            "search": "exact" if recall is None else "graph",
            **({} if recall is None else {"recall": recall}),
        },
        "neighbors": asked.neighbors,
        "exclude_same": column,
        "split": audited.rules.split,
        "probability": asked.probability,
        "fence_ranges": asked.fence,
        "model": audited.archive.model.to_json(),
    }


def _notes(asked: Audit, summary: Record) -> list[str]:
    told = [
        f"{name} {summary[count]}"
        for test, count, name in _NOTED
        if test in asked.tests and summary.get(count) is not None
    ]
    images = f"{summary['images']} image{'' if summary['images'] == 1 else 's'}"
    notes = [f"{images}: {', '.join(told)}"] if told else []
    notes += [
        f"{RULES.why_null(summary, count)}: {test} cannot be tested"
        for test, count, _ in _NOTED
        if test in _EXPLAINED and test in asked.tests and summary[count] is None
    ]
    if asked.exclude_to is not None:
        notes.append(f"{asked.exclude_to}: {summary['left_out']} images to leave out")
    return notes
