r"""Names that are no UTF-8, in tables that hold nothing else: bytes become `\xNN`, and bytes again.

In memory such a byte is a lone surrogate, as Python's own file functions have it.
"""

import re

_ESCAPE = re.compile(r"\\(?:\\|x([89a-f][0-9a-f]))")


def escape_name(text: str) -> str:
    r"""Text that fits into a table; `restore_name` gives it back.

    Bytes that are no UTF-8 become `\xNN`. Backslashes are doubled there, and where the text would
    be taken for such a one; all other text stays as it is.
    """
    raw = text.encode("utf-8", "surrogateescape")
    try:
        if _restore(text) == text:
            return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    return raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def restore_name(text: str) -> str:
    """The text of which `escape_name` made this."""
    return _restore(text) if "\\" in text else text


def escape_typed(text: str) -> str:
    """What was typed as a table may hold it: as it is, or escaped when it is no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return escape_name(text)
    return text


def _restore(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(0xDC00 + int(found[1], 16)) if found[1] else "\\", text)
