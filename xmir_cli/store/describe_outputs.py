"""What xmir writes for eyes and for pipes: pages, folders of differences, lists of ids."""

import html
import re
from pathlib import Path

from xmir_cli.store.arrays import read_array
from xmir_cli.store.concept_names import shuffled_path
from xmir_cli.store.regular import open_regular
from xmir_cli.wire.records import Record

_HEAD = 1 << 16  # bytes of a page that hold its title, and of a list that tell whether it is one
_GENERATOR = re.compile(rb'<meta name="generator" content="xmir ([^"<>]{1,40})">')
_TITLE = re.compile(rb"<title>([^<]*)</title>")
_MEAN, _MINUS, _BESIDE = "mean-", "-minus-", ("-error", "-none", "-p")  # of xmir diff-saliency
_LISTS = {".txt", ".ids"}


def describe_page(path: Path) -> Record | None:
    """The title of a page that xmir wrote; None for another file."""
    with open_regular(path) as file:
        head = file.read(_HEAD)
    made = _GENERATOR.search(head)
    if head.lstrip()[:9].lower() != b"<!doctype" or made is None:
        return None
    title = _TITLE.search(head)
    told = html.unescape(title[1].decode("utf-8", "replace")) if title else ""
    return {"kind": "page", "title": told, "version": made[1].decode("utf-8", "replace")}


def describe_ids(path: Path) -> Record | None:
    """How many ids a text has, one a line, as a lasso writes them; None for another file.

    A text is read as such by its ending.
    """
    if path.suffix.lower() not in _LISTS:
        return None
    with open_regular(path) as file:
        lines = file.read().splitlines()
    try:
        ids = [line.decode("utf-8") for line in lines if line.strip()]
    except UnicodeDecodeError:
        return None
    if not ids or not all(map(str.isprintable, ids)):
        return None
    return {"kind": "ids", "rows": len(ids), "distinct": len(set(ids))}


def describe_differences(folder: Path) -> Record | None:
    """What `xmir diff-saliency` compared in this folder; None for another folder."""
    names = {path.stem for path in folder.glob("*.npy")}
    maps = sorted(each for each in names if not _is_beside(each, names))
    labels = [each.removeprefix(_MEAN) for each in maps if each.startswith(_MEAN)]
    pairs = [each for each in maps if _MINUS in each and not each.startswith(_MEAN)]
    if not labels or not pairs:
        return None
    shape = list(read_array(folder / f"{pairs[0]}.npy").shape)
    return {"kind": "differences", "compared": labels, "differences": pairs, "shape": shape}


def describe_maps(folder: Path) -> Record | None:
    """How many maps with a description beside them a folder has; None for one without."""
    arrays = (path for path in folder.glob("*.npy") if path.with_suffix(".json").is_file())
    count = sum(not shuffled_path(path).is_file() for path in arrays)  # those are concepts
    return {"kind": "maps", "rows": count} if count else None


def _is_beside(name: str, names: set[str]) -> bool:
    """Whether it is the error, the chance or the p of another map."""
    return any(name.removesuffix(end) in names for end in _BESIDE if name.endswith(end))
