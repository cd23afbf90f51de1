"""How the numbers of a TIFF picture are stored; what is not read is refused by its name."""

from dataclasses import dataclass

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.tiff_directory import Directory, Tag

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
_FORMATS = {UNSIGNED: "u", SIGNED: "i", FLOAT: "f", 4: "u"}  # 4 is "undefined"
_DEFLATE = {8, 32946}
_ZIPPED = {1, *_DEFLATE, 5, 32773, 34925, 50000}  # byte streams, whatever the bytes mean
_SEEN = {2, 3, 4, 6, 7, 32771, 32809, 32908, 32909}  # that Pillow decodes to pixels of 8 bits
_COMPRESSIONS = {
    34887: "LERC",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
    34712: "JPEG 2000",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34661: "JBIG",
    34715: "JBIG2",
    34892: "lossy JPEG",
    32766: "NeXT",
}
_PHOTOMETRICS = {
    4: "a transparency mask",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32844: "LogL",
    32845: "LogLuv",
    32803: "a color filter array",
    34892: "linear raw",
    51177: "depth",
}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
_COLORS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, SEPARATED: 4, YCBCR: 3}
_NO_PREDICTOR, _DIFFERENCES, _FLOAT_DIFFERENCES = 1, 2, 3


@dataclass(frozen=True)
class Layout:
    """The form of a picture in a TIFF file, of a kind that is read."""

    width: int
    height: int
    bits: int  # of a sample
    kind: str  # of a sample, as NumPy has it: u, i or f
    samples: int  # of a pixel
    colors: int  # of them, the first ones; alpha or others follow
    photometric: int
    compression: int
    planar: bool  # each sample in a plane of its own
    predictor: int
    reversed_bits: bool  # of each stored byte
    by_pillow: bool  # whether it is of a form that Pillow alone decodes


def layout_of(directory: Directory) -> Layout:
    """The form of the picture of a directory; raises ItemError with the name of an unknown one."""
    samples = directory.whole(Tag.SAMPLES, 1)
    compression = directory.whole(Tag.COMPRESSION, 1)
    photometric = directory.whole(Tag.PHOTOMETRIC, BLACK_IS_ZERO if samples < 3 else RGB)
    bits, form = _one(directory, Tag.BITS, 1), _one(directory, Tag.SAMPLE_FORMAT, UNSIGNED)
    if form not in _FORMATS:
        raise _no_decoder("complex numbers" if form in {5, 6} else f"numbers of format {form}")
    if photometric not in _COLORS:
        raise _no_decoder(
            _PHOTOMETRICS.get(photometric, f"photometric interpretation {photometric}")
        )
    if compression not in _ZIPPED | _SEEN:
        raise _no_decoder(f"{_COMPRESSIONS.get(compression, f'compression {compression}')} in TIFF")
    layout = Layout(
        directory.whole(Tag.WIDTH),
        directory.whole(Tag.LENGTH),
        bits,
        _FORMATS[form],
        samples,
        _COLORS[photometric],
        photometric,
        compression,
        directory.whole(Tag.PLANAR, 1) == 2 and samples > 1,
        directory.whole(Tag.PREDICTOR, _NO_PREDICTOR) if compression != 1 else _NO_PREDICTOR,
        directory.whole(Tag.FILL_ORDER, 1) == 2,
        compression in _SEEN or photometric == YCBCR,
    )
    _check(layout, directory)
    return layout


def _one(directory: Directory, tag: Tag, default: int) -> int:
    """The number that all samples have in common."""
    found = {int(number) for number in directory.numbers(tag)}
    if len(found) > 1:
        raise _no_decoder("samples of different kinds")
    return found.pop() if found else default


def _check(layout: Layout, directory: Directory) -> None:
    if layout.samples < layout.colors:
        raise ItemError(
            Cause.CORRUPT, f"{layout.samples} samples where colors need {layout.colors}"
        )
    if layout.photometric == SEPARATED and (
        directory.whole(Tag.INK_SET, 1) != 1 or layout.samples - layout.colors > 1
    ):
        raise _no_decoder("inks other than CMYK")
    if layout.by_pillow:
        _check_pillow(layout, directory)
        return
    widths = {"f": {16, 32, 64}, "i": {8, 16, 32, 64}, "u": {*range(1, 17), 24, 32, 64}}
    if layout.bits not in widths[layout.kind]:
        words = {"f": "floating-point numbers", "i": "signed numbers", "u": "numbers"}
        raise _no_decoder(f"{words[layout.kind]} of {layout.bits} bits")
    if layout.photometric == PALETTE and (layout.kind != "u" or layout.bits > 16):
        raise _no_decoder("a palette of this kind")
    if layout.predictor not in {_NO_PREDICTOR, _DIFFERENCES, _FLOAT_DIFFERENCES}:
        raise _no_decoder(f"predictor {layout.predictor}")
    odd = layout.predictor == _DIFFERENCES and layout.bits not in {8, 16, 32, 64}
    if odd or (layout.predictor == _FLOAT_DIFFERENCES and layout.kind != "f"):
        raise _no_decoder(f"predictor {layout.predictor} of {layout.bits} bits")


def _check_pillow(layout: Layout, directory: Directory) -> None:
    jpeg = layout.compression in {6, 7}
    if jpeg and layout.bits > 8:
        raise _no_decoder(f"{layout.bits}-bit JPEG")
    narrow = layout.bits == 8 if jpeg or layout.photometric == YCBCR else layout.bits in {1, 4, 8}
    if layout.kind != "u" or not narrow or layout.samples != layout.colors:
        raise _no_decoder(f"{layout.samples} channels of {layout.bits} bits in TIFF's JPEG or fax")
    if layout.photometric == YCBCR and not jpeg:
        shares = directory.numbers(Tag.SUBSAMPLING) or (2, 2)
        if layout.planar or {int(share) for share in shares} != {1}:
            raise _no_decoder("YCbCr that is no JPEG, with fewer colors than pixels, in TIFF")


def _no_decoder(what: str) -> ItemError:
    return ItemError(Cause.NO_DECODER, what)
