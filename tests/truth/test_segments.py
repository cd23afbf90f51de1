"""DICOM SEG: each frame belongs to the image that it names."""

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.truth.marks import MarkedImage, merge
from xmir_cli.truth.sources import open_truth

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian  # noqa: E402

SIZE = (7, 5)  # no whole bytes
IMAGES = ("1.2.826.1", "1.2.826.2")
LABELS = ("lung", "heart")


def new(kind: str, instance: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = kind
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = kind, instance
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Columns, made.Rows = SIZE
    return made


def write_image(path: str, instance: str) -> None:
    made = new("1.2.840.10008.5.1.4.1.1.1", instance)
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation, made.Modality = 7, 0, "DX"
    made.PixelData = bytes(range(35)) + b"\0"
    made.save_as(path)


def item(**values: object) -> Dataset:
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def write_segments(path: str, frames, kind: str = "BINARY", instances=IMAGES) -> None:
    """Frames of (segment, instance or None, mask [H, W])."""
    made = new("1.2.840.10008.5.1.4.1.1.66.4", "1.2.826.9")
    made.Modality, made.SegmentationType = "SEG", kind
    made.NumberOfFrames = len(frames)
    made.SegmentSequence = [
        item(SegmentNumber=number, SegmentLabel=label) for number, label in enumerate(LABELS, 1)
    ]
    referenced = [item(ReferencedSOPInstanceUID=each) for each in instances]
    made.ReferencedSeriesSequence = [item(ReferencedInstanceSequence=referenced)]
    groups = []
    for number, instance, _ in frames:
        group = item(SegmentIdentificationSequence=[item(ReferencedSegmentNumber=number)])
        if instance is not None:
            source = item(ReferencedSOPInstanceUID=instance)
            group.DerivationImageSequence = [item(SourceImageSequence=[source])]
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = groups
    masks = np.stack([mask for *_, mask in frames])
    made.PixelRepresentation = 0
    made.BitsAllocated = made.BitsStored = 1 if kind == "BINARY" else 8
    made.HighBit = made.BitsStored - 1
    if kind == "BINARY":
        data = np.packbits(masks.ravel() > 0, bitorder="little").tobytes()
    else:
        made.MaximumFractionalValue = 200
        data = masks.astype(np.uint8).tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    made.save_as(path)


def masks(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(3).random((count, *SIZE[::-1])) > 0.6)


def found(name: str, by=None) -> dict[str, np.ndarray]:
    truth = open_truth("seg", None, None)
    shapes = truth.of(MarkedImage(name, {}), SIZE)
    return {} if shapes is None else {mark.name: mark.mask for mark in merge(shapes, by)}


@pytest.fixture(autouse=True)
def _images(_in_a_folder_of_its_own):
    Path("seg").mkdir()
    for name, instance in zip("ab", IMAGES, strict=True):
        write_image(f"{name}.dcm", instance)


def test_frames_belong_to_the_image_that_they_name_whatever_the_file_is_called():
    one, two, three = masks(3)
    frames = [(1, IMAGES[0], one), (1, IMAGES[1], two), (2, IMAGES[1], three)]
    write_segments("seg/any.dcm", frames)
    np.testing.assert_array_equal(found("a.dcm")[""], one)
    np.testing.assert_array_equal(found("b.dcm")[""], two | three)
    apart = found("b.dcm", by="segment")
    np.testing.assert_array_equal(apart["lung"], two)
    np.testing.assert_array_equal(apart["heart"], three)
    write_image("c.dcm", "1.2.826.3")
    assert found("c.dcm") == {}


def test_a_file_under_the_name_of_a_picture_has_to_lie_on_one_image():
    one, two = masks(2)
    Image.new("L", SIZE).save("p.png")
    write_segments("seg/p.dcm", [(1, None, one), (2, None, two)])
    np.testing.assert_array_equal(found("p.png")[""], one | two)
    write_segments("seg/p.dcm", [(1, IMAGES[0], one), (2, IMAGES[0], two)])
    np.testing.assert_array_equal(found("p.png", by="segment")["heart"], two)
    for frames in (
        [(1, IMAGES[0], one), (1, IMAGES[1], two)],
        [(1, None, one), (1, None, two)],
    ):
        write_segments("seg/p.dcm", frames)
        with pytest.raises(ItemError, match="no-mask: its 2 frames lie on several images"):
            found("p.png")
    write_segments("seg/a.dcm", [(1, IMAGES[1], one)])
    with pytest.raises(ItemError, match="no-mask: its segments lie on other images"):
        found("a.dcm")


def test_fractions_count_from_half_of_their_largest_and_labels_by_their_numbers():
    values = np.arange(35).reshape(5, 7) * 6
    write_segments("seg/a.dcm", [(1, IMAGES[0], values)], "FRACTIONAL")
    np.testing.assert_array_equal(found("a.dcm")[""], values >= 100)
    numbers = np.arange(35).reshape(5, 7) % 3
    write_segments("seg/a.dcm", [(1, IMAGES[0], numbers)], "LABELMAP")
    apart = found("a.dcm", by="segment")
    np.testing.assert_array_equal(apart["lung"], numbers == 1)
    np.testing.assert_array_equal(apart["heart"], numbers == 2)


def test_a_damaged_file_is_one_line():
    one, two = masks(2)
    write_segments("seg/a.dcm", [(1, IMAGES[0], one), (2, IMAGES[0], two)])
    whole = Path("seg/a.dcm").read_bytes()
    rng = random.Random(0)  # noqa: S311
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(rng.choice((1, 4, 30))):
            broken[rng.randrange(132, len(broken))] = rng.randrange(256)
        cut = rng.choice((len(whole), rng.randrange(140, len(whole))))
        Path("seg/a.dcm").write_bytes(broken[:cut])
        try:
            found("a.dcm")
        except ItemError as error:
            assert "\n" not in error.reason  # noqa: PT017
