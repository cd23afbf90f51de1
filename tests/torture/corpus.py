"""Hostile and odd images: what each is called, its bytes, and the code of its skip, if any."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, PngImagePlugin

CANARY = "CANARYPHI"  # a patient's name, wherever a file can hold one
NOISE = np.random.default_rng(7).integers(0, 256, (48, 40), dtype=np.uint8)
GREY = Image.fromarray(NOISE)
COLOR = Image.fromarray(np.stack([NOISE, NOISE.T.reshape(48, 40), 255 - NOISE], axis=-1))


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """The image as a file of that form."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def images() -> Iterator[tuple[str, bytes, str]]:
    """Every file with the code that `embed` must give it."""
    yield from _no_images()
    yield from _damaged()
    yield from _odd()
    yield from _bombs()
    yield from _dicom()


def _no_images() -> Iterator[tuple[str, bytes, str]]:
    yield "zero.png", b"", "empty"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    others = {
        "words": b"not an image\n",
        "html": b"<!doctype html><script>alert(1)</script>",
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "pdf": b"%PDF-1.7\n" + CANARY.encode(),
        "svg": svg,
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "random": np.random.default_rng(0).bytes(999),
        "zeros": bytes(999),
        "gif": saved(GREY, "GIF"),
        "bmp": saved(GREY, "BMP"),
        "webp": saved(GREY, "WEBP"),
        "pickle": b"\x80\x04cos\nsystem\n(S'touch PWNED'\ntR.",
    }
    for name, data in others.items():
        yield f"{name}.png", data, "not-an-image"


def _damaged() -> Iterator[tuple[str, bytes, str]]:
    whole = {
        "png": saved(GREY, "PNG"),
        "jpg": saved(COLOR, "JPEG"),
        "tif": saved(GREY, "TIFF"),
        "lzw.tif": saved(GREY, "TIFF", compression="tiff_lzw"),
    }
    for name, data in whole.items():
        for share in (10, 50, 95):
            yield f"cut{share}.{name}", data[: len(data) * share // 100], "truncated"
    yield "start.png", b"\x89PNG", "truncated"
    flipped = bytearray(whole["png"])
    flipped[60] ^= 0xFF
    yield "flipped.png", bytes(flipped), "corrupt"
    damaged = bytearray(whole["lzw.tif"])
    damaged[40:400] = bytes(360)
    yield "noisy.tif", bytes(damaged), "corrupt"
    yield (
        "nan.tif",
        saved(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"),
        ("bad-values"),
    )


def _odd() -> Iterator[tuple[str, bytes, str]]:
    deep = NOISE.astype(np.uint16) * 257
    alpha = Image.merge("RGBA", (*COLOR.split(), GREY))
    named = PngImagePlugin.PngInfo()
    named.add_text("PatientName", CANARY)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x013B] = 6, CANARY, CANARY
    odd = {
        "16bit.png": saved(Image.fromarray(deep), "PNG"),
        "16bit.tif": saved(Image.fromarray(deep), "TIFF"),
        "12in16.tif": saved(Image.fromarray(deep >> 4), "TIFF"),
        "int32.tif": saved(Image.fromarray(NOISE.astype(np.int32)), "TIFF"),
        "float.tif": saved(Image.fromarray(NOISE / np.float32(255)), "TIFF"),
        "cmyk.jpg": saved(COLOR.convert("CMYK"), "JPEG"),
        "palette.png": saved(COLOR.quantize(16), "PNG"),
        "rgba.png": saved(alpha, "PNG"),
        "la.png": saved(alpha.convert("LA"), "PNG"),
        "1bit.png": saved(GREY.convert("1"), "PNG"),
        "comment.jpg": saved(COLOR, "JPEG", comment=CANARY.encode(), exif=exif),
        "text.png": saved(GREY, "PNG", pnginfo=named),
        "pages.tif": saved(GREY, "TIFF", save_all=True, append_images=[GREY]),
        "apng.png": saved(GREY, "PNG", save_all=True, append_images=[COLOR.convert("L")]),
        "1x1.png": saved(Image.new("L", (1, 1)), "PNG"),
        "3x3.png": saved(Image.new("L", (3, 3)), "PNG"),
        "JPEG.PNG": saved(COLOR, "JPEG"),
        "png.jpeg": saved(GREY, "PNG"),
        "trailer.png": saved(GREY, "PNG") + CANARY.encode() * 99,
    }
    for name, data in odd.items():
        yield name, data, ""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bombs() -> Iterator[tuple[str, bytes, str]]:
    def png(width: int, height: int, more: bytes = b"", rows: int = 9) -> bytes:
        header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        pixels = _chunk(b"IDAT", zlib.compress(bytes((width + 1) * min(rows, height))))
        return b"\x89PNG\r\n\x1a\n" + header + more + pixels + _chunk(b"IEND", b"")

    text = zlib.compress(bytes(80 << 20), 9)
    yield "pixels.png", png(13_000, 13_000), "too-large"
    yield "widest.png", png(2**31 - 1, 2**31 - 1, rows=0), "too-large"
    yield "ribbon.png", png(60_000, 1), "bad-size"
    yield "ztxt.png", png(9, 9, _chunk(b"zTXt", b"k\0\0" + text)), "corrupt"
    yield "iccp.png", png(9, 9, _chunk(b"iCCP", b"k\0\0" + text)), "corrupt"
    jpeg = bytearray(saved(COLOR, "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65_000, 65_000)
    yield "sof.jpg", bytes(jpeg), "too-large"
    slow = saved(Image.new("L", (500, 500)), "JPEG", progressive=True)
    yield (
        "scans.jpg",
        slow[:-2] + slow[slow.rindex(b"\xff\xda") : -2] * 999 + slow[-2:],
        ("too-large"),
    )
    tiff = bytearray(saved(GREY, "TIFF"))
    for place in range(10, 10 + 12 * 2, 12):  # the first entries: width and height
        tiff[place : place + 12] = tiff[place : place + 8] + struct.pack("<I", 60_000)
    yield "strips.tif", bytes(tiff), "too-large"


def _dicom() -> Iterator[tuple[str, bytes, str]]:
    for name, change, code in (
        ("plain.dcm", {}, ""),
        ("monochrome1.dcm", {"PhotometricInterpretation": "MONOCHROME1"}, ""),
        ("window.dcm", {"WindowCenter": "100", "WindowWidth": "50"}, ""),
        ("frames.dcm", {"NumberOfFrames": "3", "PixelData": bytes(48 * 40 * 3)}, "multi-frame"),
        ("nopixels.dcm", {"PixelData": None}, "no-pixels"),
        ("short.dcm", {"PixelData": bytes(100)}, "contradictory"),
        ("huge.dcm", {"Rows": 60_000, "Columns": 60_000}, "too-large"),
        ("flat.dcm", {"Rows": 0}, "bad-size"),
        ("photometric.dcm", {"PhotometricInterpretation": CANARY}, "no-decoder"),
        ("norows.dcm", {"Rows": None}, "missing-tag"),
    ):
        yield name, dicom(change), code
    window = dicom({"WindowCenter": "1234", "WindowWidth": "50"})
    yield "odd-window.dcm", window.replace(b"1234", b"PHI!"), ""
    yield "cut.dcm", dicom({})[:200], "no-pixels"
    yield "half.dcm", dicom({})[:-999], "truncated"


def dicom(change: dict[str, object]) -> bytes:
    """A grey DICOM file with a patient's name everywhere, some of its elements replaced."""
    from pydicom import config
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    config.settings.writing_validation_mode = config.IGNORE
    config.settings.reading_validation_mode = config.IGNORE
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    own = {
        "PatientName": CANARY, "PatientID": CANARY, "StudyDescription": CANARY,
        "Modality": CANARY, "ViewPosition": CANARY, "ImageComments": CANARY,
        "Rows": 48, "Columns": 40, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7,
        "PixelRepresentation": 0, "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "PixelData": NOISE.tobytes(),
    }  # fmt: skip
    for name, value in {**own, **change}.items():
        if value is not None:
            setattr(dataset, name, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()
