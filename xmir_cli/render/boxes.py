"""Numbered boxes on a picture: the same number and colour on either picture of a pair."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from xmir_cli.render.lettering import font

# Okabe and Ito's colours, which colour-blind people tell apart, but for those too dark to bear a
# black number
COLORS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7")
_LARGEST_TEXT = 0.45  # of a box's side
_READABLE = 12  # pixels of a number, where its box has room for it


def draw_boxes(
    picture: Image.Image, boxes: Sequence[Sequence[float]], numbered: bool = True
) -> Image.Image:
    """A copy of an RGB picture with boxes (left, top, width, height, in its pixels) from 1 on.

    The frames lie inside their boxes, so that neighbours do not hide each other.
    """
    drawn = picture.copy()
    pen = ImageDraw.Draw(drawn)
    line = max(1, round(max(picture.size) / 300))
    for index, (left, top, width, height) in enumerate(boxes):
        color = COLORS[index % len(COLORS)]
        # at least a pixel, however small the part of it
        right, bottom = max(left + width - 1, left), max(top + height - 1, top)
        corners = [round(side) for side in (left, top, right, bottom)]
        pen.rectangle(corners, outline="black", width=3 * line)
        pen.rectangle(corners, outline=color, width=2 * line)
        if not numbered:
            continue
        wanted = max(_READABLE, max(picture.size) / 30)
        size = max(8, round(min(wanted, _LARGEST_TEXT * min(width, height))))
        _number(pen, (corners[0], corners[1]), str(index + 1), (size, color))
    return drawn


def draw_points(picture: Image.Image, points: Sequence[Sequence[float]]) -> Image.Image:
    """A copy of an RGB picture with a ring and a dot around each place (x, y) in its pixels."""
    drawn = picture.copy()
    pen = ImageDraw.Draw(drawn)
    line = max(1, round(max(picture.size) / 300))
    for index, (x, y) in enumerate(points):
        color, radius = COLORS[index % len(COLORS)], max(5, max(picture.size) / 28)
        pen.circle((x, y), radius + line, outline="black", width=4 * line)
        pen.circle((x, y), radius, outline=color, width=2 * line)
        pen.circle((x, y), 2 * line, fill="black")
        pen.circle((x, y), line, fill=color)
    return drawn


def at_size(
    picture: Image.Image, boxes: Sequence[Sequence[float]], side: int
) -> tuple[Image.Image, list[list[float]]]:
    """The picture and its boxes, the longer side scaled to `side` before lines are drawn."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    resample = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    return picture.resize(size, resample), [[part * scale for part in box] for box in boxes]


def _number(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, look: tuple[int, str]
) -> None:
    """The number on a ground of its box's colour, in the box's upper left corner."""
    size, color = look
    face = font(size)
    left, top, right, bottom = face.getbbox(text)
    margin = max(1, size // 6)
    x, y = corner
    ground = (x, y, x + right - left + 2 * margin, y + bottom - top + 2 * margin)
    pen.rectangle(ground, fill=color)
    face.write(pen, (x + margin - left, y + margin - top), text, "black")
