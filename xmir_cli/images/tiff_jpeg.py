"""JPEG in TIFF, looked at before it is decoded: libtiff fills up what is missing, and only warns.

Source: Adobe Photoshop TIFF technical note 2 (each strip or tile is a JPEG of its own).
"""

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import has_end, read_codestream
from xmir_cli.images.tiff_blocks import Blocks
from xmir_cli.images.tiff_layout import Layout

_JPEG = 7  # a compression


def check_jpeg(data: bytes, layout: Layout, blocks: Blocks) -> None:
    """Refuse JPEG that is cut, of other sides than its place, or not JPEG at all.

    Raises ItemError.
    """
    if layout.compression != _JPEG:
        return
    for number, (start, length) in enumerate(zip(blocks.starts, blocks.lengths, strict=True)):
        part = data[start : start + length]
        stream = read_codestream(part)
        if stream is None:
            continue  # libtiff knows best
        if stream.kind not in {"JPEG", "JPEG Lossless"}:
            raise ItemError(Cause.NO_DECODER, f"{stream.kind} in TIFF")
        if stream.precision != layout.bits:
            raise ItemError(Cause.NO_DECODER, f"{stream.precision}-bit JPEG")
        if not has_end(part, stream):
            raise ItemError(Cause.TRUNCATED, "its JPEG ends early")
        # the last strip has only the rows that are left; planes of colours may be smaller
        row = number % (blocks.across * blocks.down) // blocks.across * blocks.height
        height = blocks.height if blocks.tiled else min(blocks.height, layout.height - row)
        small = stream.width < blocks.width or 0 < stream.height < height
        if small and not layout.planar:
            found = f"{stream.width} x {stream.height} pixels in its JPEG"
            raise ItemError(Cause.CONTRADICTORY, f"{found}, {blocks.width} x {height} in the tags")
