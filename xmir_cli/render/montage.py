"""A page of queries and what was retrieved for them, one query a row, as the paper's figure 4."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from xmir_cli.render.lettering import font
from xmir_cli.render.words import wrap

# of Okabe and Ito's palette: told apart also by colour-blind readers, and the captions say it too
QUERY, CORRECT, WRONG, UNKNOWN = (0, 114, 178), (0, 158, 115), (213, 94, 0), (150, 150, 150)
PAPER, INK = (255, 255, 255), (30, 30, 30)
GAP = 12  # pixels between the groups of a row, and around the page
LINE = 1.35  # line height over font size
_BORDER = 5  # pixels of the coloured frame
_SEAM = 3  # pixels between the pictures of a group
_ABSENT, _NOTE = (228, 228, 228), (0, 0, 0)
_MOST = 9  # pictures beside the query's before a row goes on below
_FILLED = 0.75  # share of the places of its lines that a row must fill
_WORDS = 12  # heights of letters that the text below a query is wide at least
_SMALLEST = 8  # pixels, height of letters
_LEAST = 480  # pixels of a page's width


@dataclass(frozen=True)
class Tile:
    """A picture, a grey place where it is None, and what is written into it."""

    picture: Image.Image | None
    note: str = ""


@dataclass(frozen=True)
class Group:
    """The pictures of one image in one frame, with lines of text below that hold for all."""

    tiles: Sequence[Tile]
    frame: tuple[int, int, int]
    lines: Sequence[str]


@dataclass(frozen=True)
class ColorBar:
    """What the colours of one method stand for."""

    name: str  # the method, and the unit of its numbers
    colormap: str
    largest: float  # the value of full colour
    beyond: float = 0.0  # the largest there is, where it is above full colour
    ends: tuple[str, str] = ("", "")  # what the lowest and the largest value say


@dataclass(frozen=True)
class PageLayout:
    """Where everything lies: a query, then groups of hits, which go on in further lines."""

    side: int  # pixels of a picture
    titles: Sequence[str]  # over the pictures of a hit
    hits: int  # of the query that has most
    asks: str = "query"  # the title over the first picture of a row
    letters: int = 13  # pixels that they are high at least

    @property
    def text(self) -> int:
        """Height of letters, pixels."""
        return max(self.letters, self.side // 16)

    @property
    def per_line(self) -> int:
        """How many hits stand side by side: as many as fill their lines."""
        most = max(1, min(self.hits, _MOST // len(self.titles)))
        places = {count: -(-self.hits // count) * count for count in range(1, most + 1)}
        count = max(count for count, all_ in places.items() if self.hits > _FILLED * all_)
        return -(-self.hits // -(-self.hits // count))

    @property
    def tiles(self) -> int:
        """How many pictures stand side by side, the query's with them."""
        return 1 + self.per_line * len(self.titles)

    @property
    def width(self) -> int:
        """Pixels of the page."""
        groups = self.per_line * (self.group_width(len(self.titles)) + GAP)
        return max(_LEAST, GAP + self.query_width + GAP + groups)

    @property
    def query_width(self) -> int:
        """Pixels of the query and of the text below it, which needs some room."""
        return max(self.group_width(1), _WORDS * self.text)

    def group_width(self, tiles: int) -> int:
        """Pixels of so many pictures in a frame."""
        return 2 * _BORDER + tiles * self.side + (tiles - 1) * _SEAM

    def left(self, group: int) -> int:
        """Where a group of a line begins; the query's is group 0."""
        if group == 0:
            return GAP
        each = self.group_width(len(self.titles)) + GAP
        return GAP + self.query_width + GAP + (group - 1) * each

    def left_of_tile(self, tile: int) -> int:
        """Where a picture begins within its group."""
        return _BORDER + tile * (self.side + _SEAM)


def draw_header(layout: PageLayout) -> Image.Image:
    """The titles over their columns, as wide as the page."""
    size = _size_of_words(layout)
    face, height = font(size), round(size * LINE)
    places = [layout.left(0) + layout.left_of_tile(0)] + [
        layout.left(group) + layout.left_of_tile(tile)
        for group in range(1, layout.per_line + 1)
        for tile in range(len(layout.titles))
    ]
    titles = [wrap(each, face, layout.side) for each in layout.titles]
    lines = [wrap(layout.asks, face, layout.side), *titles * layout.per_line]
    strip = Image.new("RGB", (layout.width, GAP + max(map(len, lines)) * height + GAP // 2), PAPER)
    draw = ImageDraw.Draw(strip)
    for left, written in zip(places, lines, strict=True):
        for number, line in enumerate(written):
            y = GAP + number * height
            face.write(draw, (left + layout.side / 2, y), line, INK, "ma")
    return strip


def draw_row(query: Group, hits: Sequence[Group], layout: PageLayout) -> list[Image.Image]:
    """A query and its hits in lines as wide as the page; captions are as high as they are long."""
    count = layout.per_line
    starts = range(0, len(hits), count)
    return [
        _draw_line([None if start else query, *hits[start : start + count]], layout)
        for start in starts
    ]


def stack(strips: Sequence[Image.Image], width: int) -> Image.Image:
    """Strips of a page below each other."""
    page = Image.new("RGB", (width, sum(each.height for each in strips)), PAPER)
    top = 0
    for each in strips:
        page.paste(each, (0, top))
        top += each.height
    return page


def fit_picture(picture: Image.Image, side: int) -> Image.Image:
    """The picture within `side` x `side` pixels at its own aspect, on black."""
    scale = side / max(picture.size)
    small = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))),
        Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC,
    )
    square = Image.new("RGB", (side, side))
    square.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    return square


def _size_of_words(layout: PageLayout) -> int:
    """Height of letters in which the words of the titles need not be broken, if there is one."""
    words = [word for title in (layout.asks, *layout.titles) for word in title.split()]
    for size in range(layout.text, _SMALLEST, -1):
        if all(font(size).getlength(word) <= layout.side for word in words):
            return size
    return _SMALLEST


def _draw_line(groups: Sequence[Group | None], layout: PageLayout) -> Image.Image:
    face, height = font(layout.text), round(layout.text * LINE)
    widths = [layout.query_width] + [layout.group_width(len(layout.titles))] * (len(groups) - 1)
    written = [
        [] if each is None else _wrapped(each, width, layout)
        for each, width in zip(groups, widths, strict=True)
    ]
    outer = layout.side + 2 * _BORDER
    size = (layout.width, outer + max(map(len, written)) * height + GAP)
    strip = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(strip)
    for number, group in enumerate(groups):
        if group is None:
            continue
        left = layout.left(number)
        _draw_group(strip, left, group, layout)
        for place, line in enumerate(written[number]):
            y = outer + round((place + 0.1) * layout.text * LINE)
            face.write(draw, (left, y), line, INK)
    return strip


def _wrapped(group: Group, width: int, layout: PageLayout) -> list[str]:
    face = font(layout.text)
    return [part for line in group.lines if line for part in wrap(line, face, width)]


def _draw_group(strip: Image.Image, left: int, group: Group, layout: PageLayout) -> None:
    draw = ImageDraw.Draw(strip)
    right = left + layout.group_width(len(group.tiles)) - 1
    draw.rectangle((left, 0, right, layout.side + 2 * _BORDER - 1), fill=group.frame)
    for number, tile in enumerate(group.tiles):
        place = (left + layout.left_of_tile(number), _BORDER)
        if tile.picture is None:
            square = Image.new("RGB", (layout.side, layout.side), _ABSENT)
        else:
            square = fit_picture(tile.picture, layout.side)
        if tile.note:
            _write_note(square, tile.note, layout.text)
        strip.paste(square, place)


def _write_note(square: Image.Image, note: str, size: int) -> None:
    """White words on black along the lower side, as small as it takes to have them all."""
    size = next(
        (each for each in range(size, _SMALLEST, -1) if _top_of_note(note, each, square) >= 0),
        _SMALLEST,
    )
    face, height = font(size), round(size * LINE)
    lines = wrap(note, face, square.width - 4)
    top = max(0, _top_of_note(note, size, square))
    draw = ImageDraw.Draw(square)
    draw.rectangle((0, top, square.width, square.height), fill=_NOTE)
    for number, line in enumerate(lines):
        y = top + size // 6 + number * height
        face.write(draw, (square.width / 2, y), line, PAPER, "ma")


def _top_of_note(note: str, size: int, square: Image.Image) -> int:
    """Where a note in letters of this size begins; negative when it does not fit."""
    lines = wrap(note, font(size), square.width - 4)
    return square.height - len(lines) * round(size * LINE) - size // 3
