"""The file of a graph as hnswlib 0.8 saves it, looked through before hnswlib trusts it.

Layout, little endian: a header; for each item its links of the lowest level, its vector and its
label, each of one size; for each item the bytes of its links of the levels above, then those.
Links of a level are a count, a mark of deletion and places for as many items as a level may have.

Source: `saveIndex` and `loadIndex` of https://github.com/nmslib/hnswlib, hnswalg.h
"""

from bisect import bisect_left
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xmir_cli.arrays import Integers
from xmir_cli.errors import DataError

_HEADER = np.dtype(
    [
        ("offset_links", "<u8"),
        ("capacity", "<u8"),
        ("items", "<u8"),
        ("item_bytes", "<u8"),
        ("offset_label", "<u8"),
        ("offset_vector", "<u8"),
        ("top_level", "<i4"),
        ("entry", "<u4"),
        ("links", "<u8"),
        ("lowest_links", "<u8"),
        ("m", "<u8"),
        ("level_factor", "<f8"),
        ("ef_construction", "<u8"),
    ]
)
_WORD = 4  # bytes of a count, of a link and of a number of a vector
_LABEL = 8  # bytes
_ROWS = 8192  # looked through at a time
_TOP = 64  # levels that a graph of any size has at most

FileWords = NDArray[np.uint32]


def check_graph_file(path: Path, rows: int, dim: int, m: int, called: Path | None = None) -> None:
    """Raise DataError unless hnswlib can load the graph of `rows` items and follow all its links.

    The graph is of vectors of `dim` numbers and was built with `m` links a node. Errors name it
    `called`, where that is not the path.
    """
    name = path if called is None else called
    try:
        data = np.memmap(path, np.uint8, "r").view(np.ndarray)
        header = data[: _HEADER.itemsize].view(_HEADER)[0]
        if header["items"] != rows and not header["offset_links"]:
            raise DataError(f"{name}: expected {rows} items, found {header['items']}")
        _check(header, data[_HEADER.itemsize :], rows, dim, m)
    except (ValueError, OSError, IndexError):
        raise DataError(f"{name}: not a graph of hnswlib", "Build the index again.") from None


def _check(header: np.void, data: NDArray[np.uint8], rows: int, dim: int, m: int) -> None:
    """Raise ValueError or IndexError for the first thing that does not fit."""
    lowest = _WORD * (1 + 2 * m)
    size = lowest + _WORD * dim + _LABEL
    expected = {
        "offset_links": 0,
        "capacity": rows,
        "item_bytes": size,
        "offset_label": size - _LABEL,
        "offset_vector": lowest,
        "links": m,
        "lowest_links": 2 * m,
        "m": m,
    }
    _need(all(int(header[name]) == value for name, value in expected.items()))
    items = data[: rows * size].reshape(rows, size)
    for start in range(0, rows, _ROWS):  # copied, for rows far apart are slow to look through
        _check_links(np.ascontiguousarray(items[start : start + _ROWS, :lowest]).view("<u4"), rows)
    labels = items[:, size - _LABEL :].view("<u8")[:, 0]
    _need(bool(labels.max() < rows))
    _need(bool((np.bincount(labels.astype(np.int64), minlength=rows) == 1).all()))
    levels = _check_upper(data[rows * size :].view("<u4"), rows, m)
    top, entry = int(header["top_level"]), int(header["entry"])
    _need(entry < rows and levels[entry] == top == levels.max())


def _check_links(links: FileWords, rows: int) -> None:
    """Check counts and links [n, 1 + most]; hnswlib leaves no link of another graph behind."""
    # the count is half of the word, the rest says whether an item was deleted: none ever is
    _need(bool(links[:, 0].max() < links.shape[1] and links[:, 1:].max() < rows))


def _check_upper(words: FileWords, rows: int, m: int) -> Integers:
    """The level of each item [rows], its links in the levels above the lowest checked."""
    starts, owners = _find_upper(words, rows, (1 + m) * _WORD)
    levels = np.bincount(owners, minlength=rows)
    if not len(starts):
        return levels
    links = words[starts[:, None] + np.arange(1 + m)]
    _check_links(links, rows)
    # blocks of an item follow each other: the first is of level 1
    level = np.arange(len(owners)) - np.searchsorted(owners, owners) + 1
    used = np.arange(m) < links[:, :1]
    _need(bool((levels[links[:, 1:]] >= level[:, None])[used].all()))
    return levels


def _find_upper(words: FileWords, rows: int, block: int) -> tuple[Integers, Integers]:
    """Where each block of upper links starts, in words, and whose it is."""
    filled = np.flatnonzero(words).tolist()  # most items have none, their size is a word of zero
    sizes = words[filled].tolist()
    found: list[tuple[int, int, int]] = []  # first word, blocks, item
    place = item = nth = 0
    while (nth := bisect_left(filled, place, nth)) < len(filled):
        item += filled[nth] - place
        count, rest = divmod(sizes[nth], block)
        _need(item < rows and not rest and 0 < count <= _TOP)
        found.append((filled[nth] + 1, count, item))
        place = filled[nth] + 1 + count * (block // _WORD)
        item += 1
    _need(item + len(words) - place == rows)
    first, counts, owners = np.array(found, np.int64).reshape(-1, 3).T
    nth_of_item = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(first, counts) + nth_of_item * (block // _WORD), np.repeat(owners, counts)


def _need(fits: bool) -> None:
    if not fits:
        raise ValueError
