"""Pictures in TIFF files; of several the first or a named one.

Pillow knows a few forms of the format and takes others for them, so it decodes here only what is
compressed as pixels (JPEG, fax) or stored as YCbCr; all else is put together from its numbers.
"""

import numpy as np
from PIL import Image

from xmir_cli.images.picture import ImageFormat, Picture, Wanted
from xmir_cli.images.pillow import FLIPS, faults_named, opened, shown_plain
from xmir_cli.images.samples import Samples, to_image
from xmir_cli.images.size import check_size
from xmir_cli.images.tiff_blocks import find_blocks, read_samples
from xmir_cli.images.tiff_directory import Directory, Tag, count_directories, read_directory
from xmir_cli.images.tiff_jpeg import check_jpeg
from xmir_cli.images.tiff_layout import (
    PALETTE,
    SEPARATED,
    WHITE_IS_ZERO,
    Layout,
    layout_of,
)

# a file may chain any number of directories: as many are walked to say that there are several, and
# to name all of them
_FRAMES_LIMIT, _COUNT_LIMIT = 100, 10_000
_ASSOCIATED, _UNASSOCIATED = 1, 2  # alpha


def _read(data: bytes, wanted: Wanted) -> Picture:
    """The picture; raises ItemError: too large, cut, damaged, no decoder, no such frame."""
    with faults_named(data, "TIFF", wanted.pixel_limit):
        frame = 1 if wanted.frame is None else wanted.frame
        directory = read_directory(data, frame, _COUNT_LIMIT)
        layout = layout_of(directory)
        check_size(layout.width, layout.height, wanted.pixel_limit)
        blocks = find_blocks(data, directory, layout)
        if layout.by_pillow:
            check_jpeg(data, layout, blocks)
            image, done = _by_pillow(data, wanted)
        else:
            numbers = read_samples(data, directory, layout, wanted.pixel_limit)
            image, done = to_image(_samples(numbers, directory, layout), wanted.window)
        image = _turned(image, directory, layout, done)
    if wanted.frame is None and (frames := count_directories(data, _FRAMES_LIMIT)) > 1:
        done.append(f"first of {frames if frames < _FRAMES_LIMIT else 'many'} frames")
    return Picture(image, *image.size, tuple(done))


def _count(data: bytes) -> int:
    """How many pictures a file has; raises ItemError when the first cannot be found."""
    with faults_named(data, "TIFF", None):
        read_directory(data, 1, 1)
        return count_directories(data, _COUNT_LIMIT)


def _by_pillow(data: bytes, wanted: Wanted) -> tuple[Image.Image, list[str]]:
    with opened(data, "TIFF", wanted.pixel_limit) as image:
        if wanted.frame is not None:
            image.seek(wanted.frame - 1)
        image.load()
        return shown_plain(image, wanted.window)


def _turned(
    image: Image.Image, directory: Directory, layout: Layout, done: list[str]
) -> Image.Image:
    flip = FLIPS.get(directory.whole(Tag.ORIENTATION, 1))
    if flip is None:
        return image
    done.append("exif-rotated")
    return image if layout.by_pillow else image.transpose(flip)  # Pillow has turned it already


def _samples(numbers: np.ndarray, directory: Directory, layout: Layout) -> Samples:
    """What the numbers [H, W, S] mean."""
    extra = [int(number) for number in directory.numbers(Tag.EXTRA_SAMPLES)]
    beyond = layout.samples - layout.colors
    if not extra and beyond == 1 and layout.kind == "u":  # as libtiff takes it
        extra = [_UNASSOCIATED]
    has_alpha = beyond > 0 and extra[:1] in ([_ASSOCIATED], [_UNASSOCIATED])
    shown = layout.colors + has_alpha
    left = (f"{shown} of {layout.samples} channels",) if shown < layout.samples else ()
    values, bits = numbers[..., : layout.colors], layout.bits
    if layout.photometric == PALETTE:
        values, bits = _looked_up(values[..., 0], directory, layout), 8
    alpha = numbers[..., layout.colors] if has_alpha else None
    if alpha is not None and bits != layout.bits:
        alpha = alpha.astype(np.float32) / np.float32(2**layout.bits - 1)
    return Samples(
        values[..., 0] if values.shape[2] == 1 else values,
        bits,
        alpha,
        premultiplied=extra[:1] == [_ASSOCIATED],
        declared=_declared(directory, layout),
        white_is_zero=layout.photometric == WHITE_IS_ZERO,
        done=left,
    )


def _looked_up(indices: np.ndarray, directory: Directory, layout: Layout) -> np.ndarray:
    """The colors [H, W, 3] of a palette; one that has no entry above 255 is of 8 bits."""
    size = 1 << layout.bits
    table = np.array(directory.numbers(Tag.COLOR_MAP), np.uint16)[: 3 * size]
    colors = (table >> 8 if table.max() > 255 else table).astype(np.uint8)
    found: np.ndarray = colors.reshape(3, size).T[indices]
    return found


def _declared(directory: Directory, layout: Layout) -> tuple[float, float] | None:
    """Black and white of more than 8 bits, where the file says them."""
    if layout.bits <= 8 or layout.photometric == SEPARATED:
        return None
    for first, last in ((Tag.S_MIN_VALUE, Tag.S_MAX_VALUE), (Tag.MIN_VALUE, Tag.MAX_VALUE)):
        if high := directory.numbers(last):
            return float(min(directory.numbers(first), default=0)), float(max(high))
    if layout.kind == "u" and layout.bits not in {16, 32, 64}:
        return 0.0, 2.0**layout.bits - 1
    return None


def _recognises(data: bytes) -> bool:
    return data.startswith(_STARTS)


_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
TIFF = ImageFormat("TIFF", (".tif", ".tiff"), _recognises, _count, _read, _STARTS)
