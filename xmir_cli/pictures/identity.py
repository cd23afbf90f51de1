"""Which image is meant, and what it is: a file, and which of its pictures.

A name is `PATH` or `PATH#frame=N`, N counted from 1; `PATH#frame=1-40` and `PATH#frame=*` ask for
several images. The identity is the SHA-256 of the file's
bytes with `#frame=N` behind it; the first picture of a file is known by the bare hash, for `PATH`
and `PATH#frame=1` are the same image.
"""

import re

_NAME = re.compile(r"(.+)#frame=([0-9]{1,9})", re.DOTALL)
_SEVERAL = re.compile(r"(.+)#frame=(\*|([0-9]{1,9})-([0-9]{1,9}))", re.DOTALL)
RANGE_LIMIT = 100_000  # frames that one range names


def split_name(name: str) -> tuple[str, int | None]:
    """The file and the picture, from 1, that a name asks for; None where it asks for none."""
    match = _NAME.fullmatch(name) if "#frame=" in name else None
    return (name, None) if match is None else (match[1], int(match[2]))


def name_of(path: str, frame: int | None) -> str:
    """The name that `split_name` takes apart."""
    return path if frame is None else f"{path}#frame={frame}"


def identity_of(sha256: str, name: str) -> str:
    """The identity of the image `name`, whose file has this SHA-256."""
    frame = split_name(name)[1]
    return sha256 if frame in {None, 1} else f"{sha256}#frame={frame}"


def file_of(name: str) -> str:
    """The file that holds the image `name`."""
    return split_name(name)[0]


def split_range(name: str) -> tuple[str, range | None] | None:
    """The file and the frames of a name that asks for several; None for every other name.

    The frames are None for `*`: all there are. Raises ValueError for a range that runs backwards,
    starts at 0 or is too long.
    """
    match = _SEVERAL.fullmatch(name)
    if match is None:
        return None
    if match[2] == "*":
        return match[1], None
    first, last = int(match[3]), int(match[4])
    if not 1 <= first <= last < first + RANGE_LIMIT:
        raise ValueError(f"expected FIRST-LAST from 1, at most {RANGE_LIMIT}, found {match[2]}")
    return match[1], range(first, last + 1)
