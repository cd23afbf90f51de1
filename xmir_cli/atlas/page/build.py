"""The page of an atlas, whole or not at all."""

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from xmir_cli import __version__, console
from xmir_cli.atlas.page.data import page_data
from xmir_cli.atlas.page.sprites import SIDE, make_sheets
from xmir_cli.atlas.scene import Scene
from xmir_cli.atlas.thumbnails import Thumbnails, choose_rows
from xmir_cli.console import escape
from xmir_cli.errors import SettingError
from xmir_cli.pages.html import COMMON, PageFiles, fill
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

if TYPE_CHECKING:
    from jinja2 import Template

MEGABYTE = 1 << 20
_FOLDER = Path(__file__).parent
_SCRIPTS = (
    *("points.js", "names.js", "elements.js", "tiles.js", "marks.js", "map.js"),
    *("colors.js", "image.js", "selection.js", "pointer.js", "atlas.js"),
)
FILES = PageFiles(
    _FOLDER / "atlas.html",
    [_FOLDER / name for name in _SCRIPTS],
    [COMMON, _FOLDER / "atlas.css"],
)


@dataclass(frozen=True)
class PageLimits:
    """How much a page holds."""

    thumbnails: int
    megabytes: int

    def check(self, size: int) -> None:
        """Raise SettingError for a page of so many bytes, when that is too large."""
        if size > self.megabytes * MEGABYTE:
            raise SettingError(
                "limit",
                f"the page would hold {size / MEGABYTE:.0f} MB or more",
                f"Draw fewer pictures with `thumbnails` (now {self.thumbnails}), fewer images with "
                "`sample`, or raise `limit`.",
            )


def build_page(
    template: "Template",
    scene: Scene,
    made: Record,
    thumbnails: Thumbnails,
    limits: PageLimits,
) -> bytes:
    """The page, as one file.

    Args:
        template: That of `FILES`.
        scene: What it shows.
        made: The record of the atlas, of which it tells how it was made.
        thumbnails: Read the pictures.
        limits: How many of those, and how large the page may become.

    Raises:
        SettingError: It would be too large.
    """
    values = {
        "title": escape(scene.title),
        "scene": scene,
        "axes": scene.axes,
        "ringed": int(scene.outliers.sum()),
        "copies": int((scene.groups > 0).sum()),
        "labels": [escape(each.label) for each in scene.classes],
        "names": [escape(scene.short_name(each.nearest)) for each in scene.classes],
        "made": _told(made),
        "version": __version__,
    }
    bare = fill(template, FILES, values, page_data(scene, [], []))
    limits.check(len(bare))
    duplicates = np.flatnonzero(scene.groups)
    first = [scene.stars, scene.furthest, duplicates]
    rows = choose_rows(first, len(scene.places), limits.thumbnails)
    with console.progress("reading pictures", len(rows)) as bar:
        sheets = make_sheets(thumbnails.read(rows, SIDE, bar.advance))
    limits.check(len(bare) + sum(map(len, sheets)))
    return fill(template, FILES, values, page_data(scene, rows, sheets))


def _told(made: Record) -> list[tuple[str, str]]:
    """What the record says of how it was made, a line each."""
    told: Record = {
        "embeddings": PurePath(str(made["embeddings"])).name,
        **{name: made[name] for name in ("images", "of", "dim", "method") if name in made},
    }
    for part in ("settings", "neighbours"):
        values = made[part]
        assert isinstance(values, dict)
        told |= {f"{part}: {name}": value for name, value in values.items()}
    model = ModelSpec.from_json(made["model"], "record")
    told |= {"network": model.architecture, "its weights (SHA-256)": model.weights_sha256}
    return [(name, _text(value)) for name, value in told.items()]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else escape(str(value))
