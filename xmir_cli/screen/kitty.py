"""Pictures as kitty shows them: a PNG in pieces, placed on so many cells.

In tmux the picture goes past it to the terminal, and characters stand for its cells, which tmux
moves about as text.

Source: Goyal, Terminal graphics protocol, https://sw.kovidgoyal.net/kitty/graphics-protocol/
"""

import base64
import io
import os
from collections.abc import Iterator

from PIL import Image

from xmir_cli.screen.asking import pass_on

_PIECE = 4096  # characters of base64
_CELL = "\U0010eeee"
# marks above a letter that stand for numbers from 0 on
_MARKS = [
    *"\u0305\u030d\u030e\u0310\u0312\u033d\u033e\u033f\u0346\u034a\u034b\u034c",
    *"\u0350\u0351\u0352\u0357\u035b",
    *(chr(code) for code in range(0x363, 0x370)),
]
MOST_ROWS = len(_MARKS)  # of a picture in tmux


def draw_kitty(picture: Image.Image, columns: int, rows: int) -> str:
    """The picture on so many cells, from the cursor on, which stays where it is."""
    return "".join(_pieces(picture, f"a=T,f=100,q=2,C=1,c={columns},r={rows}"))


def draw_in_tmux(picture: Image.Image, columns: int, rows: int) -> str:
    """The picture on so many cells as lines of text, at most MOST_ROWS."""
    # pictures of one name replace each other; its last byte is a colour, of which tmux knows 256
    first, last = os.urandom(1)[0] % len(_MARKS), 16 + os.urandom(1)[0] % 240
    keys = f"a=T,U=1,i={first << 24 | last},f=100,q=2,c={columns},r={rows}"
    sent = "".join(pass_on(piece) for piece in _pieces(picture, keys))
    marks = [f"{_MARKS[row]}{_MARKS[0]}{_MARKS[first]}" for row in range(rows)]  # of the first cell
    lines = [f"\x1b[38;5;{last}m{_CELL}{each}{_CELL * (columns - 1)}\x1b[39m\n" for each in marks]
    return sent + "".join(lines)


def _pieces(picture: Image.Image, keys: str) -> Iterator[str]:
    """The picture in several sequences, the first of which says what is to be done."""
    buffer = io.BytesIO()
    picture.save(buffer, "png", compress_level=4)
    data = base64.b64encode(buffer.getvalue()).decode()
    for start in range(0, len(data), _PIECE):
        more = int(start + _PIECE < len(data))
        yield f"\x1b_G{keys}{',' if keys else ''}m={more};{data[start : start + _PIECE]}\x1b\\"
        keys = ""
