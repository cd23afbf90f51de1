"""Which grey scales the deep pictures of a run are taken to be on; several are said once.

A 12-bit picture with one pixel above 4095 is taken for 16 bits, and comes out 16 times darker than
its neighbours: nothing in the file tells, but the neighbours do.
"""

import re
import threading
from collections.abc import Iterable

from xmir_cli import console

_SCALE = re.compile(r"scaled from (\S+?)( as declared)?")
_NAMED = 3  # so many scales are told


class _Met:
    """What this run has met."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.scales: dict[str, bool] = {}  # and whether a file itself says each of them
        self.setting = "window"  # what the user calls it

    @property
    def several(self) -> bool:
        """Whether there are several scales, and not all of them are said by the files."""
        return len(self.scales) > 1 and not all(self.scales.values())


_MET = _Met()


def begin_run(setting: str) -> None:
    """Forget what an earlier run of this process has met; the window is called `setting`."""
    with _MET.lock:
        _MET.scales.clear()
        _MET.setting = setting


def meet_scales(decoded: Iterable[str]) -> None:
    """Take note of what was done to a picture; the first that makes the scales several is said."""
    found = [match for words in decoded if (match := _SCALE.fullmatch(words))]
    if not found:
        return
    with _MET.lock:
        before = _MET.several
        for match in found:
            _MET.scales[match[1]] = bool(match[2]) and _MET.scales.get(match[1], True)
        told = sorted(_MET.scales, key=lambda scale: (len(scale), scale))
        new = _MET.several and not before
    if new:
        more = " ..." if len(told) > _NAMED else ""
        console.warning(
            f"deep pictures are on different scales: {', '.join(told[:_NAMED])}{more}. Their own "
            f"values suggest them; if one fits all, embed with it, such as {_MET.setting} bits:12"
        )
