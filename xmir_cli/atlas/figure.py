"""An atlas as a picture: the plane, and beside it what its colours, stars and rings mean."""

from PIL import Image, ImageDraw

from xmir_cli.atlas.panel import LINE, PictureTile, SidePanel
from xmir_cli.atlas.plane import SIDE, draw_plane, star_colors
from xmir_cli.atlas.scene import Scene
from xmir_cli.atlas.thumbnails import Thumbnails
from xmir_cli.console import escape
from xmir_cli.render.lettering import drawable, font, shorten
from xmir_cli.render.montage import INK, PAPER
from xmir_cli.render.words import USE

_GAP, _PANEL, _TOP, _BELOW = 28, 456, 64, 44  # pixels
_LETTERS, _TITLE = 18, 24
_TILE = 140
_STARS, _APART = 9, 3  # pictures of either kind
_SOFT = (95, 100, 108)


def draw_figure(scene: Scene, thumbnails: Thumbnails) -> Image.Image:
    """The whole picture."""
    panel = _panel(scene, thumbnails)
    height = max(_TOP + SIDE + _BELOW, _TOP + panel.height + _GAP)
    drawn = Image.new("RGB", (_GAP + SIDE + _GAP + _PANEL + _GAP, height), PAPER)
    pen = ImageDraw.Draw(drawn)
    title, face = font(_TITLE), font(_LETTERS)
    words = shorten(drawable(escape(scene.title)), title, SIDE + _PANEL)
    title.write(pen, (_GAP, 20), words, INK)
    drawn.paste(draw_plane(scene), (_GAP, _TOP))
    across, up = scene.axes
    face.write(pen, (_GAP + SIDE / 2, _TOP + SIDE + 8), across, _SOFT, "ma")
    side = Image.new("RGB", (SIDE, LINE), PAPER)
    face.write(ImageDraw.Draw(side), (SIDE / 2, 2), up, _SOFT, "ma")
    drawn.paste(side.rotate(90, expand=True), (1, _TOP))
    drawn.paste(panel.draw(), (_GAP + SIDE + _GAP, _TOP))
    face.write(pen, (_GAP + SIDE, _TOP + SIDE + 8), USE, _SOFT, "ra")
    return drawn


def _panel(scene: Scene, thumbnails: Thumbnails) -> SidePanel:
    panel = SidePanel(_PANEL)
    if scene.colorings:
        panel.legend(scene.colorings[0])
    panel.marks(len(scene.classes), int(scene.outliers.sum()), int((scene.groups > 0).sum()))
    classes = scene.classes[:_STARS]
    apart = scene.furthest[:_APART].tolist()
    shown = [*(each.nearest for each in classes), *scene.spread, *apart]
    tiles = iter(thumbnails.read(shown, _TILE))
    panel.pictures(
        "Nearest to the mean of its label",
        [
            PictureTile(next(tiles), each.label, _similar(each.similarity), color)
            for each, color in zip(classes, star_colors(scene), strict=False)
        ],
    )
    panel.pictures(
        "All over the plane",
        [
            PictureTile(next(tiles), f"{number}  {scene.short_name(row)}", "")
            for number, row in enumerate(scene.spread, 1)
        ],
    )
    panel.pictures(
        "Furthest apart",
        [
            PictureTile(next(tiles), scene.short_name(row), _similar(scene.around.to_others[row]))
            for row in apart
        ],
    )
    return panel


def _similar(similarity: float) -> str:
    return f"similarity {similarity:.3f}"
