"""Pictures in PNG files.

Pillow keeps only the high bytes of colors and transparent greys of 16 bits, so their low bytes are
asked of it in a second pass. Source: the PNG specification, third edition.
"""

import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.integrity import check_png, check_png_rows, png_chunks
from xmir_cli.images.picture import ImageFormat, Picture, Wanted
from xmir_cli.images.pillow import FLIPS, opened, orientation_of, seek_frame, shown_plain
from xmir_cli.images.samples import Samples, to_image
from xmir_cli.images.size import check_size

_GREY, _RGB, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 4, 6
_STARTS = (b"\x89PNG\r\n\x1a\n",)


@dataclass(frozen=True)
class _Header:
    """What is said of the pixels before them."""

    depth: int  # bits of a sample
    color: int
    interlaced: bool
    significant: int  # of those bits, as sBIT has them; 0 where it says nothing
    key: tuple[int, ...]  # the transparent value, as stored


def _read(data: bytes, wanted: Wanted) -> Picture:
    """The picture; raises ItemError: too large, cut, damaged, no such frame."""
    check_png(data)
    with opened(data, "PNG", wanted.pixel_limit) as image:
        assert isinstance(image, PngImageFile)
        header = _header(data)
        if wanted.frame is not None:
            seek_frame(image, wanted.frame, image.n_frames)
        check_size(*image.size, wanted.pixel_limit)
        orientation, frames = orientation_of(image), image.n_frames
        image.load()
        if _may_lack_rows(image):
            check_png_rows(data)
        if header is None or _is_plain(header):
            plain, done = shown_plain(image, wanted.window)
        else:
            if (wanted.frame or 1) > 1 and header.depth == 16 and header.color != _GREY:
                raise ItemError(Cause.NO_DECODER, "a later frame of 16-bit colors or alpha")
            plain, done = to_image(_samples(data, image, header), wanted.window)
    if orientation in FLIPS:
        plain = plain.transpose(FLIPS[orientation])
        done.append("exif-rotated")
    if wanted.frame is None and frames > 1:
        done.append(f"first of {frames} frames")
    return Picture(plain, *plain.size, tuple(done))


def _may_lack_rows(image: Image.Image) -> bool:
    """Whether its pixels could end early: Pillow leaves the rest zero without a word."""
    last = image.crop((0, image.height - 1, *image.size))
    return bool(image.info.get("interlace")) or not np.asarray(last).any()


def _count(data: bytes) -> int:
    """How many pictures a file has; raises ItemError for a damaged one."""
    with opened(data, "PNG", None) as image:
        assert isinstance(image, PngImageFile)
        return image.n_frames


def _header(data: bytes) -> _Header | None:
    """None for a palette, whose bits Pillow knows how to read."""
    chunks = png_chunks(data)
    _, _, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"][0])
    if color not in {_GREY, _RGB, _GREY_ALPHA, _RGB_ALPHA}:
        return None
    bits = bytes(chunks.get(b"sBIT", [b""])[0])[: 3 if color in {_RGB, _RGB_ALPHA} else 1]
    key = bytes(chunks.get(b"tRNS", [b""])[0])
    return _Header(
        depth,
        color,
        bool(interlaced),
        max(bits) if bits and max(bits) <= depth else 0,
        struct.unpack(f">{len(key) // 2}H", key[: len(key) // 2 * 2]),
    )


def _is_plain(header: _Header) -> bool:
    return header.depth < 16 and not header.key and header.significant in {0, header.depth}


def _samples(data: bytes, image: Image.Image, header: _Header) -> Samples:
    """The numbers of a loaded picture as the file has them."""
    numbers = _numbers(data, image, header)
    if header.color in {_GREY_ALPHA, _RGB_ALPHA}:
        values, alpha = numbers[..., :-1], numbers[..., -1]
    else:
        values, alpha = numbers, None
        if len(header.key) == numbers.shape[2]:
            alpha = (numbers != np.array(header.key, numbers.dtype)).any(axis=2)
    values = values[..., 0] if values.shape[2] == 1 else values
    declared = _declared(values, header)
    bits = header.depth
    if declared and declared[1] < 255:
        bits = 16  # so that the fewer ones are enlarged, too
        if alpha is not None and alpha.dtype != np.bool_:
            alpha = alpha / np.float32((1 << header.depth) - 1)
    return Samples(values, bits, alpha, declared=declared)


def _numbers(data: bytes, image: Image.Image, header: _Header) -> np.ndarray:
    """[H, W, S] whole numbers of the file's depth."""
    if header.depth < 16:
        found = np.asarray(image.convert("L") if image.mode == "1" else image)
        full = 255 // ((1 << header.depth) - 1)  # Pillow has multiplied with it
        return (found // full).reshape(*found.shape[:2], -1)
    if header.color == _GREY:
        return np.asarray(image)[..., None]
    if header.color == _GREY_ALPHA:  # four bytes a pixel: a high and a low one of each sample
        return _second_pass(data, image, "RGBA", header).view(">u2").astype(np.uint16)
    numbers = np.asarray(image).astype(np.uint16)
    numbers <<= 8
    numbers |= _second_pass(data, image, f"{image.mode};16L", header)
    return numbers


def _second_pass(data: bytes, image: Image.Image, form: str, header: _Header) -> np.ndarray:
    """Bytes [H, W, S] of the pixels in another of Pillow's raw forms."""
    stream = b"".join(png_chunks(data)[b"IDAT"])
    again = Image.frombytes(image.mode, image.size, stream, "zip", form, header.interlaced)
    return np.asarray(again)


def _declared(values: np.ndarray, header: _Header) -> tuple[float, float] | None:
    """Black and white where sBIT says them.

    The standard wants samples of fewer bits enlarged to the depth. Many writers store them as they
    are: then none is larger than their bits allow, and some are no enlarged ones.
    """
    most = (1 << header.significant) - 1
    whole = (1 << header.depth) - 1
    if not header.significant:
        return None
    if values.max() > most or any(
        np.array_equal(values, form) for form in _enlarged(values, header)
    ):
        return (0.0, float(whole))
    return (0.0, float(most))


def _enlarged(values: np.ndarray, header: _Header) -> list[np.ndarray]:
    """What the values would be if they were samples enlarged in one of three ways."""
    lost = header.depth - header.significant
    top = values >> lost
    repeated, filled = top << lost, header.significant
    while filled < header.depth:
        repeated |= (top << lost) >> filled
        filled += header.significant
    scale = ((1 << header.depth) - 1) / ((1 << header.significant) - 1)
    return [top << lost, repeated, np.rint(top * scale).astype(values.dtype)]


def _recognises(data: bytes) -> bool:
    return data.startswith(_STARTS)


PNG = ImageFormat("PNG", (".png",), _recognises, _count, _read, _STARTS)
