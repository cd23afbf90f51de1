"""The table of image formats, and which of them a file has: by content, not by extension.

A new format is a file with an `ImageFormat` and a row here.
"""

import re

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.dicom import DICOM
from xmir_cli.images.dicom_file import DIRECTORY
from xmir_cli.images.jpeg import JPEG
from xmir_cli.images.picture import ImageFormat
from xmir_cli.images.png import PNG
from xmir_cli.images.tiff import TIFF

# in the order asked: the 128 bytes before DICOM's mark may hold a TIFF header
FORMATS = (DICOM, PNG, JPEG, TIFF)

# the first groups of a DICOM data set without its preamble, in either byte order
_BARE = (b"\x02\0\0\0", b"\x02\0\x10\0", b"\x08\0\x05\0", b"\x08\0\0\0", b"\0\x08\0\x05")

# pictures that nothing here decodes, by how they begin: `.` is any byte
_OTHERS = {
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\0\0\0\x0cJXL |\xff\x0a",
    "AVIF": rb"....ftypavi[fs]",
    "HEIF": rb"....ftyp(hei[cfmsx]|hev[cmsx]|mif1|msf1)",
    "JPEG XR": rb"II\xbc[\x00\x01]",
}
_OTHER = {name: re.compile(start, re.DOTALL) for name, start in _OTHERS.items()}


def format_of(data: bytes) -> ImageFormat:
    """The format of a file's bytes; raises ItemError for none of the table's."""
    if not data:
        raise ItemError(Cause.EMPTY, "the file has no bytes")
    for each in FORMATS:
        if each.recognises(data):
            return each
    if any(start.startswith(data) for each in FORMATS for start in each.starts):
        raise ItemError(Cause.TRUNCATED, "the file ends early")
    if data.startswith(_BARE):
        raise ItemError(Cause.NOT_AN_IMAGE, "DICOM without its preamble is not read")
    for name, start in _OTHER.items():
        if start.match(data):
            raise ItemError(Cause.NO_DECODER, name)
    *names, last = (each.name for each in FORMATS)
    raise ItemError(Cause.NOT_AN_IMAGE, f"expected {', '.join(names)} or {last}")


def kind_of_head(head: bytes, has_ending: bool) -> str:
    """What the first 1024 bytes of a file tell that is found in a folder; empty for an image.

    A name with an ending that is none of an image's is believed, unless the file is DICOM.
    """
    if DICOM.recognises(head):
        return "DICOMDIR" if b"UI\x14\0" + DIRECTORY in head else ""
    if not has_ending and any(each.recognises(head) for each in FORMATS):
        return ""
    return "without an ending"


def extensions() -> tuple[str, ...]:
    """How names of images end, by which a folder is searched."""
    return tuple(end for each in FORMATS for end in each.extensions)
