"""The segments of a DICOM SEG that lie on one image: binary, fractional, or as a map of labels.

A frame belongs to the image that it names as its source, never to one by its place in the file.
Source: DICOM PS3.3, A.51 and C.8.20.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xmir_cli.arrays import Booleans
from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.dicom import DICOM, damage_named
from xmir_cli.images.dicom_decode import decode_frame, find_frame
from xmir_cli.images.dicom_file import open_dicom
from xmir_cli.images.dicom_layout import layout_of
from xmir_cli.images.dicom_numbers import read_one, read_whole
from xmir_cli.images.size import check_size

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

SEGMENT = "segment"  # what the label of a segment is called
_CLASS = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.66\.[47](?![.0-9])")
_HEAD = 1024  # bytes in which the class of a file stands
_TAGS = (
    "SegmentSequence",
    "SegmentationType",
    "MaximumFractionalValue",
    "ReferencedSeriesSequence",
)
_LONGEST = 64  # characters of a label, as many as DICOM allows


@dataclass(frozen=True)
class _Place:
    """A frame of the file, and what it says that it lies on."""

    index: int  # from 0
    number: int | None  # of its segment; None in a map of labels
    sources: frozenset[tuple[str, int | None]]  # instances, and their frames from 1


def are_segments(data: bytes) -> bool:
    """Whether a file's bytes are a DICOM SEG."""
    return DICOM.recognises(data) and _CLASS.search(data, 132, _HEAD) is not None


def instance_of(data: bytes) -> str | None:
    """Which instance a DICOM file is; None for every other file, and where it does not say."""
    if not DICOM.recognises(data):
        return None
    dataset = open_dicom(data, with_patient=False, more=("SOPInstanceUID",))
    with damage_named(0):
        return str(dataset.get("SOPInstanceUID") or "").strip(" \0") or None


def instances_in(data: bytes) -> set[str]:
    """The instances on which the segments of a file lie; raises ItemError."""
    dataset = open_dicom(data, with_patient=False, more=_TAGS)
    with damage_named(0):
        return {uid for place in _places(dataset) for uid, _ in place.sources}


def read_segments(
    data: bytes, instance: str | None, frame: int | None, limit: int
) -> list[tuple[str, Booleans]]:
    """Label and mask of each frame of a segment that lies on an image; a label may come twice.

    `instance` and `frame` say which image that is; of an image that is no DICOM nothing is known,
    and the segments have to lie on one image alone. `limit` is how many pixels a mask may have.
    Raises ItemError.
    """
    dataset = open_dicom(data, with_patient=False, more=_TAGS)
    with damage_named(limit):
        places = _of_image(_places(dataset), instance, frame)
        labels = _labels(dataset)
        return [found for place in places for found in _decode(dataset, place, labels, limit)]


def _of_image(places: Sequence[_Place], instance: str | None, frame: int | None) -> list[_Place]:
    """Those that lie on the image."""
    known = {uid for place in places for uid, _ in place.sources}
    if instance in known:
        wanted = {(instance, None), (instance, frame or 1)}
        return [place for place in places if wanted & place.sources]
    if instance is not None and known:
        raise ItemError(Cause.NO_MASK, "its segments lie on other images")
    sources = {source for place in places for source in place.sources}
    numbers = [place.number for place in places]
    if len(sources) > 1 or (not sources and len(set(numbers)) < len(numbers)):
        raise ItemError(
            Cause.NO_MASK, f"its {len(places)} frames lie on several images, and none is this one"
        )
    return list(places)


def _places(dataset: "FileDataset") -> list[_Place]:
    """Each frame with its segment and its source."""
    frames = max(read_whole(dataset, "NumberOfFrames") or 1, 1)
    own = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    if own and len(own) != frames:
        raise ItemError(Cause.CONTRADICTORY, f"{frames} frames, {len(own)} descriptions of them")
    if frames > 1 and not own:
        raise ItemError(Cause.MISSING_TAG, "PerFrameFunctionalGroupsSequence")
    only = _only_instance(dataset)
    return [
        _Place(index, _number(groups), _sources(groups) or only)
        for index in range(frames)
        for groups in [[*own[index : index + 1], *shared]]
    ]


def _number(groups: Sequence["Dataset"]) -> int | None:
    for group in groups:
        for named in group.get("SegmentIdentificationSequence") or []:
            return read_whole(named, "ReferencedSegmentNumber")
    return None


def _sources(groups: Sequence["Dataset"]) -> frozenset[tuple[str, int | None]]:
    found: set[tuple[str, int | None]] = set()
    for group in groups:
        for derived in group.get("DerivationImageSequence") or []:
            for source in derived.get("SourceImageSequence") or []:
                uid = str(source.get("ReferencedSOPInstanceUID") or "").strip(" \0")
                found |= {(uid, frame) for frame in _frames_of(source)} if uid else set()
    return frozenset(found)


def _frames_of(source: "Dataset") -> list[int | None]:
    value = source.get("ReferencedFrameNumber")
    if value is None or value == "":
        return [None]
    return [int(each) for each in (value if not isinstance(value, int | str) else [value])]


def _only_instance(dataset: "FileDataset") -> frozenset[tuple[str, int | None]]:
    """The one image that all frames lie on, where the file names one alone."""
    found = {
        str(instance.get("ReferencedSOPInstanceUID") or "").strip(" \0")
        for series in dataset.get("ReferencedSeriesSequence") or []
        for instance in series.get("ReferencedInstanceSequence") or []
    } - {""}
    return frozenset((uid, None) for uid in found) if len(found) == 1 else frozenset()


def _labels(dataset: "FileDataset") -> dict[int, str]:
    """The label of each segment by its number; one without a label is called by its number."""
    found = {}
    for segment in dataset.get("SegmentSequence") or []:
        number = read_whole(segment, "SegmentNumber")
        if number is not None:
            label = str(segment.get("SegmentLabel") or "").strip(" \0")[:_LONGEST]
            found[number] = label or str(number)
    return found


def _decode(
    dataset: "FileDataset", place: _Place, labels: dict[int, str], limit: int
) -> Iterator[tuple[str, Booleans]]:
    rows, columns = read_whole(dataset, "Rows"), read_whole(dataset, "Columns")
    check_size(columns or 0, rows or 0, limit)
    kind = str(dataset.get("SegmentationType") or "BINARY").strip(" \0").upper()
    values = _values(dataset, place.index)
    if kind == "LABELMAP":
        for number, label in labels.items():
            yield label, np.asarray(values == number)
        return
    half = (read_one(dataset, "MaximumFractionalValue") or 255) / 2
    mask = values >= half if kind == "FRACTIONAL" else values != 0
    yield labels.get(place.number or 0, str(place.number or "")), np.asarray(mask)


def _values(dataset: "FileDataset", index: int) -> np.ndarray:
    """The stored values of a frame [H, W]."""
    frames = max(read_whole(dataset, "NumberOfFrames") or 1, 1)
    frame = find_frame(dataset, "PixelData", frames, index)
    layout = layout_of(dataset, "PixelData", frame.stream, frame.encapsulated)
    if layout.allocated == 1 and not frame.encapsulated:
        return _bits(frame.data, layout.rows, layout.columns, index)
    return decode_frame(frame, layout, "OW" if layout.allocated > 8 else "OB")


def _bits(data: bytes, rows: int, columns: int, index: int) -> np.ndarray:
    """A frame of single bits, which begins wherever the last one ends; the lowest bit is first."""
    size = rows * columns
    first, last = index * size, (index + 1) * size
    packed = np.frombuffer(data[first // 8 : -(-last // 8)], np.uint8)
    bits = np.unpackbits(packed, bitorder="little")[first % 8 : first % 8 + size]
    if len(bits) < size:
        raise ItemError(Cause.TRUNCATED, "the file ends early")
    return bits.reshape(rows, columns)
