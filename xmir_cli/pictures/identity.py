"""Which image is meant, and what it is: a file, and which of its pictures.

A name is `PATH` or `PATH#frame=N`, N counted from 1. The identity is the SHA-256 of the file's
bytes with `#frame=N` behind it; the first picture of a file is known by the bare hash, for `PATH`
and `PATH#frame=1` are the same image.
"""

import re

_NAME = re.compile(r"(.+)#frame=([0-9]{1,9})", re.DOTALL)


def split_name(name: str) -> tuple[str, int | None]:
    """The file and the picture, from 1, that a name asks for; None where it asks for none."""
    match = _NAME.fullmatch(name)
    return (name, None) if match is None else (match[1], int(match[2]))


def name_of(path: str, frame: int | None) -> str:
    """The name that `split_name` takes apart."""
    return path if frame is None else f"{path}#frame={frame}"


def identity_of(sha256: str, name: str) -> str:
    """The identity of the image `name`, whose file has this SHA-256."""
    frame = split_name(name)[1]
    return sha256 if frame in {None, 1} else f"{sha256}#frame={frame}"
