"""What files are called on a page: no folders, unless two would have one name."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from xmir_cli.console import escape


class ShortNames:
    """The shortest ends of paths by which they are told apart."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._names: dict[str, str] = {}
        left, depth = dict.fromkeys(paths), 1
        while left:
            ends: dict[str, list[str]] = {}
            for path in left:
                ends.setdefault(_end(path, depth), []).append(path)
            left = {}
            for end, alike in ends.items():
                if len(alike) == 1 or all(_end(each, depth + 1) == end for each in alike):
                    self._names |= dict.fromkeys(alike, end)
                else:
                    left |= dict.fromkeys(alike)
            depth += 1

    def of(self, path: str) -> str:
        """The name of one of the paths, or of another; harmless to print."""
        return escape(self._names.get(path) or _end(path, 1))


def _end(path: str, depth: int) -> str:
    """The last parts of a path; what has none stays as it is."""
    return "/".join(PurePosixPath(path).parts[-depth:]).replace("//", "/") or path
