"""What the tests of a shortcut, and the numbers of their records, are called; nothing heavy."""

import re
from dataclasses import dataclass

from xmir_cli.errors import SettingError
from xmir_cli.guesses import hint

TESTS = ("object", "suspect", "saliency")
ALARM, NONE, UNDEFINED = "alarm", "none", "undefined"  # verdicts
NUMBERS = {  # of the records of a test, which gates may bound; under no name those of all
    "": ("effect", "p", "p_least", "p_holm", "area", "images"),
    "object": ("map", "map_whole", "map_chance", "p_at_1", "p_at_1_whole", "p_at_1_chance"),
    "suspect": (
        "map", "map_whole", "map_drop", "map_drop_elsewhere", "map_drop_elsewhere_max", "changed",
        "changed_elsewhere",
    ),
    "saliency": ("share", "share_exchanged", "blank"),
}  # fmt: skip
SHAPES = ("center", "border", "corners")
_MOST = {"center": 100.0, "border": 50.0, "corners": 50.0}  # percent, not reached
FILLS = ("gray", "black", "mean", "road")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_SHAPE = re.compile(r"([a-z]+):(\d{1,3}(?:\.\d+)?)%")


@dataclass(frozen=True)
class PartShape:
    """A middle, a border, or four corners; `share` of the side of what the network sees."""

    kind: str
    share: float


def parse_shape(text: str, setting: str) -> PartShape | None:
    """The shape of `border:12%`; None for what names masks. Raises SettingError."""
    kind = text.partition(":")[0]
    if kind not in SHAPES or ":" not in text:
        return None
    found = _SHAPE.fullmatch(text)
    if found is None or not 0 < float(found[2]) < _MOST[kind]:
        most = f"above 0% and below {_MOST[kind]:g}%"
        raise SettingError(setting, f"expected {kind}:N%, {most}, found {text}")
    return PartShape(kind, float(found[2]) / 100)


def refuse_telling_fill(name: str) -> None:
    """Raise SettingError for a fill that is none, or that shows something of what it hides."""
    if name in FILLS or _COLOR.fullmatch(name):
        return
    expected = f"expected {', '.join(FILLS)} or a colour #RRGGBB"
    why = "A blur shows what it should hide." if name == "blur" else hint(name, FILLS)
    raise SettingError("fill", expected, why, name)
