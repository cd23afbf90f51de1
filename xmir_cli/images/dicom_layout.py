"""How the pixels of a DICOM file lie: as its tags say, completed by what its pixels tell.

A tag that is missing is taken from the codestream or the length of the pixels, and said; where
neither tells, the file is left out. Source: DICOM PS3.3, C.7.6.3; PS3.5, 8.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import Codestream
from xmir_cli.images.dicom_numbers import read_whole

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
COLORS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_NO_DECODER = ("ARGB", "CMYK", "HSV", "XYB", "YBR_PARTIAL_420", "YBR_PARTIAL_422")
_FLOATS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_TAGS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
_Told = dict[str, int | None]  # what of those the file tells
_ALLOCATED = (1, 8, 16, 32, 64)  # bits that a sample may take


@dataclass(frozen=True)
class PixelLayout:
    """What the decoder needs."""

    keyword: str  # of the element that holds the pixels
    rows: int
    columns: int
    frames: int
    photometric: str
    samples: int  # of a pixel
    planar: int
    allocated: int  # bits that a sample takes: of the codestream where there is one
    stored: int  # bits that count
    shift: int  # bits below those
    signed: bool | None  # None: nothing says
    done: tuple[str, ...]  # what was assumed
    narrow: bool = False  # the codestream has fewer bits than the tags say

    @property
    def floating(self) -> bool:
        """Whether the samples are no whole numbers."""
        return self.keyword in _FLOATS

    @property
    def frame_bits(self) -> int:
        """The length of a frame that is not compressed."""
        bits = self.rows * self.columns * self.samples * self.allocated
        return bits * 2 // 3 if self.photometric == "YBR_FULL_422" else bits


def photometric_of(dataset: "FileDataset", stream: Codestream | None) -> tuple[str, str]:
    """How values are to be understood, and a word where it is assumed; raises ItemError."""
    value = dataset.get("PhotometricInterpretation") or ""
    texts = {
        str(each).strip(" \0").upper() for each in ([value] if isinstance(value, str) else value)
    }
    text = " ".join(texts)  # one, perhaps said twice
    if text in MONOCHROME or text in COLORS or text == "PALETTE COLOR":
        return text, ""
    if text:
        named = text if text in _NO_DECODER else "a photometric interpretation that is not known"
        raise ItemError(Cause.NO_DECODER, named)
    if stream is not None and stream.samples == 3:
        if stream.transformed or stream.colors == "RGB":
            return "RGB", f"RGB by its {stream.kind}"
        if stream.colors == "YBR":
            return "YBR_FULL", f"YBR_FULL by its {stream.kind}"
    raise missing("PhotometricInterpretation")


def missing(keyword: str) -> ItemError:
    """The error of a tag that cannot be done without."""
    return ItemError(Cause.MISSING_TAG, keyword)


def contradiction(detail: str) -> ItemError:
    """The error of tags that cannot all be true."""
    return ItemError(Cause.CONTRADICTORY, detail)


def layout_of(
    dataset: "FileDataset", keyword: str, stream: Codestream | None, encapsulated: bool
) -> PixelLayout:
    """The layout of a file whose frames are compressed as `stream` says, if it is; or ItemError."""
    told = {name: read_whole(dataset, name) for name in _TAGS}
    photometric, assumed = photometric_of(dataset, stream)
    samples = _samples(told, photometric, stream)
    rows = _side(told, "Rows", stream.height if stream else 0)
    columns = _side(told, "Columns", stream.width if stream else 0)
    if stream is not None and stream.height and (stream.width, stream.height) != (columns, rows):
        found = f"{stream.width} x {stream.height} in its {stream.kind}"
        raise contradiction(f"{columns} x {rows} pixels in the tags, {found}")
    planar = 0 if encapsulated else _planar(told, photometric, samples)
    frames = max(told["NumberOfFrames"] or 1, 1)
    known = {"Rows": rows, "Columns": columns, "SamplesPerPixel": samples}
    if "NumberOfFrames" in dataset:
        known["NumberOfFrames"] = frames
    done = [assumed] if assumed else []
    done += [f"{name} taken as {known[name]}" for name in known if told[name] != known[name]]
    layout = PixelLayout(
        keyword, rows, columns, frames, photometric, samples, planar, 0, 0, 0, None, tuple(done)
    )
    if keyword in _FLOATS:
        bits = _FLOATS[keyword]
        return replace(layout, allocated=bits, stored=bits, signed=True)
    length = 0 if encapsulated else len(dataset.get_item(keyword).value or b"")
    layout = _with_bits(told, layout, stream, length)
    return layout if encapsulated else _not_subsampled(layout, length)


def _not_subsampled(layout: PixelLayout, length: int) -> PixelLayout:
    """The same where pixels are as long as YBR_FULL, though it is called YBR_FULL_422."""
    if layout.photometric != "YBR_FULL_422":
        return layout
    done = (*layout.done, "YBR_FULL by its length")
    full = replace(layout, photometric="YBR_FULL", done=done)
    return full if length >= layout.frames * full.frame_bits // 8 else layout


def _side(told: _Told, keyword: str, coded: int) -> int:
    value = told[keyword]
    if value is not None:
        return value
    if not coded:
        raise missing(keyword)
    return coded


def _samples(told: _Told, photometric: str, stream: Codestream | None) -> int:
    needed = 3 if photometric in COLORS else 1
    number = told["SamplesPerPixel"]
    if number not in {None, needed}:
        raise contradiction(f"{number} samples a pixel, {photometric}")
    if stream is not None and stream.samples != needed:
        raise contradiction(f"{photometric}, {stream.samples} samples in its {stream.kind}")
    return needed


def _planar(told: _Told, photometric: str, samples: int) -> int:
    if samples == 1 or photometric == "YBR_FULL_422":
        return 0  # a codec gives the samples of a pixel together
    value = told["PlanarConfiguration"]
    if value not in {0, 1}:
        raise missing("PlanarConfiguration")
    return int(value or 0)


def _with_bits(
    told: _Told, layout: PixelLayout, stream: Codestream | None, length: int
) -> PixelLayout:
    allocated, assumed = _allocated(told, layout, stream, length)
    stored, high = told["BitsStored"], told["HighBit"]
    done = [*layout.done, *assumed]
    if not stored:
        stored = (high + 1 if high else 0) or (stream.precision if stream else allocated)
        done.append(f"BitsStored taken as {stored}")
    high = stored - 1 if high is None else high
    # 8 bits and fewer are for the eye: a dark frame whose samples need fewer stays dark
    shallow = stored <= 8 and told["PixelRepresentation"] != 1
    narrow = stream is not None and stream.precision < stored and not shallow
    if stream is not None and narrow:
        done.append(f"{stream.precision} bits by its {stream.kind}")
        stored, high = stream.precision, stream.precision - 1
    elif stream is not None and stored >= stream.precision and high != stored - 1:
        done.append(f"HighBit taken as {stored - 1}")  # the codec gives samples from bit 0
        high = stored - 1
    if not stored - 1 <= high < allocated:
        raise contradiction(f"{stored} bits stored up to bit {high} of {allocated}")
    signed = told["PixelRepresentation"]
    return replace(
        layout,
        allocated=allocated,
        stored=stored,
        shift=high + 1 - stored,
        signed=bool(signed) if signed in {0, 1} else None,
        done=tuple(done),
        narrow=narrow,
    )


def _allocated(
    told: _Told, layout: PixelLayout, stream: Codestream | None, length: int
) -> tuple[int, list[str]]:
    if stream is not None:
        return next(bits for bits in (8, 16, 32, 64) if bits >= stream.precision), []
    given = told["BitsAllocated"]
    if given:
        if given not in _ALLOCATED:
            raise ItemError(Cause.NO_DECODER, f"samples of {given} bits")
        return given, []
    for bits in (8, 16):
        whole = layout.frames * replace(layout, allocated=bits).frame_bits // 8
        if length and length in {whole, whole + whole % 2}:
            return bits, [f"BitsAllocated taken as {bits}"]
    raise missing("BitsAllocated")
