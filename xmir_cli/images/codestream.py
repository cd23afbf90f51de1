"""What a compressed frame says of itself, read before any codec takes memory or time for it.

Work is bounded, not time: the same files are left out on a slow machine as on a fast one.

Source: ITU-T T.81 (JPEG) B.2.2, T.800 (JPEG 2000) A.5 and A.6.1, T.87 (JPEG-LS), T.872 (colour).
"""

import re
import struct
from dataclasses import dataclass, replace
from typing import Literal

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

Coding = Literal["JPEG", "JPEG Lossless", "JPEG-LS", "JPEG 2000", "HTJ2K"]
Colors = Literal["RGB", "YBR", "both", ""]

# how a JPEG, a JPEG 2000 codestream and one in a file of its own begin
STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")
_START_2000 = STARTS[1]  # SOC, SIZ
# a marker with a length; in entropy-coded data 0xFF is followed by 0, RSTn or fill bytes
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_SCANS = 100  # of a progressive JPEG; honest encoders make a dozen, libtiff has the same limit
_NO_FRAME = {0xC4, 0xC8, 0xCC}  # markers in the range of the frame headers that are none
_SCAN = 0xDA
_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_HIERARCHICAL = {0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF}
_ADOBE: dict[int, Colors] = {0: "RGB", 1: "YBR"}
_RGB_IDS = (b"RGB", b"rgb")
_CAP, _COD, _TILE = 0x50, 0x52, 0x90  # JPEG 2000
_PART_2 = 0x8000
_BOXES: dict[int, Colors] = {16: "RGB", 18: "YBR"}  # enumerated colour spaces in a JP2 file


@dataclass(frozen=True)
class Codestream:
    """The header of a frame."""

    kind: Coding
    width: int  # 0 when it does not say
    height: int
    precision: int  # bits of a sample
    samples: int  # of a pixel
    colors: Colors = ""  # what it says of three samples: "both" contradicts itself, "" says nothing
    signed: bool = False
    transformed: bool = False  # JPEG 2000: the codec turns YBR into RGB
    place: int = 0  # of the frame header or, in JPEG 2000, of the codestream
    unusual: str = ""  # what no decoder here can do
    lossless: bool = False


def read_codestream(frame: bytes) -> Codestream | None:
    """The header of a JPEG, JPEG-LS or JPEG 2000 frame; None when it has none of them."""
    place = frame.find(_START_2000, 0, 4096)
    try:
        return _read_2000(frame, place) if place >= 0 else _read_jpeg(frame)
    except (struct.error, IndexError):
        return None


def check_scans(jpeg: bytes) -> None:
    """Refuse a JPEG that goes over all of its pixels again and again; raises ItemError.

    A scan of a dozen bytes can take a second to decode.
    """
    if len(scans_of(jpeg)) > _SCANS:
        raise ItemError(Cause.TOO_LARGE, f"more than {_SCANS} scans of one image")


def has_end(frame: bytes, stream: Codestream) -> bool:
    """Whether the end marker is there; codecs fill up a frame that is cut, and say nothing."""
    # previews with an end of their own come before the frame header
    return frame.rfind(b"\xff\xd9", stream.place) >= 0


def scans_of(jpeg: bytes) -> list[int]:
    """Where the scan headers of a JPEG begin, behind their marker; not many more than allowed."""
    place = 2
    scans: list[int] = []
    while (found := _MARKER.search(jpeg, place)) and found[1] != b"\xd9" and len(scans) <= _SCANS:
        if found[1] == b"\xda":
            scans.append(found.end())
        place = found.end() + int.from_bytes(jpeg[found.end() : found.end() + 2])
    return scans


def _read_jpeg(frame: bytes) -> Codestream | None:
    place, header = 2, None
    marks: list[Colors] = []
    while True:
        mark, marker, length = struct.unpack_from(">BBH", frame, place)
        if mark != 0xFF or (marker == _SCAN and header is None):
            return header
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        body = frame[place + 4 : place + 2 + length]
        if (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME) or marker == 0xF7:
            header = _frame_header(marker, body, place)
        elif marker == _SCAN and header is not None:
            return replace(header, colors=_colors(header, marks))
        marks += _mark(marker, body)
        place += 2 + length
        if place + 4 > len(frame):  # cut behind its header
            return header


def _frame_header(marker: int, body: bytes, place: int) -> Codestream:
    precision, height, width, samples = struct.unpack_from(">BHHB", body)
    parts = [body[start : start + 3] for start in range(6, 6 + 3 * samples, 3)]
    colors: Colors = ""
    if samples == 3 and b"".join(part[:1] for part in parts) in _RGB_IDS:
        colors = "RGB"
    elif samples == 3 and len({part[1:] for part in parts}) > 1:
        colors = "YBR"  # colour has fewer samples, or quantisation of its own
    kind: Coding = "JPEG-LS" if marker == 0xF7 else "JPEG"
    kind = "JPEG Lossless" if marker in _LOSSLESS else kind
    unusual = "hierarchical JPEG" if marker in _HIERARCHICAL else ""
    lossless = kind != "JPEG"
    return Codestream(
        kind, width, height, precision, samples, colors, False, False, place, unusual, lossless
    )


def _mark(marker: int, body: bytes) -> list[Colors]:
    """What an application's segment says of the colours."""
    if marker == 0xE0 and body.startswith(b"JFIF\0"):
        return ["YBR"]
    if marker == 0xEE and body.startswith(b"Adobe") and len(body) > 11 and body[11] in _ADOBE:
        return [_ADOBE[body[11]]]
    if marker == 0xE8 and body.startswith(b"mrfx") and body[4:5] != b"\0":
        return ["both"]  # a colour transform of JPEG-LS that no standard has
    return []


def _colors(header: Codestream, marks: list[Colors]) -> Colors:
    """What header and segments say together; a segment says more than the number of samples."""
    if header.samples != 3:
        return ""
    said: set[Colors] = set(marks)
    if header.colors == "RGB" or not said:
        said.add(header.colors)
    return said.pop() if len(said) == 1 else "both"


def _read_2000(frame: bytes, start: int) -> Codestream:
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    width, height = max(right - left, 0), max(bottom - top, 0)
    found = Codestream("JPEG 2000", width, height, 8, 1, _box_colors(frame[:start]), place=start)
    try:
        return _with_style(_with_samples(found, frame), frame)
    except (struct.error, IndexError):  # cut behind its sizes
        return found


def _with_samples(found: Codestream, frame: bytes) -> Codestream:
    profile, samples = (
        struct.unpack_from(">H", frame, found.place + offset)[0] for offset in (6, 40)
    )
    first = found.place + 42
    parts = [frame[place : place + 3] for place in range(first, first + 3 * samples, 3)]
    depth = parts[0][0]
    unusual = "JPEG 2000 Part 2" if profile & _PART_2 else ""
    if len(set(parts)) > 1 or parts[0][1:] != b"\1\1":
        unusual = "JPEG 2000 whose samples differ in size"
    precision, signed = (depth & 0x7F) + 1, bool(depth & 0x80)
    return replace(found, precision=precision, samples=samples, signed=signed, unusual=unusual)


def _with_style(found: Codestream, frame: bytes) -> Codestream:
    """With what the main header says behind the sizes."""
    place = found.place + 2
    while True:
        _, marker, length = struct.unpack_from(">BBH", frame, place)
        if marker == _CAP:
            found = replace(found, kind="HTJ2K")
        elif marker == _COD:
            transformed = found.samples == 3 and frame[place + 8] == 1
            return replace(found, transformed=transformed, lossless=frame[place + 13] == 1)
        elif marker == _TILE:
            return found
        place += 2 + length


def _box_colors(boxes: bytes) -> Colors:
    place = boxes.find(b"colr\x01")
    return "" if place < 0 else _BOXES.get(int.from_bytes(boxes[place + 7 : place + 11]), "")
