"""Pictures in JPEG files."""

import struct

from PIL import Image
from PIL.ImageChops import invert
from PIL.MpoImagePlugin import MpoImageFile

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import check_scans
from xmir_cli.images.picture import ImageFormat, Picture, Wanted
from xmir_cli.images.pillow import FLIPS, opened, orientation_of, seek_frame, shown_plain
from xmir_cli.images.size import check_size

# processes of JPEG by the marker of their frame header, that no decoder here knows
_PROCESSES = {
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical JPEG"),
    0xC3: "lossless JPEG",
    0xCB: "arithmetic lossless JPEG",
    0xF7: "JPEG-LS",
}
_STARTS = (b"\xff\xd8\xff",)


def _read(data: bytes, wanted: Wanted) -> Picture:
    """The picture; one that keeps `wanted.enough` pixels is decoded at a part of its size.

    That part is a half, a quarter or an eighth, sides rounded up, of upright files only.

    It raises ItemError: too large, too many scans, cut, damaged, no decoder, no such frame.
    """
    check_scans(data)
    _check_process(data)
    with opened(data, "JPEG", wanted.pixel_limit) as image:
        if wanted.frame is not None:
            seek_frame(image, wanted.frame, _frames(image))
        check_size(*image.size, wanted.pixel_limit)
        orientation, full = orientation_of(image), image.size
        if wanted.enough is not None and orientation == 1:
            image.draft("", (wanted.enough, wanted.enough))
        frames = 1 if wanted.frame is not None else _frames(image)
        image.load()
        # Pillow takes all inks to be inverted, as Adobe's are
        shown = image if "adobe" in image.info or image.mode != "CMYK" else invert(image)
        plain, done = shown_plain(shown, wanted.window)
    if plain.size != full:
        done.append(f"jpeg 1/{-(-full[0] // plain.width)}")
    if orientation in FLIPS:
        plain = plain.transpose(FLIPS[orientation])
        done.append("exif-rotated")
    if frames > 1:
        done.append(f"first of {frames} frames")
    return Picture(plain, *(plain.size if orientation in FLIPS else full), tuple(done))


def _count(data: bytes) -> int:
    """How many pictures a file has; raises ItemError for a damaged one."""
    with opened(data, "JPEG", None) as image:
        return _frames(image)


def _frames(image: Image.Image) -> int:
    return int(image.n_frames) if isinstance(image, MpoImageFile) else 1


def _check_process(data: bytes) -> None:
    """Refuse by its name what the libraries here cannot decode, instead of calling it damaged."""
    place = 2
    try:
        while True:
            mark, marker, length = struct.unpack_from(">BBH", data, place)
            if mark != 0xFF or marker == 0xDA:
                return
            if marker == 0xFF:  # a fill byte
                place += 1
            elif (0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}) or marker == 0xF7:
                bits = data[place + 4]
                name = _PROCESSES.get(marker) or (f"{bits}-bit JPEG" if bits != 8 else "")
                if name and not (marker == 0xC3 and bits == 8):  # which some builds decode
                    raise ItemError(Cause.NO_DECODER, name)
                return
            else:
                place += 2 + length
    except (struct.error, IndexError):  # cut: the decoder tells
        return


def _recognises(data: bytes) -> bool:
    return data.startswith(_STARTS)


JPEG = ImageFormat("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), _recognises, _count, _read, _STARTS)
