"""Pictures as iTerm2 shows them: a PNG in one sequence.

Source: iTerm2, Inline Images Protocol, https://iterm2.com/documentation-images.html
"""

import base64
import io

from PIL import Image


def draw_iterm2(picture: Image.Image, columns: int, rows: int) -> str:
    """The picture on so many cells, from the cursor on."""
    buffer = io.BytesIO()
    picture.save(buffer, "png", compress_level=4)
    data = buffer.getvalue()
    keys = f"inline=1;size={len(data)};width={columns};height={rows};preserveAspectRatio=0"
    return f"\x1b]1337;File={keys};doNotMoveCursor=1:{base64.b64encode(data).decode()}\x07"
