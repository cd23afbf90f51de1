"""The stored words of one frame of a DICOM file, by pydicom and its codecs.

What is asked of a codec comes from the frame's own header, never from tags that contradict it.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import STARTS, Codestream, has_end, read_codestream
from xmir_cli.images.dicom_frames import frame_of, is_encapsulated
from xmir_cli.images.dicom_layout import PixelLayout, contradiction, missing
from xmir_cli.images.lossless import decode_lossless
from xmir_cli.images.runs import check_runs, has_runs

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset
    from pydicom.uid import UID

_PREFIX = "1.2.840.10008.1.2.4."
# transfer syntaxes by what their frames are, and the one whose codec pydicom is asked for
_FAMILIES = {
    "JPEG": (range(50, 71), "50"),
    "JPEG Lossless": (range(50, 71), "57"),
    "JPEG-LS": (range(80, 82), "80"),
    "JPEG 2000": (range(90, 94), "90"),
    "HTJ2K": (range(201, 204), "201"),
}
_IMPLICIT, _EXPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_RLE = "1.2.840.10008.1.2.5"
_NATIVE_FRAMES = "1.2.840.10008.1.2.1.98"  # encapsulated, and not compressed
_PLUGIN = "pylibjpeg"
_UNDEFINED = 0xFFFFFFFF  # a length


class _Decoder(Protocol):
    """What pydicom has for a transfer syntax."""

    is_available: bool
    available_plugins: tuple[str, ...]

    def as_array(self, src: bytes, **options: object) -> tuple[np.ndarray, object]: ...


@dataclass(frozen=True)
class Frame:
    """The bytes of one frame, and what they say of themselves."""

    syntax: "UID"  # of the codec
    name: str  # of the transfer syntax that the file tells
    data: bytes  # of the whole element where it is not encapsulated
    index: int  # in the data
    encapsulated: bool
    stream: Codestream | None
    done: tuple[str, ...]
    cut: bool = False  # shorter than the file says


def find_frame(dataset: "FileDataset", keyword: str, frames: int, index: int) -> Frame:
    """Frame `index` of a file, from 0, not decoded yet; raises ItemError."""
    element = dataset.get_item(keyword)
    value, length = element.value or b"", getattr(element, "length", 0)
    syntax, done = _syntax(dataset)
    compressed = syntax.is_transfer_syntax and syntax.is_encapsulated
    if keyword == "PixelData" and is_encapsulated(value):
        extended = dataset.get("ExtendedOffsetTable") or b""
        data, word = frame_of(value, index, frames, extended)
        return _coded(syntax, data, (*done, word) if word else done)
    if compressed:
        _codec(syntax, syntax.name)
        raise contradiction(f"{syntax.name} in the tags, and the pixels are not compressed")
    if not syntax.is_transfer_syntax:
        raise ItemError(Cause.NO_DECODER, "an unknown transfer syntax")
    cut = len(value) < length < _UNDEFINED
    return Frame(syntax, syntax.name, value, index, False, None, done, cut)


def decode_frame(frame: Frame, layout: PixelLayout, pixel_vr: str) -> np.ndarray:
    """Its words [H, W] or [H, W, 3] as they are stored: unsigned, or floats; raises ItemError."""
    stream = frame.stream
    if stream is None and frame.syntax == _RLE:
        check_runs(frame.data, layout)
        return _as_array(frame, layout, frame.data)
    if stream is None:
        _check_length(frame, layout)
        return _as_array(frame, layout, frame.data, pixel_vr=pixel_vr, view_only=True)
    if stream.unusual:
        raise ItemError(Cause.NO_DECODER, stream.unusual)
    if not has_end(frame.data, stream):
        raise ItemError(Cause.TRUNCATED, f"its {stream.kind} ends early")
    if stream.kind == "JPEG Lossless":
        return decode_lossless(
            frame.data, stream, lambda data: _as_array(frame, replace(layout, allocated=16), data)
        )
    place = stream.place if "2" in stream.kind else 0  # without the boxes of a JP2 file
    return _as_array(frame, layout, frame.data[place:])


def _syntax(dataset: "FileDataset") -> tuple["UID", tuple[str, ...]]:
    """The transfer syntax; of a file that does not say, that in which its tags were found."""
    from pydicom.uid import UID  # noqa: PLC0415 # an extra

    told = dataset.file_meta.get("TransferSyntaxUID")
    if told:
        return told, ()
    implicit, little = dataset.original_encoding
    found = UID(_IMPLICIT if implicit else _EXPLICIT if little else _BIG)
    return found, ("TransferSyntaxUID found by trying",)


def _coded(syntax: "UID", data: bytes, done: tuple[str, ...]) -> Frame:
    """A compressed frame; its codestream tells its kind, the tags only when it has none."""
    from pydicom.uid import UID  # noqa: PLC0415 # an extra

    name = syntax.name if syntax.is_transfer_syntax else "an unknown transfer syntax"
    number = syntax.removeprefix(_PREFIX)
    told = [kind for kind in _FAMILIES if number.isdigit() and int(number) in _FAMILIES[kind][0]]
    plain = syntax == _NATIVE_FRAMES or (syntax == _RLE and not data.startswith(STARTS))
    stream = None if plain else read_codestream(data)
    if stream is not None:
        if stream.kind not in told and not (stream.kind == "JPEG 2000" and "HTJ2K" in told):
            done = (*done, f"{stream.kind} by its pixels")
        codec = UID(_PREFIX + _FAMILIES[stream.kind][1])
        _codec(codec, name)
        return Frame(codec, name, data, 0, True, stream, done)
    if not plain and has_runs(data):
        return Frame(UID(_RLE), name, data, 0, True, None, (*done, "RLE Lossless by its pixels"))
    if told:
        _codec(syntax, name)
        raise ItemError(Cause.CORRUPT, f"damaged {name}")
    if syntax in {_RLE, _NATIVE_FRAMES}:
        codec = UID(_EXPLICIT) if syntax == _NATIVE_FRAMES else syntax
        return Frame(codec, name, data, 0, True, None, done)
    if syntax.is_transfer_syntax and not syntax.is_encapsulated:
        raise missing("TransferSyntaxUID")
    raise ItemError(Cause.NO_DECODER, name)


def _codec(syntax: "UID", name: str) -> _Decoder:
    """The decoder of pydicom, with a codec for what is compressed; raises ItemError without one."""
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415 # an extra

    try:
        decoder = cast(_Decoder, get_decoder(syntax))
    except NotImplementedError:
        raise ItemError(Cause.NO_DECODER, name) from None
    # Pillow would turn colours on its own
    able = syntax == _RLE or _PLUGIN in decoder.available_plugins
    if syntax.is_compressed and not (able and decoder.is_available):
        raise ItemError(Cause.NO_DECODER, f"{name}; pip install 'xmir[dicom]'")
    return decoder


def _as_array(frame: Frame, layout: PixelLayout, data: bytes, **options: str | bool) -> np.ndarray:
    """Words by pydicom, with nothing corrected and no colours turned."""
    from pydicom.encaps import encapsulate  # noqa: PLC0415 # an extra

    stream = frame.stream
    if frame.syntax.is_compressed:
        data = encapsulate([data], has_bot=False)
        options["decoding_plugin"] = _PLUGIN if stream is not None else ""
    subsampled = layout.photometric == "YBR_FULL_422" and not frame.encapsulated
    color = "YBR_FULL_422" if subsampled else "RGB"
    try:
        array, _ = _codec(frame.syntax, frame.name).as_array(
            data,
            index=frame.index,
            raw=True,
            rows=layout.rows,
            columns=layout.columns,
            number_of_frames=1 if frame.encapsulated else layout.frames,
            samples_per_pixel=layout.samples,
            photometric_interpretation=color if layout.samples > 1 else "MONOCHROME2",
            planar_configuration=layout.planar,
            bits_allocated=layout.allocated,
            bits_stored=layout.allocated,
            pixel_representation=int(stream is not None and stream.signed),
            pixel_keyword=layout.keyword,
            **options,
        )
    except (MemoryError, ItemError):
        raise
    except Exception:  # noqa: BLE001 # each codec has its own; their texts may quote the file
        raise ItemError(Cause.CORRUPT, f"damaged {frame.name}") from None
    kind = array.dtype if layout.floating else f"{array.dtype.byteorder}u{array.itemsize}"
    words: np.ndarray = array.view(kind)
    return words


def _check_length(frame: Frame, layout: PixelLayout) -> None:
    """Refuse pixels that are fewer or more than the tags announce; raises ItemError."""
    frames = 1 if frame.encapsulated else layout.frames
    announced, found = -(-layout.frame_bits * frames // 8), len(frame.data)
    if found < announced and frame.cut:
        raise ItemError(Cause.TRUNCATED, "the file ends early")
    # a byte makes the length even; some writers fill a block with zeros
    if found < announced or (found > announced + 1 and any(frame.data[announced:])):
        raise contradiction(f"{found} bytes of pixels, the tags announce {announced}")
