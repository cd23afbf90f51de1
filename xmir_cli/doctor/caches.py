"""The folders where weights and notes are kept between runs."""

import os
from pathlib import Path

import torch

from xmir_cli.gallery.folder.verified import notes_folder
from xmir_cli.model.hub import cache_folder
from xmir_cli.wire.records import Record


def find_caches() -> Record:
    """Path, size in bytes and writability of each, with ~ for the home folder."""
    places = {
        "torch hub": Path(torch.hub.get_dir()),
        "hf hub": cache_folder(),
        "checked indexes": notes_folder(),
    }
    return {name: _describe(path.expanduser().absolute()) for name, path in places.items()}


def _describe(path: Path) -> Record:
    there = os.path.lexists(path)
    size = _measure(path) if there else 0
    return {"path": _shown(path), "exists": there, "bytes": size, "writable": _writable(path)}


def _measure(folder: Path) -> int:
    """Bytes of all files below a folder; links, which the hub keeps many of, are not followed."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(place, name).lstat().st_size
            except OSError:  # gone meanwhile, or not to be seen
                continue
    return total


def _writable(path: Path) -> bool:
    """Whether files could be made there; of a folder that is not there, whether it could be."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def _shown(path: Path) -> str:
    """The path without the name of whoever runs this: it may be shown to others."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):  # elsewhere, or without a home
        return str(path)
