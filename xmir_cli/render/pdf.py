"""A PDF of pictures, one a page, written as they come: no page is held, no time is told."""

from io import BytesIO
from typing import BinaryIO

from PIL import Image

_A4 = (595.276, 841.890)  # points, upright
_MARGIN = 10 / 25.4 * 72  # points, 10 mm: printers leave 4 to 6 mm white
_LARGEST = 0.5  # points of a pixel: small pages are not blown up
_QUALITY = 92  # of JPEG: letters stay sharp


class PdfPages:
    """Writes an A4 page for each picture."""

    def __init__(self, file: BinaryIO, landscape: bool) -> None:
        self._file, self._paper = file, _A4[::-1] if landscape else _A4
        self._places: dict[int, int] = {}  # of objects
        self._length = 0
        self._pages: list[int] = []  # their objects
        self._write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")

    def add(self, picture: Image.Image) -> None:
        """A page with the picture, an RGB one, as large as the paper within its margins allows."""
        number = 3 * len(self._pages) + 3  # 1 is the catalogue, 2 the list of pages
        packed = BytesIO()
        picture.save(packed, "JPEG", quality=_QUALITY, subsampling=0)
        width, height = picture.size
        image = (
            f"/Type /XObject /Subtype /Image /Width {width} /Height {height} "
            "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode"
        )
        self._stream(number, image, packed.getvalue())
        across, along = self._paper
        scale = min(_within(across) / width, _within(along) / height, _LARGEST)
        wide, high = width * scale, height * scale
        left, bottom = (across - wide) / 2, along - _MARGIN - high
        drawn = f"q {wide:.3f} 0 0 {high:.3f} {left:.3f} {bottom:.3f} cm /I Do Q"
        self._stream(number + 1, "", drawn.encode())
        page = (
            f"/Type /Page /Parent 2 0 R /MediaBox [0 0 {across} {along}] "
            f"/Resources << /XObject << /I {number} 0 R >> >> /Contents {number + 1} 0 R"
        )
        self._object(number + 2, f"<< {page} >>".encode())
        self._pages.append(number + 2)

    def close(self) -> int:
        """Write what comes after the last page; how many there are."""
        kids = " ".join(f"{page} 0 R" for page in self._pages)
        listed = f"<< /Type /Pages /Count {len(self._pages)} /Kids [{kids}] >>"
        self._object(2, listed.encode())
        self._object(1, b"<< /Type /Catalog /Pages 2 0 R >>")
        start, count = self._length, len(self._places) + 1
        self._write(f"xref\n0 {count}\n0000000000 65535 f \n".encode())
        for _, place in sorted(self._places.items()):
            self._write(f"{place:010} 00000 n \n".encode())
        trailer = f"trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
        self._write(trailer.encode())
        return len(self._pages)

    def _stream(self, number: int, head: str, content: bytes) -> None:
        words = f"<< {head} /Length {len(content)} >>\nstream\n".encode()
        self._object(number, words + content + b"\nendstream")

    def _object(self, number: int, content: bytes) -> None:
        self._places[number] = self._length
        self._write(b"%d 0 obj\n%s\nendobj\n" % (number, content))

    def _write(self, content: bytes) -> None:
        self._length += len(content)
        self._file.write(content)


def paper(landscape: bool, width: int) -> tuple[float, float]:
    """Width and height of A4 within its margins in pixels of pictures that are so wide."""
    size = [_within(side) for side in (_A4[::-1] if landscape else _A4)]
    scale = min(size[0] / width, _LARGEST)
    return size[0] / scale, size[1] / scale


def point(landscape: bool, width: int) -> float:
    """Pixels of a point on the paper, of pictures that are so wide."""
    return paper(landscape, width)[0] / _within(_A4[1] if landscape else _A4[0])


def _within(side: float) -> float:
    """What margins leave of a side of the paper."""
    return side - 2 * _MARGIN
