"""What an audit measures of each image, whether it finds something or not."""

import math
from collections.abc import Iterator

from xmir_cli.arrays import Floats
from xmir_cli.audit.audited import Audited
from xmir_cli.audit.names import UNREACHED
from xmir_cli.wire.records import Record

_COPY_TESTS = {"duplicates", "leaks", "labels"}


def image_numbers(audited: Audited) -> Iterator[Record]:
    """The findings and the numbers of each image, in the order of the archive."""
    found: dict[int, list[str]] = {}
    for each in audited.findings:
        names = found.setdefault(each.row, [])
        names += [] if each.finding in names else [each.finding]
    for row in range(len(audited.archive)):
        yield {"findings": found.get(row, []), **_measure(audited, row)}


def _measure(audited: Audited, row: int) -> Record:
    tests, told = audited.rules.tests, Record()
    if _COPY_TESTS & set(tests) and audited.copies.groups[row]:
        told["group"] = int(audited.copies.groups[row])
    if "labels" in tests and audited.doubts is not None:
        votes = audited.doubts.votes
        likeliest = int(votes.likeliest[row])
        told["likely_label"] = votes.names[likeliest] if likeliest >= 0 else None
        told["probability"] = _at(votes.probabilities, row)
        told["own_probability"] = _at(votes.own, row)
    if "outliers" in tests:
        told["distance"] = _at(audited.outliers.distances, row)
        told["percentile"] = _at(audited.outliers.percentiles, row)
    if {"hubs", UNREACHED} & set(tests):
        told["occurrences"] = int(audited.hubs.counts[row])
    return told


def _at(numbers: Floats, row: int) -> float | None:
    """The number of an image, None for NaN."""
    value = float(numbers[row])
    return None if math.isnan(value) else value
